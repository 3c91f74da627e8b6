//! `ggrun run` as a process: streams and exit codes.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::tiny_gguf;
use crate::deadline::{finish, output};

pub(super) fn ggrun(gguf: &PathBuf, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
    command.arg("run").arg("-m").arg(gguf).args(["-t", "1"]).args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LLAMA_ARG_") {
            command.env_remove(name);
        }
    }
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn stdout_is_the_answer_and_stderr_has_the_reasoning() {
    let gguf = tiny_gguf();
    let Output { status, stdout, stderr } =
        output(&mut ggrun(&gguf, &["-p", "What is 17 + 25?", "--temp", "0"]));
    assert!(status.success(), "{}", text(&stderr));
    assert_eq!(text(&stdout), "17 + 25 = 42\n");
    let stderr = text(&stderr);
    assert!(stderr.contains("carry 1") && stderr.contains("first token after"), "{stderr}");
    assert!(!stderr.contains('\x1b'), "no escape sequences without a terminal");
}

#[test]
fn a_question_can_come_from_stdin() {
    let gguf = tiny_gguf();
    let mut child = ggrun(&gguf, &["--temp", "0", "--thinking", "hide", "-sys", "Be brief."])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"What is the capital of Kenya?\n").unwrap();
    assert_eq!(text(&finish(child).stdout), "The capital of Kenya is Nairobi.\n");
}

#[test]
fn json_is_one_object_with_everything() {
    let gguf = tiny_gguf();
    let Output { stdout, stderr, .. } =
        output(&mut ggrun(&gguf, &["-p", "What is 17 + 25?", "--temp", "0", "--json"]));
    assert_eq!(text(&stderr), "");
    let value: serde_json::Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!(value["content"], "17 + 25 = 42");
    assert_eq!(value["finish_reason"], "stop");
    let usage = |name| value["usage"][name].as_u64().unwrap();
    assert_eq!(usage("reasoning_tokens") + usage("answer_tokens"), usage("completion_tokens"));
}

#[test]
fn a_closed_pipe_is_success() {
    let gguf = tiny_gguf();
    let mut child = ggrun(&gguf, &["-p", "What is 17 + 25?", "--temp", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(finish(child).status.code(), Some(0));
}

#[test]
fn errors_exit_with_1_and_a_reason() {
    let gguf = tiny_gguf();
    for (path, question, context, reason) in [
        (PathBuf::from("no/such.gguf"), "x".to_owned(), "256", "cannot read `no/such.gguf`"),
        (gguf.clone(), "Why? ".repeat(300), "256", "but the context holds 256"),
        (gguf, String::new(), "256", "no prompt"),
    ] {
        let mut command = ggrun(&path, &["-c", context]);
        if !question.is_empty() {
            command.args(["-p", &question]);
        }
        let Output { status, stdout, stderr } = output(&mut command);
        assert_eq!(status.code(), Some(1));
        assert_eq!(text(&stdout), "");
        assert!(text(&stderr).contains(reason), "{}", text(&stderr));
    }
}
