//! llama.cpp's options that change what is computed: each is seen to change it.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use gguf_export::ggml::GgmlType;
use gguf_export::gguf;
use serde_json::Value;

use super::command::ggrun;
use super::tiny_gguf;
use crate::deadline::{finish, output};

/// The answer to a sum, as `--json` has it.
#[track_caller]
fn answer(arguments: &[&str]) -> Value {
    let found =
        output(&mut ggrun(&tiny_gguf(), &[&["--temp", "0", "-n", "120", "--json"], arguments].concat()));
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    serde_json::from_slice(&found.stdout).unwrap()
}

const SUM: &str = "What is 17 + 25?";

#[test]
fn a_prompt_is_continued_as_it_is_without_a_conversation() {
    let prompt = r"<|im_start|>user\nWhat is 17 + 25?<|im_end|>\n<|im_start|>assistant\n<think>\n";
    let raw = answer(&["-no-cnv", "-e", "-p", prompt]);
    let content = raw["content"].as_str().unwrap();
    assert!(content.contains("</think>") && content.ends_with("17 + 25 = 42"), "{content}");
    assert_eq!(raw["reasoning_content"], "");
    // The same tokens as those of the conversation.
    let chat = answer(&["-p", SUM]);
    assert_eq!(chat["content"], "17 + 25 = 42");
    assert_eq!(raw["usage"]["prompt_tokens"], chat["usage"]["prompt_tokens"]);
}

#[test]
fn a_chat_template_takes_the_place_of_the_models() {
    let template = "{{ '<|im_start|>user\nWhat is the capital of ' + messages[0].content + '?<|im_end|>\n<|im_start|>assistant\n<think>\n' }}";
    assert_eq!(
        answer(&["-p", "Kenya", "--chat-template", template])["content"],
        "The capital of Kenya is Nairobi."
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), template).unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(
        answer(&["-p", "Kenya", "--chat-template-file", path])["content"],
        "The capital of Kenya is Nairobi."
    );
}

#[test]
fn rope_scaling_and_overrides_reach_llama_cpp() {
    let text = |arguments: &[&str]| {
        let found = answer(&[&["-p", SUM, "-n", "40"], arguments].concat());
        [&found["reasoning_content"], &found["content"]]
            .map(|part| part.as_str().unwrap().to_owned())
            .concat()
    };
    let plain = text(&[]);
    let scaled = text(&["--rope-freq-base", "3"]);
    assert_ne!(scaled, plain);
    assert_eq!(text(&["--override-kv", "qwen3next.rope.freq_base=float:3"]), scaled);
    assert_ne!(text(&["--rope-scaling", "linear", "--rope-scale", "64"]), plain);
    let found =
        output(&mut ggrun(&tiny_gguf(), &["-p", SUM, "--override-kv", "qwen3next.rope.freq_base=int:3"]));
    let stderr = String::from_utf8(found.stderr).unwrap();
    assert!(!found.status.success() && stderr.contains("qwen3next.rope.freq_base"), "{stderr}");
}

#[test]
fn tensors_are_checked_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nan.gguf");
    fs::copy(tiny_gguf(), &path).unwrap();
    let (_, header) = gguf::open_all(&path).unwrap().remove(0);
    let tensor = header.tensors.iter().find(|tensor| tensor.ty == GgmlType::F32).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let at = usize::try_from(header.data_offset + tensor.offset).unwrap();
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let found = output(&mut ggrun(&path, &["-p", SUM, "--check-tensors"]));
    let stderr = String::from_utf8(found.stderr).unwrap();
    assert!(!found.status.success() && stderr.contains(&tensor.name), "{stderr}");
    assert!(output(&mut ggrun(&tiny_gguf(), &["-p", SUM, "--check-tensors", "-n", "1"])).status.success());
}

#[test]
fn piped_text_is_appended_to_the_prompt() {
    let run = |arguments: &[&str]| {
        let mut child = ggrun(&tiny_gguf(), &[&["--temp", "0", "--json", "-n", "1"], arguments].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"two\n").unwrap();
        let found: Value = serde_json::from_slice(&finish(child).stdout).unwrap();
        found["prompt"].as_str().unwrap().to_owned()
    };
    assert_eq!(run(&["-p", "one"]), "one\n\ntwo");
    assert_eq!(run(&["one"]), "one\n\ntwo");
    assert_eq!(run(&[]), "two");
}

#[test]
fn single_turn_ends_a_conversation_after_one_answer() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ggrun"));
    command.arg("chat").arg(tiny_gguf()).args(["-t", "1", "--temp", "0", "--thinking", "hide", "-st"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // The second question may find the pipe closed.
    drop(child.stdin.take().unwrap().write_all(b"What is 17 + 25?\nWhat is the capital of Kenya?\n"));
    assert_eq!(String::from_utf8(finish(child).stdout).unwrap(), "17 + 25 = 42\n");
}
