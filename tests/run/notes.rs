//! Options without effect are noted, and combinations that llama.cpp refuses are refused, by every command that takes them.

use std::process::{Command, Output, Stdio};

use crate::deadline::output;
use crate::support::tiny_gguf;

/// The commands that place a model, with what they need to end soon.
const COMMANDS: [&[&str]; 5] = [
    &["run", "-p", "Hi", "-n", "1"],
    &["chat", "-n", "1"],
    &["batch", "in.jsonl", "-o", "out.jsonl", "-n", "1"],
    &["plan"],
    &["bench", "-p", "8", "-n", "1", "-r", "1"],
];

fn ggrun(command: &[&str], options: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.jsonl"), "{\"prompt\": \"Hi\"}\n").unwrap();
    let mut ggrun = Command::new(env!("CARGO_BIN_EXE_ggrun"));
    ggrun.args(command).arg("--no-config").args(options).arg("-m").arg(tiny_gguf());
    ggrun.current_dir(folder.path()).env("XDG_STATE_HOME", folder.path()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LLAMA_ARG_") {
            ggrun.env_remove(name);
        }
    }
    let Output { status, stderr, .. } = output(&mut ggrun);
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn every_command_notes_the_same_options() {
    let more = (std::thread::available_parallelism().unwrap().get() + 1).to_string();
    let options = ["-ngl", "99", "-ot", "nothing=CPU", "-t", &more];
    for command in COMMANDS {
        let (code, said) = ggrun(command, &options);
        assert_eq!(code, Some(0), "{command:?}: {said}");
        for note in [
            "warning: `-ngl` has no effect: no GPU is in use",
            "warning: `-ot nothing=…` matches no tensor of the model",
            &format!("warning: `-t {more}` is more than the"),
        ] {
            assert_eq!(said.matches(note).count(), 1, "{command:?}: {note}\n{said}");
        }
        let (code, said) = ggrun(command, &["-t", "1", "-ot", "exps=CPU"]);
        assert!(code == Some(0) && !said.contains("warning"), "{command:?}: {said}");
    }
    for command in &COMMANDS[..4] {
        let (code, said) = ggrun(command, &["-t", "1", "-c", "4097", "-np", "1"]);
        assert_eq!(code, Some(0), "{command:?}: {said}");
        assert!(said.contains("a context of 4097 tokens is longer than the 4096"), "{command:?}: {said}");
    }
}

#[test]
fn every_command_refuses_a_quantized_cache_without_flash_attention() {
    for command in COMMANDS {
        let (code, said) = ggrun(command, &["-t", "1", "-ctv", "q4_0", "-fa", "off"]);
        assert_eq!(code, Some(2), "{command:?}: {said}");
        assert!(said.contains("error: `-ctv q4_0` needs flash attention"), "{command:?}: {said}");
        let (code, said) = ggrun(command, &["-t", "1", "-ctv", "q4_0"]);
        assert_eq!(code, Some(0), "{command:?}: {said}");
    }
}
