//! `ggrun batch` as a process: rows, interruptions, and resuming.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod corpus;
mod grammars;
mod inputs;
mod kill;
mod order;
mod resume;
mod rows;
mod streams;
mod tables;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::deadline::output;
use crate::support::tiny_gguf;

/// A folder with an input file and the batch's outputs.
struct Work {
    folder: tempfile::TempDir,
}

/// Exit code and output of a run.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Work {
    fn new(lines: &[String]) -> Self {
        let work = Self { folder: tempfile::tempdir().unwrap() };
        work.input(lines);
        work
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn input(&self, lines: &[String]) {
        fs::write(self.path("in.jsonl"), lines.join("\n") + "\n").unwrap();
    }

    /// `ggrun batch -m MODEL` with these arguments, in the folder.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
        command.arg("batch").arg("-m").arg(tiny_gguf()).args(["-t", "1"]).args(arguments);
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LLAMA_ARG_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// From `in.jsonl` to `out.jsonl`.
    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(&[&["in.jsonl", "-o", "out.jsonl"], arguments].concat()))
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn rows(&self, name: &str) -> Vec<Value> {
        self.lines(name).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Rows by id; every id is unique.
    fn by_id(&self, name: &str) -> BTreeMap<String, Value> {
        let rows = self.rows(name);
        let count = rows.len();
        let map: BTreeMap<String, Value> = rows.into_iter().map(|row| (id(&row), row)).collect();
        assert_eq!(map.len(), count, "an id occurs twice");
        map
    }
}

impl Ran {
    fn of(command: &mut Command) -> Self {
        let output = output(command);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    fn ended(&self, code: i32, says: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.contains(says), "`{says}` is not in {self:?}");
    }
}

fn id(row: &Value) -> String {
    row["custom_id"].as_str().unwrap().to_owned()
}

fn code(row: &Value) -> &str {
    row["error"]["code"].as_str().unwrap_or("none")
}

fn content(row: &Value) -> &str {
    row["response"]["body"]["choices"][0]["message"]["content"].as_str().unwrap()
}

/// A row in `OpenAI`'s format that asks for a sum, with more fields in its body.
#[expect(clippy::needless_pass_by_value, reason = "callers build it in place")]
fn sum(id: &str, a: u32, b: u32, more: Value) -> String {
    let mut body = json!({
        "messages": [{"role": "user", "content": format!("What is {a} + {b}?")}],
        "temperature": 0, "max_tokens": 200,
    });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string()
}

/// Rows `r0`, `r1`, … with answers of at most six tokens.
fn short(count: u32) -> Vec<String> {
    (0..count).map(|n| sum(&format!("r{n}"), n, 25, json!({"max_tokens": 6}))).collect()
}
