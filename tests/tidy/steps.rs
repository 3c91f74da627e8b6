//! The steps of CI: `.ci/run` runs the ones that CONTRIBUTING.md lists, and each is a target of the Makefile.

use crate::docs::{rows, spans};

/// Everything in which the script, the document and the Makefile disagree.
pub(crate) fn check(script: &str, document: &str, makefile: &str) -> Vec<String> {
    let listed: Vec<String> = rows(document, "Checks", &["step", "checks"])
        .iter()
        .flat_map(|row| spans(&row[0]))
        .filter_map(|(_, span)| span.strip_prefix("make ").map(str::to_owned))
        .collect();
    let run = script.lines().find_map(|line| line.strip_prefix("for step in ")?.strip_suffix("; do"));
    let run: Vec<&str> = run.unwrap_or_default().split_whitespace().collect();
    let mut wrong = Vec::new();
    if run.is_empty() || run != listed {
        wrong.push(format!(".ci/run: runs {run:?}, CONTRIBUTING.md lists {listed:?}"));
    }
    for step in run {
        if !makefile.lines().any(|line| line.split_once(':').is_some_and(|(target, _)| target == step)) {
            wrong.push(format!("Makefile: target `{step}` of .ci/run is missing"));
        }
    }
    wrong
}

#[test]
fn a_step_that_is_not_listed_or_not_a_target_is_named() {
    let document = "## Checks\n\n| step | checks |\n| --- | --- |\n| `make a` | x |\n| `make b` | y |\n";
    let makefile = "a: x\n\ty\nb:\n";
    assert_eq!(check("for step in a b; do\n", document, makefile), [""; 0]);
    assert!(check("for step in b a; do\n", document, makefile)[0].contains("CONTRIBUTING.md lists"));
    assert!(check("", "", makefile)[0].contains("runs []"));
    assert_eq!(
        check("for step in a b; do\n", document, "a:\n"),
        ["Makefile: target `b` of .ci/run is missing"]
    );
}
