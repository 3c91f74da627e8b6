//! A batch killed at any moment has every row once and keeps the rows that were written.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::{Work, code, id, short};
use crate::deadline::{Kills, wait_for};
use testkit::rng::Rng;

/// Complete lines of all files, by id: what an earlier run must not have lost.
fn written(work: &Work) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for name in ["out.jsonl", "failed.jsonl", "out.jsonl.part"] {
        let text = std::fs::read(work.path(name)).unwrap_or_default();
        for line in text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            let line = String::from_utf8(line.to_vec()).unwrap();
            let row: serde_json::Value = serde_json::from_str(&line).unwrap();
            found.insert(id(&row), line);
        }
    }
    found
}

fn assert_kept(earlier: &BTreeMap<String, String>, now: &BTreeMap<String, String>) {
    for (id, line) in earlier {
        assert_eq!(now.get(id), Some(line), "{id} was lost or changed");
    }
}

/// Runs one batch until it ends, killing it while kills are due, and checks its files. Returns how many rows the
/// killed runs had written.
fn killed(order: &str, errors: bool, kills: &mut Kills, random: &mut Rng) -> usize {
    let mut lines = short(120);
    lines.insert(7, "{not json".to_owned());
    lines.insert(60, lines[3].clone());
    let work = Work::new(&lines);
    let mut arguments = vec!["in.jsonl", "-o", "out.jsonl", "-np", "4", "-c", "2048", "--order", order];
    if errors {
        arguments.extend(["--errors", "failed.jsonl"]);
    }
    let (mut kept, mut rows) = (BTreeMap::new(), 0);
    let exit_code = loop {
        let mut command = work.command(&arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        if kills.over() {
            break wait_for("the batch to end", || child.try_wait().unwrap()).code();
        }
        // Every other kill may come while the model loads; the rest wait for another row.
        if kills.done.is_multiple_of(2) {
            wait_for("another row", || {
                (written(&work).len() > kept.len() || child.try_wait().unwrap().is_some()).then_some(())
            });
        }
        thread::sleep(Duration::from_millis(random.below(200) as u64));
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills.done += 1;
        let now = written(&work);
        assert_kept(&kept, &now);
        rows += now.len() - kept.len();
        kept = now;
    };
    assert_eq!(exit_code, Some(5), "two rows fail");
    assert_kept(&kept, &written(&work));
    let mut answers = work.by_id("out.jsonl");
    assert_eq!(answers.len(), if errors { 120 } else { 122 });
    answers.extend(work.by_id("failed.jsonl"));
    let expected: BTreeSet<String> =
        (0..120).map(|n| format!("r{n}")).chain(["line-8".to_owned(), "line-61".to_owned()]).collect();
    assert_eq!(answers.keys().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(
        (code(&answers["line-8"]), code(&answers["line-61"])),
        ("invalid_json", "duplicate_custom_id")
    );
    assert!(!work.path("out.jsonl.part").exists());
    if order == "input" {
        let ids: Vec<String> =
            work.rows("out.jsonl").iter().map(id).filter(|id| id.starts_with('r')).collect();
        assert!(ids.is_sorted_by_key(|id| id[1..].parse::<u32>().unwrap()), "{ids:?}");
    }
    rows
}

#[test]
fn a_batch_killed_at_any_moment_loses_and_doubles_no_row() {
    let mut random = Rng::named(12345, "kills");
    let (mut total, mut batches, mut rows) = (0, 0, 0);
    for (order, errors) in [("completion", true), ("input", true), ("completion", false), ("input", false)] {
        let mut kills = Kills::new(4, Duration::from_secs(5), 25);
        while !kills.over() {
            rows += killed(order, errors, &mut kills, &mut random);
            batches += 1;
        }
        total += kills.done;
    }
    println!("{total} kills in {batches} batches; {rows} rows were written before a kill");
    assert!(
        total >= 16 && rows >= 8,
        "{total} kills, {rows} rows: the kills came before there was anything to lose"
    );
}
