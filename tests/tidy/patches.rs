//! Patches against upstream: each says why it is here, is in the table, and names a test that needs it.

use std::collections::{BTreeMap, BTreeSet};

use crate::docs::{rows, spans};
use crate::source::{File, has_ending};

/// What each patch begins with, each at the start of a line.
const FIELDS: [&str; 4] = ["Fails without:", "Upstream:", "Needed by:", "Drop when:"];

/// Everything wrong with the series and its table.
pub(crate) fn check(files: &[File], tests: &BTreeSet<String>) -> Vec<String> {
    let Some(readme) = files.iter().find(|f| f.path == "patches/README.md") else {
        return vec!["patches/README.md: is missing".to_owned()];
    };
    let mut wrong = Vec::new();
    let mut listed: BTreeSet<String> = BTreeSet::new();
    for row in rows(&readme.text, "Series", &["patch", "fails without it", "needed by", "drop when"]) {
        listed.extend(spans(&row[0]).into_iter().map(|(_, name)| format!("patches/{name}")));
        let gone = spans(&row[2]).into_iter().filter(|(_, name)| !tests.contains(name));
        wrong.extend(gone.map(|(_, name)| format!("patches/README.md: there is no test `{name}`")));
    }
    let mut numbers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in files.iter().filter(|f| f.path.starts_with("patches/") && has_ending(&f.path, "patch")) {
        let path = &file.path;
        if !listed.remove(path) {
            wrong.push(format!("{path}: is not in the table of patches/README.md"));
        }
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        numbers.entry(dir).or_default().push(name.split('-').next().unwrap_or_default());
        wrong.extend(header(file, tests));
    }
    for (dir, numbers) in numbers {
        for (found, expected) in numbers.iter().zip(1..).filter(|(n, i)| **n != format!("{i:04}")) {
            wrong.push(format!("{dir}: has `{found}-…` where `{expected:04}-…` is expected"));
        }
    }
    wrong.extend(listed.into_iter().map(|name| format!("patches/README.md: there is no `{name}`")));
    wrong
}

fn header(file: &File, tests: &BTreeSet<String>) -> Vec<String> {
    let head: Vec<&str> =
        file.text.lines().take_while(|l| !l.starts_with("diff ") && !l.starts_with("--- ")).collect();
    let field =
        |name: &str| head.iter().find_map(|l| l.strip_prefix(name)).map(str::trim).filter(|v| !v.is_empty());
    let mut wrong: Vec<String> = FIELDS
        .iter()
        .filter(|f| field(f).is_none())
        .map(|f| format!("{}: does not say `{f}`", file.path))
        .collect();
    for test in field("Needed by:").unwrap_or_default().split(',').map(|t| t.trim().trim_matches('`')) {
        if !test.is_empty() && !tests.contains(test) {
            wrong.push(format!("{}: there is no test `{test}`", file.path));
        }
    }
    wrong
}

/// The digest of a series that the build expects, of the lines of `cmake -E sha256sum`.
pub(crate) fn digest(sums: &str) -> String {
    let each = sums.lines().filter_map(|line| {
        let (sum, path) = line.split_once("  ")?;
        let name = path.rsplit(['/', '\\']).next()?;
        Some(format!("{}-{}", name.get(..4)?, sum.get(..12)?))
    });
    each.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_a_part_for_each_patch() {
        let sums = "0123456789abcdef  patches/up/0001-a.patch\nfedcba9876543210  patches/up/0002-b.patch\n";
        assert_eq!(digest(sums), "0001-0123456789ab,0002-fedcba987654");
        assert_eq!(digest(""), "");
    }

    const ROW: &str = "| `up/0001-a.patch` | x | `real` | y |";

    fn judge(row: &str, path: &str, text: &str) -> Vec<String> {
        let table =
            "## Series\n\n| patch | fails without it | needed by | drop when |\n| --- | --- | --- | --- |\n";
        let files = [File::new("patches/README.md", &format!("{table}{row}\n")), File::new(path, text)];
        check(&files, &BTreeSet::from(["real".to_owned()]))
    }

    #[test]
    fn a_patch_says_why_it_is_here() {
        let good = "Fails without: x\nUpstream: y\nNeeded by: real\nDrop when: z\n\n--- a/f\n+++ b/f\n";
        let path = "patches/up/0001-a.patch";
        assert_eq!(judge(ROW, path, good), [""; 0]);
        assert!(judge(ROW, path, &good.replace("real", "gone"))[0].contains("no test `gone`"));
        assert!(judge(&ROW.replace("real", "gone"), path, good)[0].contains("no test `gone`"));
        assert!(judge(ROW, path, "--- a/f\nUpstream: y\n").len() == 4);
        assert!(judge("", path, good)[0].contains("not in the table"));
        assert!(judge(ROW, "patches/up/0002-b.patch", good).len() == 3);
        assert!(check(&[], &BTreeSet::new())[0].contains("missing"));
    }
}
