//! What the same command does the second time.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{Ran, Work, content, id, short, sum};

#[test]
fn a_torn_last_row_is_dropped_and_answered_again() {
    let work = Work::new(&short(6));
    work.run(&[]).ended(0, "6 answered");
    let text = fs::read_to_string(work.path("out.jsonl")).unwrap();
    fs::write(work.path("out.jsonl"), &text[..text.len() - 40]).unwrap();
    work.run(&[]).ended(0, "1 answered, 5 kept from an earlier run");
    assert_eq!(work.by_id("out.jsonl").len(), 6);
    // What a crash of the system may leave.
    fs::write(work.path("out.jsonl"), text + "\0\0\0\0").unwrap();
    work.run(&[]).ended(0, "0 answered, 6 kept from an earlier run");
    assert_eq!(work.by_id("out.jsonl").len(), 6);
}

#[test]
fn a_changed_request_runs_again_and_takes_the_place_of_the_old() {
    let row = |a| sum("x", a, 25, json!({}));
    let work = Work::new(&[row(17), sum("y", 30, 12, json!({}))]);
    work.run(&["--order", "input"]).ended(0, "2 answered");
    assert_eq!(content(&work.by_id("out.jsonl")["x"]), "17 + 25 = 42");
    work.input(&[row(42), sum("y", 30, 12, json!({"user": "somebody else"}))]);
    work.run(&["--order", "input"]).ended(0, "1 answered, 1 kept from an earlier run, 1 request changed");
    assert_eq!(content(&work.by_id("out.jsonl")["x"]), "42 + 25 = 67");
    assert_eq!(work.rows("out.jsonl").iter().map(id).collect::<Vec<_>>(), ["x", "y"]);
    // A setting that changes answers changes every row.
    work.run(&["--stop", "zebra"]).ended(0, "2 answered, 2 requests changed");
    assert_eq!(work.by_id("out.jsonl").len(), 2);
}

#[test]
fn another_model_is_refused_unless_told() {
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
fn a_file_that_is_not_ours_is_left_alone() {
    let work = Work::new(&short(1));
    for text in ["my notes", "my notes\n", "{\"id\": 1}\n{\"id\":\"batch_req_"] {
        fs::write(work.path("out.jsonl"), text).unwrap();
        work.run(&[]).ended(1, "line 1 of `out.jsonl` is not a row of a batch");
        assert_eq!(fs::read_to_string(work.path("out.jsonl")).unwrap(), text);
    }
    Ran::of(&mut work.command(&["in.jsonl", "-o", "./in.jsonl"])).ended(1, "cannot be both");
}

#[test]
fn refused_rows_stay_refused_until_told() {
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
fn a_mended_line_takes_the_place_of_its_failure() {
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
    while !work.path("out.jsonl").exists() {
        std::thread::yield_now();
    }
    let mut second = work.run(&[]);
    if !second.err.contains("another process") && first.try_wait().unwrap().is_none() {
        // The file was there before its lock.
        second = work.run(&[]);
    }
    first.kill().unwrap();
    first.wait().unwrap();
    second.ended(1, "is being written by another process");
}

#[test]
fn an_interrupt_finishes_the_rows_at_work_and_a_second_stops_at_once() {
    let row = |n: u32| sum(&format!("r{n}"), n, 25, json!({"max_tokens": 150, "ignore_eos": true}));
    let work = Work::new(&(0..60).map(row).collect::<Vec<_>>());
    let arguments = ["in.jsonl", "-o", "out.jsonl", "-np", "2", "-c", "2048"];
    let send = |child: &std::process::Child, signal: &str| {
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    };
    let mut counts = Vec::new();
    for (signals, expected) in [(vec!["INT"], 130), (vec!["INT", "INT"], 130), (vec!["TERM"], 143)] {
        let before = work.lines("out.jsonl").len();
        let child = work.command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        while work.lines("out.jsonl").len() < before + 2 {
            std::thread::yield_now();
        }
        for signal in signals {
            send(&child, signal);
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(expected), "{output:?}");
        counts.push(String::from_utf8(output.stderr).unwrap());
        work.by_id("out.jsonl");
    }
    assert!(counts[0].contains("finishing") && counts[0].contains("to resume `out.jsonl`"), "{}", counts[0]);
    let left = 60 - work.lines("out.jsonl").len();
    assert!(left > 0);
}
