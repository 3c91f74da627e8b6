//! `--order input`: rows in input order, whichever finishes first.

use std::fs;

use serde_json::json;

use super::{Work, id, short, sum};

#[test]
fn input_order_holds_back_early_rows_and_leaves_no_sidecar() {
    let long = |n: u32| if n == 0 { 120 } else { 5 };
    let row = |n: u32| sum(&format!("r{n}"), n, 17, json!({"max_tokens": long(n), "ignore_eos": true}));
    let work = Work::new(&(0..12).map(row).collect::<Vec<_>>());
    work.run(&["--order", "input", "-np", "4"]).ended(0, "12 answered");
    let ids: Vec<String> = work.rows("out.jsonl").iter().map(id).collect();
    assert_eq!(ids, (0..12).map(|n| format!("r{n}")).collect::<Vec<_>>());
    assert!(!work.path("out.jsonl.part").exists());

    // In order of completion the long row does not come first.
    std::fs::remove_file(work.path("out.jsonl")).unwrap();
    work.run(&["-np", "4"]).ended(0, "12 answered");
    assert_ne!(id(&work.rows("out.jsonl")[0]), "r0");
    // Changing the order answers nothing again.
    work.run(&["--order", "input", "-np", "4"]).ended(0, "0 answered, 12 kept from an earlier run");
    let again: Vec<String> = work.rows("out.jsonl").iter().map(id).collect();
    assert_eq!(again, ids);
}

#[test]
#[cfg(unix)]
fn a_compaction_writes_behind_a_link_and_leaves_files_of_others() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let work = Work::new(&short(4));
    fs::create_dir(work.path("disk")).unwrap();
    symlink("disk/answers.jsonl", work.path("out.jsonl")).unwrap();
    work.run(&["-np", "1"]).ended(0, "4 answered");
    fs::set_permissions(work.path("disk/answers.jsonl"), fs::Permissions::from_mode(0o640)).unwrap();
    let theirs = ["out.jsonl.new", "out.jsonl.tmp", "disk/answers.jsonl.new", "disk/.tmpABC123"];
    for name in theirs {
        fs::write(work.path(name), "theirs").unwrap();
    }
    fs::write(work.path("disk/.ggrun-abcDEF012345.tmp"), "left by a killed run").unwrap();
    // A changed row makes a row stale, and another order moves rows: the file is rewritten.
    let mut lines = short(4);
    lines.reverse();
    lines[0] = sum("r3", 3, 26, json!({"max_tokens": 6}));
    work.input(&lines);
    work.run(&["--order", "input", "--rerun-changed"]).ended(0, "1 answered, 3 kept from an earlier run");
    assert!(work.path("out.jsonl").is_symlink());
    let ids: Vec<String> = work.rows("disk/answers.jsonl").iter().map(id).collect();
    assert_eq!(ids, ["r3", "r2", "r1", "r0"]);
    let mode = fs::metadata(work.path("disk/answers.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    for name in theirs {
        assert_eq!(fs::read(work.path(name)).unwrap(), b"theirs", "{name}");
    }
    assert_eq!(fs::read_dir(work.path("disk")).unwrap().count(), 3, "nothing is left behind");
}

#[test]
fn a_file_of_others_in_the_place_of_the_sidecar_is_left_unchanged() {
    let work = Work::new(&short(2));
    fs::write(work.path("out.jsonl.part"), "theirs\n").unwrap();
    for order in ["completion", "input"] {
        work.run(&["--order", order]).ended(1, "line 1 of `out.jsonl.part` is not a row of a batch");
        assert_eq!(fs::read(work.path("out.jsonl.part")).unwrap(), b"theirs\n");
    }
    let errors = ["--errors", "out.jsonl.part"];
    work.run(&errors).ended(1, "cannot be both the file of failed rows and the file of rows that wait");
}
