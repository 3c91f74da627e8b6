//! Running the same command again.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
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
fn a_changed_request_runs_again_on_request_and_replaces_its_answer() {
    let row = |a| sum("x", a, 25, json!({}));
    let work = Work::new(&[row(17), sum("y", 30, 12, json!({}))]);
    work.run(&["--order", "input"]).ended(0, "2 answered");
    assert_eq!(content(&work.by_id("out.jsonl")["x"]), "17 + 25 = 42");
    work.input(&[row(42), sum("y", 30, 12, json!({"user": "another"}))]);
    let before = fs::read_to_string(work.path("out.jsonl")).unwrap();
    let ran = work.run(&["--order", "input"]);
    ran.ended(2, "1 of 2 answered rows have changed: their requests, or options such as `-n` and `--temp`");
    ran.ended(2, "hint: answer them again with `--rerun-changed`");
    assert_eq!(fs::read_to_string(work.path("out.jsonl")).unwrap(), before);
    let again = ["--order", "input", "--rerun-changed"];
    work.run(&again).ended(0, "1 answered, 1 kept from an earlier run, 1 request changed");
    assert_eq!(content(&work.by_id("out.jsonl")["x"]), "42 + 25 = 67");
    assert_eq!(work.rows("out.jsonl").iter().map(id).collect::<Vec<_>>(), ["x", "y"]);
    // An option that affects answers changes every row.
    work.run(&["--stop", "zebra"]).ended(2, "2 of 2 answered rows have changed");
    work.run(&["--stop", "zebra", "--rerun-changed"]).ended(0, "2 answered, 2 requests changed");
    assert_eq!(work.by_id("out.jsonl").len(), 2);
}

#[test]
fn a_stream_ends_at_the_first_changed_row_and_keeps_what_was_answered() {
    let work = Work::new(&[sum("a", 1, 2, json!({})), sum("b", 3, 4, json!({}))]);
    work.run(&[]).ended(0, "2 answered");
    let lines = [sum("new", 17, 25, json!({})), sum("a", 5, 6, json!({})), sum("b", 3, 4, json!({}))];
    let piped = |arguments: &[&str]| {
        let mut command = work.command(&[&["-", "-o", "out.jsonl"], arguments].concat());
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The batch may end before it has read everything.
        drop(child.stdin.take().unwrap().write_all((lines.join("\n") + "\n").as_bytes()));
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (exit_code, err) = piped(&[]);
    assert_eq!(exit_code, Some(2), "{err}");
    assert!(err.contains("line 2: row `a` has changed since it was answered"), "{err}");
    assert_eq!(content(&work.by_id("out.jsonl")["new"]), "17 + 25 = 42");
    let (exit_code, err) = piped(&["--rerun-changed"]);
    assert_eq!(exit_code, Some(0), "{err}");
    assert!(err.contains("1 answered, 2 kept from an earlier run, 1 request changed"), "{err}");
}

#[test]
fn changed_rows_are_confirmed_on_a_terminal() {
    let work = Work::new(&short(2));
    work.run(&[]).ended(0, "2 answered");
    let answer = |answer: &str| {
        let mut command = work.command(&["in.jsonl", "-o", "out.jsonl", "--stop", "zebra"]);
        command.stdin(Stdio::inherit());
        let mut terminal = rexpect::session::spawn_command(command, Some(300_000)).unwrap();
        terminal.exp_string("2 of 2 answered rows have changed").unwrap();
        terminal.exp_string("Answer them again? [y/N]").unwrap();
        terminal.send_line(answer).unwrap();
        let text = terminal.exp_eof().unwrap();
        (terminal.process().wait().unwrap(), text)
    };
    let (_, text) = answer("n");
    assert!(text.contains("--rerun-changed") && !text.contains("resuming"), "{text}");
    let (_, text) = answer("y");
    assert!(text.contains("2 answered, 2 requests changed"), "{text}");
}

#[test]
fn a_dry_run_counts_only_what_is_left() {
    let work = Work::new(&short(3));
    work.run(&[]).ended(0, "3 answered");
    let mut lines = short(5);
    lines[0] = sum("r0", 0, 26, json!({"max_tokens": 6}));
    lines
        .push(json!({"id": "open", "messages": [{"role": "user", "content": "What is 1 + 1?"}]}).to_string());
    work.input(&lines);
    let before = fs::read_to_string(work.path("out.jsonl")).unwrap();
    let dry = |more: &[&str]| {
        Ran::of(&mut work.command(&[&["in.jsonl", "--dry-run", "-c", "512", "-np", "1"], more].concat()))
    };
    let ran = dry(&["-o", "out.jsonl"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for says in [
        "rows      6\n",
        "found     in `out.jsonl`: 2 answered, 1 answered but changed since (`--rerun-changed` answers them again)\n",
        "left      4 rows\n",
        "answers   up to 18 tokens, and 1 answer without a limit: up to ",
        " tokens if each fills the context\n",
        "unknown length, up to ",
        "if each fills the context (set `-n` for an estimate)",
    ] {
        assert!(ran.out.contains(says), "{says}: {ran:?}");
    }
    assert!(!ran.out.contains(" 0 tokens"), "{ran:?}");
    let json: serde_json::Value = serde_json::from_str(&dry(&["-o", "out.jsonl", "--json"]).out).unwrap();
    assert_eq!(
        [&json["rows"], &json["rows_done_before"], &json["rows_changed"], &json["limited_completion_tokens"]],
        [6, 2, 1, 18]
    );
    let filling = json["filling_completion_tokens"].as_u64().unwrap();
    assert!((1..512).contains(&filling), "{json}");
    // Without a file of answers, all rows are left; nothing is written.
    assert!(!dry(&[]).out.contains("found"));
    assert_eq!(fs::read_to_string(work.path("out.jsonl")).unwrap(), before);
    assert!(!work.path("in.jsonl.answers.jsonl").exists());
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
