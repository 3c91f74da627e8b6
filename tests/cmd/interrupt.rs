//! Conversions that are interrupted midway. Independent of the machine's speed: the process runs in slices until its
//! files show that it is midway, and receives the signal while it is stopped.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use testkit::Model;

use super::Sandbox;
use super::sandbox::Ran;
use crate::deadline::{finish, wait_for};

const CONVERT: [&str; 8] = ["convert", "source", "-o", "out.gguf", "--outtype", "f32", "-t", "1"];
const UNFINISHED: [&str; 2] = ["out.gguf.part", "out.gguf.part.journal"];

/// A checkpoint that becomes 65 MiB in F32, written as 65 tiles in order.
fn large() -> Sandbox {
    Sandbox::with(&Model { vocab: 1 << 16, ..Model::tiny() })
}

/// The GGUF of an uninterrupted conversion.
fn expected(sandbox: &Sandbox) -> Vec<u8> {
    sandbox.run(&CONVERT).said(0, "out.gguf\n");
    let bytes = sandbox.read("out.gguf");
    std::fs::remove_file(sandbox.path("out.gguf")).unwrap();
    bytes
}

/// Sends a signal by itself: on a busy machine the conversion ends before another process has started.
fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// How many MiB of the unfinished file are not zero.
fn written(sandbox: &Sandbox) -> usize {
    let empty = vec![0; 1 << 20];
    let bytes = std::fs::read(sandbox.path(UNFINISHED[0])).unwrap_or_default();
    bytes.chunks(empty.len()).filter(|chunk| **chunk != empty[..chunk.len()]).count()
}

/// Starts a conversion, stops it once it has written more than the last one, and sends the signal before it continues.
fn interrupted(sandbox: &Sandbox, command: impl Fn() -> Command, signal: Signal) -> Ran {
    let before = written(sandbox);
    for _ in 0..200 {
        let mut child = command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for("the conversion to be midway", || {
            if child.try_wait().unwrap().is_some() {
                return Some(());
            }
            send(&child, Signal::STOP);
            let midway = sandbox.files() == UNFINISHED && written(sandbox) > before + 2;
            if midway {
                send(&child, signal);
            }
            send(&child, Signal::CONT);
            midway.then_some(())
        });
        let ran = Ran::from(finish(child));
        if ran.code != Some(0) {
            return ran;
        }
        // It finished before it could be stopped.
        std::fs::remove_file(sandbox.path("out.gguf")).unwrap();
    }
    panic!("the conversion could not be interrupted midway")
}

fn tiles(journal: &Path) -> usize {
    std::fs::read_to_string(journal).unwrap().lines().skip(1).map(|line| line.split(' ').count()).sum()
}

#[test]
fn an_interrupted_conversion_resumes_where_it_stopped() {
    let sandbox = large();
    let right = expected(&sandbox);
    let mut finished = 0;
    for (signal, code) in [(Signal::INT, Some(130)), (Signal::TERM, Some(143)), (Signal::KILL, None)] {
        let ran = interrupted(&sandbox, || sandbox.command(&CONVERT), signal);
        assert_eq!((ran.code, &*ran.out), (code, ""), "{signal:?}: {ran:?}");
        assert_eq!(sandbox.files(), UNFINISHED, "{signal:?}");
        let now = tiles(&sandbox.path(UNFINISHED[1]));
        if code.is_some() {
            let says = "interrupted; `out.gguf.part` is kept, run the same command to resume\n";
            assert_eq!(ran.err, says, "{signal:?}");
            assert!(now > finished, "{signal:?}: {now} tiles, {finished} before");
        } else {
            assert_eq!(now, finished, "the journal keeps its tiles");
        }
        finished = now;
    }
    let json = sandbox.run(&[&CONVERT[..], &["--json"]].concat()).json();
    let resumed = json["resumed_bytes"].as_u64().unwrap();
    assert!(resumed > 0 && resumed < json["files"][0]["bytes"].as_u64().unwrap(), "{resumed}");
    assert_eq!(sandbox.files(), ["out.gguf"]);
    assert!(sandbox.read("out.gguf") == right, "the bytes differ from those of an uninterrupted conversion");
}

#[test]
fn no_resume_converts_everything_again() {
    let sandbox = large();
    let right = expected(&sandbox);
    assert_eq!(interrupted(&sandbox, || sandbox.command(&CONVERT), Signal::INT).code, Some(130));
    let json = sandbox.run(&[&CONVERT[..], &["--no-resume", "--json"]].concat()).json();
    assert_eq!(json["resumed_bytes"], 0);
    assert!(sandbox.read("out.gguf") == right);
}

#[test]
fn a_conversion_under_nohup_survives_a_hangup() {
    let sandbox = large();
    let script = format!("trap '' HUP; exec \"$0\" {}; ", CONVERT.join(" "));
    let mut child = sandbox.shell(&script).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the first file", || {
        (!sandbox.files().is_empty() || child.try_wait().unwrap().is_some()).then_some(())
    });
    send(&child, Signal::HUP);
    Ran::from(finish(child)).said(0, "out.gguf\n");
}
