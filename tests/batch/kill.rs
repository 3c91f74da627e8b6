//! Killed at a hundred moments, a batch has every row once and keeps those that were written.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use super::{Work, code, id, short};

const KILLS: u32 = 100;

/// Whole lines of all files by id: what an earlier run must not have lost.
fn acknowledged(work: &Work) -> BTreeMap<String, String> {
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

#[test]
fn kill_at_any_moment_loses_nothing_and_doubles_nothing() {
    let (mut kills, mut random, mut files, mut whole) = (0, 12345u64, 0, 0);
    while kills < KILLS {
        let mut lines = short(120);
        lines.insert(7, "{not json".to_owned());
        lines.insert(60, lines[3].clone());
        let work = Work::new(&lines);
        let order = ["completion", "input"][files % 2];
        let mut arguments = vec!["in.jsonl", "-o", "out.jsonl", "-np", "4", "-c", "2048", "--order", order];
        if files % 4 < 2 {
            arguments.extend(["--errors", "failed.jsonl"]);
        }
        files += 1;
        let mut kept = BTreeMap::new();
        let code_of_last = loop {
            let mut command = work.command(&arguments);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            std::thread::sleep(Duration::from_millis(40 + (random >> 33) % 200));
            if kills == KILLS {
                break child.wait().unwrap().code();
            }
            if let Some(status) = child.try_wait().unwrap() {
                break status.code();
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            let now = acknowledged(&work);
            for (id, line) in &kept {
                assert_eq!(now.get(id), Some(line), "{id} was lost or changed");
            }
            whole += now.len() - kept.len();
            kept = now;
        };
        assert_eq!(code_of_last, Some(5), "two rows fail");
        let apart = work.by_id("failed.jsonl");
        let mut rows = work.by_id("out.jsonl");
        let before = rows.len();
        rows.extend(apart);
        let expected: BTreeSet<String> =
            (0..120).map(|n| format!("r{n}")).chain(["line-8".to_owned(), "line-61".to_owned()]).collect();
        assert_eq!(rows.keys().cloned().collect::<BTreeSet<_>>(), expected);
        assert_eq!(before, if arguments.contains(&"--errors") { 120 } else { 122 });
        assert_eq!((code(&rows["line-8"]), code(&rows["line-61"])), ("invalid_json", "duplicate_custom_id"));
        let last = acknowledged(&work);
        for (id, line) in &kept {
            assert_eq!(last.get(id), Some(line), "{id} was lost or changed");
        }
        assert!(!work.path("out.jsonl.part").exists());
        if order == "input" {
            let ids: Vec<String> =
                work.rows("out.jsonl").iter().map(id).filter(|id| id.starts_with('r')).collect();
            assert!(ids.is_sorted_by_key(|id| id[1..].parse::<u32>().unwrap()), "{ids:?}");
        }
    }
    println!("{kills} kills of {files} batches, {whole} rows were whole when one came");
    assert!(whole > 100, "{whole} rows: the kills came before there was anything to lose");
}
