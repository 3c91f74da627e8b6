//! `--order input`: rows in input order, whichever finishes first.

use serde_json::json;

use super::{Work, id, sum};

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
