//! Running the same command again.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::{Ran, Work, content, id, short, sum};
use crate::deadline::{Watchdog, wait_for};

#[test]
fn a_torn_last_row_is_dropped_and_answered_again() {
    let work = Work::new(&short(6));
    work.run(&[]).ended(0, "6 answered");
    let text = fs::read_to_string(work.path("out.jsonl")).unwrap();
    fs::write(work.path("out.jsonl"), &text[..text.len() - 40]).unwrap();
    work.run(&[]).ended(0, "1 answered, 5 kept from an earlier run");
    assert_eq!(work.by_id("out.jsonl").len(), 6);
    // A system crash may leave zeros.
    fs::write(work.path("out.jsonl"), text + "\0\0\0\0").unwrap();
    work.run(&[]).ended(0, "0 answered, 6 kept from an earlier run");
    assert_eq!(work.by_id("out.jsonl").len(), 6);
}

#[test]
fn a_changed_request_runs_again_and_replaces_its_answer() {
    let row = |a| sum("x", a, 25, json!({}));
    let work = Work::new(&[row(17), sum("y", 30, 12, json!({}))]);
    work.run(&["--order", "input"]).ended(0, "2 answered");
    assert_eq!(content(&work.by_id("out.jsonl")["x"]), "17 + 25 = 42");
    work.input(&[row(42), sum("y", 30, 12, json!({"user": "another"}))]);
    work.run(&["--order", "input"]).ended(0, "1 answered, 1 kept from an earlier run, 1 request changed");
    assert_eq!(content(&work.by_id("out.jsonl")["x"]), "42 + 25 = 67");
    assert_eq!(work.rows("out.jsonl").iter().map(id).collect::<Vec<_>>(), ["x", "y"]);
    // An option that affects answers changes every row.
    work.run(&["--stop", "zebra"]).ended(0, "2 answered, 2 requests changed");
    assert_eq!(work.by_id("out.jsonl").len(), 2);
}

#[test]
fn another_model_is_refused_without_allow_model_change() {
    let work = Work::new(&short(2));
    work.run(&[]).ended(0, "2 answered");
    let text = fs::read_to_string(work.path("out.jsonl")).unwrap();
    let row: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let model = row["ggrun"]["model"].as_str().unwrap();
    fs::write(work.path("out.jsonl"), text.replace(model, "0123456789abcdef")).unwrap();
    work.run(&[]).ended(1, "has answers of model 0123456789abcdef");
    work.run(&["--allow-model-change"]).ended(0, "0 answered, 2 kept from an earlier run");
}

#[test]
fn an_output_that_is_not_a_batch_is_left_unchanged() {
    let work = Work::new(&short(1));
    for text in ["my notes", "my notes\n", "{\"id\": 1}\n{\"id\":\"batch_req_"] {
        fs::write(work.path("out.jsonl"), text).unwrap();
        work.run(&[]).ended(1, "line 1 of `out.jsonl` is not a row of a batch");
        assert_eq!(fs::read_to_string(work.path("out.jsonl")).unwrap(), text);
    }
    Ran::of(&mut work.command(&["in.jsonl", "-o", "./in.jsonl"])).ended(1, "cannot be both");
}

#[test]
fn failed_rows_stay_failed_until_retry_failed() {
    let mut lines = short(2);
    lines.push(sum("long", 1, 2, json!({"messages": [{"role": "user", "content": "why ".repeat(400)}]})));
    let work = Work::new(&lines);
    let errors = ["--errors", "failed.jsonl", "-np", "1", "-c", "256"];
    work.run(&errors).ended(5, "1 failed (1 context_length_exceeded)");
    assert_eq!(id(&work.rows("failed.jsonl")[0]), "long");
    work.run(&errors).ended(5, "0 answered, 2 kept from an earlier run, 1 failed in an earlier run");
    let more = ["--errors", "failed.jsonl", "-np", "1", "-c", "2048", "--retry-failed"];
    work.run(&more).ended(0, "1 answered, 2 kept from an earlier run");
    assert_eq!((work.by_id("out.jsonl").len(), work.lines("failed.jsonl").len()), (3, 0));
}

#[test]
fn a_corrected_line_replaces_its_failure() {
    let mut lines = short(2);
    let good = std::mem::replace(&mut lines[1], "{".to_owned());
    let work = Work::new(&lines);
    work.run(&[]).ended(5, "1 failed (1 invalid_json)");
    assert!(work.by_id("out.jsonl").contains_key("line-2"));
    lines[1] = good;
    work.input(&lines);
    work.run(&[]).ended(0, "1 answered, 1 kept from an earlier run");
    assert_eq!(work.by_id("out.jsonl").keys().collect::<Vec<_>>(), ["r0", "r1"]);
}

#[test]
fn two_processes_do_not_share_an_output() {
    let work = Work::new(&[sum("x", 1, 2, json!({"max_tokens": 4000, "ignore_eos": true}))]);
    let mut first = work.command(&["in.jsonl", "-o", "out.jsonl", "-c", "4096", "-np", "1"]);
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The file may appear before its lock, so the second process may have to try again.
    let second = wait_for("the lock", || {
        assert_eq!(first.try_wait().unwrap(), None, "the first process ended early");
        let second = work.path("out.jsonl").exists().then(|| work.run(&[]))?;
        (second.code != Some(0)).then_some(second)
    });
    first.kill().unwrap();
    first.wait().unwrap();
    second.ended(1, "is being written by another process");
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn an_interrupt_finishes_the_active_rows_and_a_second_one_stops_at_once() {
    let row = |n: u32| sum(&format!("r{n}"), n, 25, json!({"max_tokens": 150, "ignore_eos": true}));
    let work = Work::new(&(0..60).map(row).collect::<Vec<_>>());
    let arguments = ["in.jsonl", "-o", "out.jsonl", "-np", "2", "-c", "2048"];
    let mut said = Vec::new();
    for (signals, expected) in [(vec!["INT"], 130), (vec!["INT", "INT"], 130), (vec!["TERM"], 143)] {
        let before = work.lines("out.jsonl").len();
        let mut command = work.command(&arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let _watchdog = Watchdog::of(&child);
        wait_for("two rows", || (work.lines("out.jsonl").len() >= before + 2).then_some(()));
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut text = String::new();
        for signal in signals {
            send(&child, signal);
            // A second signal means something only after the first was handled.
            while !text.contains("finishing") && stderr.read_line(&mut text).unwrap() > 0 {}
        }
        while stderr.read_line(&mut text).unwrap() > 0 {}
        assert_eq!(child.wait().unwrap().code(), Some(expected), "{text}");
        said.push(text);
        work.by_id("out.jsonl");
    }
    assert!(said[0].contains("finishing") && said[0].contains("to resume `out.jsonl`"), "{}", said[0]);
    let left = 60 - work.lines("out.jsonl").len();
    assert!(left > 0);
}
