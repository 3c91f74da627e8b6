//! Markdown: tables, links, and the paths and tests to which documents refer.

use std::collections::BTreeSet;

use crate::source::{File, has_ending, tokens};

/// Lines outside fenced code, numbered from one.
fn prose(document: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    document.lines().enumerate().filter_map(move |(n, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((n + 1, line))
    })
}

/// The rows of the table with these columns under the heading that has `` `name` ``.
pub(crate) fn rows(document: &str, name: &str, columns: &[&str]) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let (mut here, mut inside, mut out) = (false, false, Vec::new());
    for (_, line) in prose(document) {
        if line.starts_with('#') {
            here = line.contains(&format!("`{name}`")) || line.trim_start_matches('#').trim() == name;
            inside = false;
        } else if here && line.starts_with('|') {
            let row = cells(line);
            if inside && row.len() == columns.len() && !row[0].starts_with("---") {
                out.push(row);
            } else if row == columns {
                inside = true;
            }
        }
    }
    out
}

/// Spans in single backticks, with their lines.
pub(crate) fn spans(document: &str) -> Vec<(usize, String)> {
    let inside = |line: &str| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    prose(document).flat_map(|(n, line)| inside(line).into_iter().map(move |span| (n, span))).collect()
}

/// Targets of inline links and link definitions, with their lines.
fn links(document: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    for (n, line) in prose(document) {
        for piece in line.split("](").skip(1) {
            let target = piece.split([')', ' ']).next().unwrap_or_default();
            out.push((n, target.to_owned()));
        }
        if let Some((_, target)) = line.split_once("]: ").filter(|(name, _)| name.starts_with('[')) {
            out.push((n, target.split(' ').next().unwrap_or_default().to_owned()));
        }
    }
    out
}

/// Dead links, and paths in backticks that do not exist. `exists` takes a path from the root.
pub(crate) fn broken(file: &File, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let dir = file.path.rsplit_once('/').map_or("", |(dir, _)| dir);
    for (line, target) in links(&file.text) {
        let target = target.split('#').next().unwrap_or_default();
        if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        if !exists(&normal(&format!("{dir}/{target}"))) {
            wrong.push(format!("{}:{line}: the link `{target}` is dead", file.path));
        }
    }
    for (line, span) in spans(&file.text) {
        let plain = span.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
        let Some((first, _)) = span.split_once('/').filter(|_| plain) else { continue };
        if exists(first) && !exists(&normal(&span)) && !exists(&normal(&format!("{dir}/{span}"))) {
            wrong.push(format!("{}:{line}: `{span}` does not exist", file.path));
        }
    }
    wrong
}

fn normal(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(out.pop()),
            part => out.push(part),
        }
    }
    out.join("/")
}

/// Names of all tests of all Rust files, and of the page.
pub(crate) fn tests_of(files: &[File]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in files {
        if file.is_page() {
            let titles = file.text.lines().filter_map(|line| line.strip_prefix("test(\"")?.split('"').next());
            names.extend(titles.map(str::to_owned));
        }
        let tokens = tokens(&file.code);
        let mut marked = false;
        for (at, token) in tokens.iter().enumerate() {
            if token.text == "fn" {
                names.extend(tokens.get(at + 1).filter(|_| marked).map(|name| name.text.to_owned()));
                marked = false;
            }
            // `#[test]`, `#[tokio::test]`, with or without arguments.
            let mut attribute = tokens[at..].iter().map(|token| token.text);
            marked |= attribute.by_ref().take(2).eq(["#", "["])
                && attribute.take_while(|text| !["]", "(", "="].contains(text)).last() == Some("test");
        }
    }
    names
}

/// Invariants whose test does not exist, and invariants without a test or a reason.
pub(crate) fn unheld(document: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in rows(document, "Invariants", &["invariant", "held by"]) {
        let names = spans(&row[1]);
        if names.is_empty() && row[1].is_empty() {
            wrong.push(format!("ARCHITECTURE.md: \"{}\" has no test", row[0]));
        }
        for (_, name) in names.into_iter().filter(|(_, name)| !tests.contains(name)) {
            wrong.push(format!("ARCHITECTURE.md: there is no test `{name}`"));
        }
    }
    wrong
}

/// Absolute paths of one machine.
pub(crate) fn machine_paths(file: &File) -> Vec<String> {
    let document = has_ending(&file.path, "md");
    let kinds = ["md", "rs", "toml", "py", "sh", "cmake", "patch", "yml", "js", "mjs"];
    if !kinds.iter().any(|k| has_ending(&file.path, k)) && !file.path.starts_with(".ci/") {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for (n, line) in file.text.lines().enumerate() {
        for (root, everywhere) in
            [("/work", true), ("/home", true), ("/root", true), ("/Users", true), ("/tmp", false)]
        {
            let named = line.match_indices(root).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                line[at + root.len()..].starts_with('/')
                    && before.is_none_or(|c| !c.is_alphanumeric() && !"./_-}$>*".contains(c))
            });
            if named && (everywhere || document) {
                wrong.push(format!("{}:{}: names the machine's path `{root}`", file.path, n + 1));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_and_missing_paths_are_named() {
        let there = |path: &str| ["a.md", "docs", "docs/b.md", "src", "src/x"].contains(&path);
        let broken = |text: &str| broken(&File::new("docs/c.md", text), there);
        for good in [
            "[a](../a.md)",
            "[b](b.md#part)",
            "[w](https://x.y/z)",
            "`src/x/`",
            "`Intel/Model`",
            "```\n[a](no)\n```",
        ] {
            assert_eq!(broken(good), [""; 0], "{good}");
        }
        assert_eq!(broken("\n[a](a.md)"), ["docs/c.md:2: the link `a.md` is dead"]);
        assert_eq!(broken("[q]: no.md"), ["docs/c.md:1: the link `no.md` is dead"]);
        assert_eq!(broken("see `src/y`"), ["docs/c.md:1: `src/y` does not exist"]);
    }

    #[test]
    fn an_invariant_without_its_test_is_named() {
        let table = |held: &str| {
            format!("## Invariants\n\n| invariant | held by |\n| --- | --- |\n| one | {held} |\n")
        };
        let tests = BTreeSet::from(["real".to_owned()]);
        assert_eq!(unheld(&table("`real`"), &tests), [""; 0]);
        assert_eq!(unheld(&table("review: needs the 80B"), &tests), [""; 0]);
        assert_eq!(unheld(&table("`gone`"), &tests), ["ARCHITECTURE.md: there is no test `gone`"]);
        assert_eq!(unheld(&table(""), &tests).len(), 1);
    }

    #[test]
    fn only_a_test_is_a_test() {
        let code =
            "fn no() {}\n#[test]\n#[cfg(unix)]\nfn yes() { fn inner() {} }\n#[cfg(test)]\nfn helper() {}";
        assert_eq!(tests_of(&[File::new("a.rs", code)]), BTreeSet::from(["yes".to_owned()]));
        let page = "test(\"it does\", async (t) => {\n  test(\"no\")\n});\n";
        assert_eq!(
            tests_of(&[File::new("web/tests/a.test.mjs", page)]),
            BTreeSet::from(["it does".to_owned()])
        );
    }

    #[test]
    fn paths_of_a_machine_are_named() {
        let bad = |path: &str, root: &str| machine_paths(&File::new(path, &format!("see `{root}/x`")));
        assert_eq!(bad("a.rs", "/home"), ["a.rs:1: names the machine's path `/home`"]);
        assert_eq!(bad("a.md", "/tmp").len(), 1);
        assert_eq!(bad(".ci/run", "/tmp"), [""; 0]);
        assert_eq!(machine_paths(&File::new("a.md", "src/home/x and https://x.y/home/z")), [""; 0]);
    }
}
