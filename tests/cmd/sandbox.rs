//! A temporary folder and a clean environment for one test of the command.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use testkit::Model;

use crate::deadline::finish;

pub(super) struct Sandbox {
    dir: tempfile::TempDir,
}

/// Exit code and output of a command.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl Sandbox {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A sandbox with a checkpoint in `source`.
    pub(super) fn with(model: &Model) -> Self {
        let sandbox = Self::new();
        model.write(&sandbox.path("source"));
        sandbox
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Files in the folder, except the checkpoint.
    pub(super) fn files(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name());
        let mut names: Vec<_> = names.map(|n| n.into_string().unwrap()).filter(|n| n != "source").collect();
        names.sort();
        names
    }

    /// `ggrun` with these arguments, in the folder.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_ggrun"), arguments)
    }

    /// A shell script whose `$0` is `ggrun`.
    pub(super) fn shell(&self, script: &str) -> Command {
        self.program("sh", &["-c", script, env!("CARGO_BIN_EXE_ggrun")])
    }

    /// Another program, in the same folder and environment.
    pub(super) fn program(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null()).env_clear();
        // Temporary files land in the folder, where `files` lists them.
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TMPDIR", self.dir.path());
        command.env("NO_COLOR", "1").env("TERM", "dumb").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// Type of every tensor according to `ggrun inspect`.
    pub(super) fn types(&self, gguf: &str) -> BTreeMap<String, String> {
        let json = self.run(&["inspect", gguf, "--json"]).json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        json["tensors"].as_array().unwrap().iter().map(|t| (text(&t["name"]), text(&t["type"]))).collect()
    }
}

impl Ran {
    pub(super) fn of(command: &mut Command) -> Self {
        Self::from(command.spawn().map(finish).unwrap())
    }

    /// The JSON on standard output of a successful run without messages.
    pub(super) fn json(&self) -> Value {
        assert_eq!((self.code, &*self.err), (Some(0), ""), "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Asserts this exit code, an empty standard output, and these texts on standard error.
    pub(super) fn refused(&self, code: i32, says: &[&str]) {
        assert_eq!((self.code, &*self.out), (Some(code), ""), "{self:?}");
        for words in says {
            assert!(self.err.contains(words), "`{words}` is not in\n{}", self.err);
        }
    }

    /// Asserts this exit code and this standard output.
    pub(super) fn said(&self, code: i32, out: &str) {
        assert_eq!((self.code, &*self.out), (Some(code), out), "{self:?}");
    }
}

impl From<Output> for Ran {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code(), out: text(stdout), err: text(stderr) }
    }
}

/// The path of a folder in `tests/data`, as an argument.
pub(super) fn data(name: &str) -> String {
    crate::support::data(name).into_os_string().into_string().unwrap()
}
