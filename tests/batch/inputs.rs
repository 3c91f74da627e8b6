//! Inputs that are not files of rows.

use std::fs;
use std::process::{Command, Stdio};

use super::{Ran, Work, short};

#[test]
fn an_input_without_rows_is_named_before_the_model_is_loaded() {
    let work = Work::new(&[]);
    for (bytes, says, hint) in [
        (&b"\xff\xfe{\0}\0\n\0"[..], "is text in UTF-16, expected rows in UTF-8", "iconv -f UTF-16"),
        (b"{\0\"\0", "is text in UTF-16", "iconv -f UTF-16"),
        (b"GGUF\x03\0\0\0", "is a GGUF file", "pass the model with `-m`"),
        (b"<!doctype html><p>", "is an HTML page", "download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid x", "is a git LFS pointer", "git lfs pull"),
        (b"[\n{\"prompt\": \"x\"}\n]\n", "is one JSON array", "jq -c '.[]'"),
    ] {
        fs::write(work.path("in.jsonl"), bytes).unwrap();
        let ran = work.run(&[]);
        ran.ended(1, &format!("`in.jsonl` {says}"));
        ran.ended(1, hint);
        assert!(!work.path("out.jsonl").exists(), "{says}");
    }
    fs::create_dir(work.path("folder")).unwrap();
    for (name, says) in [
        ("folder", "`folder` is a folder, expected a file or a pipe"),
        ("/dev/zero", "`/dev/zero` is a device, expected a file or a pipe"),
        ("missing", "cannot read rows from `missing`"),
    ] {
        Ran::of(&mut work.command(&[name, "-o", "out.jsonl"])).ended(1, says);
    }
}

#[test]
fn a_byte_order_mark_is_skipped_wherever_files_were_joined() {
    let lines = short(2);
    let work = Work::new(&[format!("\u{feff}{}", lines[0]), format!("\u{feff}{}", lines[1])]);
    work.run(&[]).ended(0, "2 answered");
}

#[test]
fn a_named_pipe_is_read_and_opened_once() {
    let work = Work::new(&[]);
    let pipe = work.path("pipe");
    if !Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()) {
        println!("skipped: this machine has no mkfifo");
        return;
    }
    let text = short(2).join("\n") + "\n";
    let writer = std::thread::spawn(move || fs::write(pipe, text).unwrap());
    let mut command = work.command(&["pipe", "-o", "out.jsonl"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    writer.join().unwrap();
    assert_eq!(work.by_id("out.jsonl").len(), 2);
    Ran::of(&mut work.command(&["pipe"])).ended(2, "no output, expected `-o`");
}
