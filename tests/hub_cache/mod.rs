//! `ggrun cache` as a process: its output, and that nothing is removed without confirmation.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use ggrun::hub::cache::{Cache, Folder};
use ggrun::hub::hash::Hasher;
use serde_json::Value;

use crate::deadline::PATIENCE;

const OLD: &str = "0000000000000000000000000000000000000001";
const NEW: &str = "abcdef0000000000000000000000000000000002";
const UNFINISHED: &str = "4444444444444444444444444444444444444444";

/// A cache with two commits of `a/b` that share a large file, and one commit of `c/d`.
struct Work {
    root: tempfile::TempDir,
    shared: String,
    alone: String,
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Work {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut work = Self { root, shared: String::new(), alone: String::new() };
        let (one, other) = (work.folder("a/b"), work.folder("c/d"));
        work.shared = add(&one, 64, &[7; 5000]);
        work.alone = add(&one, 40, b"{}");
        one.link(OLD, "model.gguf", &work.shared).unwrap();
        one.link(NEW, "model.gguf", &work.shared).unwrap();
        one.link(NEW, "config/config.json", &work.alone).unwrap();
        one.set_ref("main", NEW).unwrap();
        let hash = add(&other, 40, b"other");
        other.link(OLD, "README.md", &hash).unwrap();
        other.set_ref("main", OLD).unwrap();
        work
    }

    fn folder(&self, name: &str) -> Folder {
        Cache::at(self.root.path()).repo(&name.parse().unwrap())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
        command.arg("cache").args(arguments).env("HF_HUB_CACHE", self.root.path()).env("TERM", "xterm");
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let done = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}{}", ran.out, ran.err))
    }

    /// Every file except locks, which may be created and kept.
    fn files(&self) -> Vec<PathBuf> {
        let (mut open, mut found) = (vec![self.root.path().to_owned()], Vec::new());
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() && entry.file_name() != ".locks" {
                    open.push(entry.path());
                } else if entry.file_name() != ".locks" {
                    found.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }
}

/// Adds a file under its hash of 40 or 64 digits.
fn add(folder: &Folder, digits: usize, bytes: &[u8]) -> String {
    let mut hasher = Hasher::like(&"0".repeat(digits), bytes.len() as u64).unwrap();
    hasher.update(bytes);
    let hash = hasher.finish();
    folder.make_blobs().unwrap();
    fs::write(folder.blob(&hash).unwrap(), bytes).unwrap();
    hash
}

/// Asserts that every name in a commit has its file, and every ref its commit.
fn assert_sound(folder: &Folder) {
    let Some(found) = folder.scan(1000) else { return };
    for (name, file) in found.snapshots.iter().flat_map(|snapshot| &snapshot.files) {
        assert!(Path::exists(&file.path), "{name} has no target");
    }
    for commit in found.refs.values() {
        assert!(found.snapshots.iter().any(|snapshot| snapshot.commit == *commit), "a ref to {commit}");
    }
}

#[test]
fn ls_lists_repositories_snapshots_and_refs() {
    let work = Work::new();
    fs::write(work.folder("a/b").partial(UNFINISHED).unwrap(), "part").unwrap();
    let ran = work.run(&["ls"]);
    assert_eq!(ran.code, Some(0));
    let lines: Vec<Vec<&str>> = ran.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..6], ["a/b", "00000000", "4.88", "KiB", "1", "file"]);
    assert_eq!(lines[1][..6], ["abcdef00", "main", "4.88", "KiB", "2", "files"]);
    assert_eq!(lines[2][..5], ["unfinished", "4", "B", "1", "file"]);
    assert_eq!(lines[3][..6], ["c/d", "00000000", "main", "5", "B", "1"]);
    assert!(ran.err.starts_with("2 repositories, 4.97 KiB"), "{}", ran.err);
    let all = work.json(&["ls"]);
    assert_eq!(
        (all["bytes"].as_u64(), all["complete"].as_bool()),
        (Some(5000 + 2 + 4 + 40 + 5 + 40), Some(true))
    );
    let snapshot = &all["repositories"][0]["snapshots"][1];
    assert_eq!((snapshot["commit"].as_str(), snapshot["refs"][0].as_str()), (Some(NEW), Some("main")));
    assert_eq!(snapshot["files"][1]["hash"].as_str(), Some(work.shared.as_str()));
    let one = work.run(&["ls", "a/b"]);
    assert!(one.out.contains("config/config.json") && !one.out.contains("c/d"), "{}", one.out);
    let none = work.run(&["ls", "x/y"]);
    assert_eq!(none.code, Some(1));
    assert!(none.err.contains("`x/y` is not in the cache"), "{}", none.err);
}

#[test]
fn nothing_is_removed_without_confirmation() {
    let work = Work::new();
    fs::write(work.folder("a/b").partial(UNFINISHED).unwrap(), "part").unwrap();
    let before = work.files();
    for arguments in [&["rm", "a/b"][..], &["rm", "a/b@main"], &["prune"]] {
        let ran = work.run(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains("hint: `-y` removes without confirmation"), "{}", ran.err);
        assert!(ran.out.contains("a/b: "), "{}", ran.out);
        let dry = work.run(&[arguments, &["--dry-run"]].concat());
        assert_eq!((dry.code, dry.err.starts_with("would free")), (Some(0), true), "{}", dry.err);
        assert_eq!(work.files(), before, "{arguments:?}");
    }
}

#[test]
fn a_revision_is_removed_without_files_that_another_needs() {
    let work = Work::new();
    let gone = work.json(&["rm", "a/b@main", "-y"]);
    assert_eq!((gone["freed"].as_u64(), gone["removed"].as_bool()), (Some(2), Some(true)));
    let folder = work.folder("a/b");
    assert!(folder.find(OLD, "model.gguf").is_some() && folder.commit_of("main").is_none());
    assert!(!folder.blob(&work.alone).unwrap().exists() && folder.blob(&work.shared).unwrap().exists());
    // By the first digits of the commit, as shown by `ls`.
    assert_eq!(work.run(&["rm", "a/b@00000000", "-y"]).code, Some(0));
    assert!(!folder.blob(&work.shared).unwrap().exists());
    let none = work.run(&["rm", "c/d@other", "-y"]);
    assert!(none.code == Some(1) && none.err.contains("is not in the cache"), "{}", none.err);
    assert_eq!(work.run(&["rm", "c/d", "-y"]).code, Some(0));
    assert!(!work.folder("c/d").path().exists());
}

#[test]
fn prune_removes_unreferenced_files_except_during_a_download() {
    let work = Work::new();
    let folder = work.folder("a/b");
    fs::write(folder.partial(UNFINISHED).unwrap(), "part").unwrap();
    let held = folder.try_lock(UNFINISHED).unwrap().unwrap();
    let before = work.files();
    let ran = work.run(&["prune", "-y"]);
    assert!(ran.code == Some(0) && ran.err.contains("is being downloaded"), "{}", ran.err);
    assert_eq!(work.files(), before);
    let refused = work.run(&["rm", "a/b", "-y"]);
    assert!(
        refused.code == Some(1) && refused.err.contains("another process is downloading"),
        "{}",
        refused.err
    );
    assert_eq!(work.files(), before);
    drop(held);
    assert_eq!(work.json(&["prune", "-y"])["freed"].as_u64(), Some(4));
    assert!(folder.find(NEW, "model.gguf").is_some() && folder.find(OLD, "model.gguf").is_none());
    assert!(work.run(&["prune", "-y"]).err.contains("nothing to remove"));
}

#[test]
fn verify_reports_differences_and_removes_them_only_with_an_option() {
    let work = Work::new();
    let whole = work.run(&["verify"]);
    assert_eq!((whole.code, whole.out.as_str()), (Some(0), ""), "{}", whole.err);
    let folder = work.folder("a/b");
    let mut bytes = vec![7; 5000];
    bytes[4999] = 8;
    fs::write(folder.blob(&work.shared).unwrap(), bytes).unwrap();
    let ran = work.run(&["verify", "a/b", "--progress", "always"]);
    assert_eq!(ran.code, Some(3), "{}", ran.err);
    assert!(ran.out.starts_with(&format!("a/b: {}: has the hash ", work.shared)), "{}", ran.out);
    assert!(ran.err.contains("Verifying: 100%"), "{}", ran.err);
    assert_eq!(work.run(&["verify", "c/d"]).code, Some(0));
    assert_eq!(work.run(&["verify", "a/b", "--delete"]).code, Some(2));
    assert!(folder.find(NEW, "model.gguf").is_some());
    assert_eq!(work.run(&["verify", "a/b@main", "--delete", "-y"]).code, Some(3));
    assert!(folder.find(OLD, "model.gguf").is_none() && folder.find(NEW, "config/config.json").is_some());
    assert_sound(&folder);
    assert_eq!(work.run(&["verify"]).code, Some(0));
    // A damaged cache: a name without its file.
    fs::remove_file(folder.blob(&work.alone).unwrap()).unwrap();
    let torn = work.json(&["verify"]);
    assert_eq!(torn["wrong"][0]["what"].as_str(), Some("config/config.json"));
}

#[test]
fn a_removal_that_is_killed_leaves_no_name_without_its_file() {
    let mut random = 12345u64;
    for round in 0..20 {
        let work = Work::new();
        let folder = work.folder("a/b");
        for n in 0..200u32 {
            let hash = add(&folder, 40, &n.to_le_bytes());
            folder.link(NEW, &format!("many/{n}"), &hash).unwrap();
        }
        let what = ["a/b", "a/b@main"][round % 2];
        let mut child =
            work.command(&["rm", what, "-y"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros((random >> 33) % 40_000));
        child.kill().unwrap();
        child.wait().unwrap();
        // A snapshot that is being removed has another name.
        if let Some(found) = folder.scan(10_000) {
            for snapshot in found.snapshots.iter().filter(|snapshot| snapshot.commit.len() == 40) {
                for (name, file) in &snapshot.files {
                    assert!(file.path.exists(), "{name} has no target");
                }
                let whole = snapshot.files.len();
                assert_eq!(
                    whole,
                    if snapshot.commit == NEW { 202 } else { 1 },
                    "a commit is complete or removed"
                );
            }
        }
        let after = work.run(&["rm", "a/b", "-y"]);
        assert!(after.code == Some(0) || after.err.contains("not in the cache"), "{}", after.err);
        assert!(!folder.path().exists());
    }
}

#[cfg(unix)]
#[test]
fn the_question_on_a_terminal_accepts_only_yes() {
    let work = Work::new();
    let before = work.files();
    for (answer, goes) in [("", false), ("n", false), ("yess", false), ("Y", true)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
        command.args(["cache", "rm", "a/b"]).env("HF_HUB_CACHE", work.root.path());
        let mut session =
            rexpect::session::spawn_command(command, u64::try_from(PATIENCE.as_millis()).ok()).unwrap();
        session.exp_string("referenced by main").unwrap();
        session.exp_string("Remove this and free 4.88 KiB? [y/N] ").unwrap();
        session.send_line(answer).unwrap();
        session.exp_string(if goes { "freed 4.88 KiB" } else { "nothing removed" }).unwrap();
        session.exp_eof().unwrap();
        assert_eq!(work.files() != before, goes, "{answer:?}");
    }
    assert!(!work.folder("a/b").path().exists());
}
