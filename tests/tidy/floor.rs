//! The floor plan: which module may import which. The tables of ARCHITECTURE.md are the rules.

use std::collections::{BTreeMap, BTreeSet};

use crate::docs::rows;
use crate::source::{File, Named, module_path, paths, tokens};

/// One line of a table.
#[derive(Debug)]
pub(crate) struct Room {
    module: String,
    allowed: Vec<String>,
    forbidden: Vec<String>,
}

/// A crate, or a folder of one that has a table of its own, and the paths by which code names it from anywhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crate {
    pub(crate) src: &'static str,
    pub(crate) own: &'static [&'static [&'static str]],
    /// Crates of the workspace that count as imports.
    pub(crate) others: &'static [&'static str],
}

/// The rooms of the table under a heading that names the folder.
pub(crate) fn rooms(document: &str, src: &str) -> Vec<Room> {
    let strip =
        |cell: &str| cell.trim().trim_matches('`').trim_end_matches('/').trim_end_matches(".rs").to_owned();
    let mut rooms = Vec::new();
    for cells in rows(document, src, &["module", "holds", "may import"]) {
        let (mut allowed, mut forbidden) = (Vec::new(), Vec::new());
        for import in cells[2].split(',').map(str::trim).filter(|s| !s.is_empty() && *s != "–") {
            match import.strip_prefix("not ") {
                Some(path) => forbidden.push(strip(path)),
                None => allowed.push(strip(import)),
            }
        }
        rooms.push(Room { module: strip(&cells[0]), allowed, forbidden });
    }
    rooms
}

/// Everything in which the source differs from its table.
pub(crate) fn check(krate: Crate, rooms: &[Room], files: &[File]) -> Vec<String> {
    let mut wrong = cycles(krate, rooms);
    let known: BTreeMap<&str, &Room> = rooms.iter().map(|r| (r.module.as_str(), r)).collect();
    let mut seen = BTreeSet::new();
    let exported = reexports(krate, files);
    for file in files.iter().filter(|f| f.is_rust()) {
        let Some(inside) = file.path.strip_prefix(krate.src).and_then(|p| p.strip_prefix('/')) else {
            continue;
        };
        let here = module_path(inside);
        let own = here.first().map_or_else(|| inside.trim_end_matches(".rs").to_owned(), Clone::clone);
        seen.insert(own.clone());
        let Some(room) = known.get(own.as_str()) else {
            wrong
                .push(format!("{}:1: module `{own}` has no line in the table of `{}`", file.path, krate.src));
            continue;
        };
        if file.test {
            continue;
        }
        for line in inline_modules(&file.product) {
            wrong.push(format!("{}:{line}: a module is a file; move it into one", file.path));
        }
        for (line, target) in imports(krate, &here, &file.product) {
            let first = target.split("::").next().unwrap_or_default();
            let target = match exported.get(first) {
                Some(home) if !known.contains_key(first) => home.clone(),
                _ => target.clone(),
            };
            let first = target.split("::").next().unwrap_or_default();
            if first == own {
                continue;
            }
            if !known.contains_key(first) && !krate.others.contains(&first) {
                wrong.push(format!("{}:{line}: `{target}` is in no module of the table", file.path));
            } else if !room.permits(&target) {
                wrong.push(format!(
                    "{}:{line}: `{own}` may not import `{target}` (ARCHITECTURE.md, table of `{}`)",
                    file.path, krate.src
                ));
            }
        }
    }
    let missing = known.keys().filter(|m| !seen.contains(**m));
    wrong.extend(missing.map(|m| format!("ARCHITECTURE.md: `{}` has no module `{m}`", krate.src)));
    wrong
}

impl Room {
    fn permits(&self, target: &str) -> bool {
        let under = |path: &String| {
            target == path || target.strip_prefix(path.as_str()).is_some_and(|r| r.starts_with("::"))
        };
        !self.forbidden.iter().any(under) && self.allowed.iter().any(|p| p == "all" || under(p))
    }
}

/// What a file names of its crate and of the workspace, from the root of the crate.
fn imports(krate: Crate, here: &[String], code: &str) -> Vec<(usize, String)> {
    let all = paths(code);
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in all.iter().filter(|p| p.imported) {
        if let (Some(target), Some(last)) = (resolve(krate, here, &path.segments), path.segments.last()) {
            names.insert(last.clone(), target);
        }
    }
    let mut out = Vec::new();
    for Named { line, segments, imported } in &all {
        // `quant::reference` after `use crate::quant` is as much an import as the long form.
        let known = names.get(&segments[0]).filter(|_| !imported);
        let target = match known {
            Some(start) => Some([start, &segments[1..]].concat()),
            None => resolve(krate, here, segments),
        };
        out.extend(target.filter(|t| !t.is_empty()).map(|t| (*line, t.join("::"))));
    }
    out
}

fn resolve(krate: Crate, here: &[String], segments: &[String]) -> Option<Vec<String>> {
    if let Some(own) = krate.own.iter().find(|own| segments.iter().take(own.len()).eq(own.iter())) {
        return Some(segments[own.len()..].to_vec());
    }
    if krate.others.contains(&segments[0].as_str()) {
        return Some(segments.to_vec());
    }
    let up = segments.iter().take_while(|s| *s == "super").count();
    (up > 0 && up >= here.len()).then(|| segments[up..].to_vec())
}

/// Names that the root of the library passes on, and where they live.
fn reexports(krate: Crate, files: &[File]) -> BTreeMap<String, String> {
    let root = format!("{}/lib.rs", krate.src);
    let code = files.iter().find(|f| f.path == root).map_or("", |f| f.product.as_str());
    let named = paths(code).into_iter().filter(|p| p.imported && p.segments.len() > 1);
    named.filter_map(|p| Some((p.segments.last()?.clone(), p.segments.join("::")))).collect()
}

fn inline_modules(code: &str) -> Vec<usize> {
    let tokens = tokens(code);
    tokens.windows(3).filter(|w| w[0].text == "mod" && w[2].text == "{").map(|w| w[0].line).collect()
}

/// A table that lets modules import each other in a circle is no plan.
fn cycles(krate: Crate, rooms: &[Room]) -> Vec<String> {
    let mut left: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for room in rooms {
        let first = |p: &'_ String| p.split("::").next().map(str::to_owned);
        let needs = rooms
            .iter()
            .map(|r| r.module.as_str())
            .filter(|m| *m != room.module && room.allowed.iter().filter_map(first).any(|p| p == *m));
        left.insert(&room.module, needs.collect());
    }
    loop {
        let free: Vec<&str> = left.iter().filter(|(_, needs)| needs.is_empty()).map(|(m, _)| *m).collect();
        if free.is_empty() {
            break;
        }
        left.retain(|m, _| !free.contains(m));
        for needs in left.values_mut() {
            needs.retain(|m| !free.contains(m));
        }
    }
    if left.is_empty() {
        return Vec::new();
    }
    let modules: Vec<&str> = left.into_keys().collect();
    vec![format!(
        "ARCHITECTURE.md: the table of `{}` goes in a circle among {}",
        krate.src,
        modules.join(", ")
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "## `src`\n\n| module | holds | may import |\n| --- | --- | --- |\n| `lib.rs` | x | all |\n\
        | `a/` | x | – |\n| `b.rs` | x | `a`, not `a::secret` |\n| `c` | x | `b::Only` |\n";
    const CRATE: Crate = Crate { src: "src", own: &[&["crate"], &["ggrun"]], others: &["gguf_export"] };

    fn judge(path: &str, text: &str) -> Vec<String> {
        let all = ["src/lib.rs", "src/a/mod.rs", "src/b.rs", "src/c.rs"];
        let mut files: Vec<File> = all.iter().filter(|p| **p != path).map(|p| File::new(p, "")).collect();
        files.push(File::new(path, text));
        check(CRATE, &rooms(TABLE, "src"), &files)
    }

    #[test]
    fn what_the_table_allows_passes() {
        for text in [
            "use crate::a::X;",
            "use super::a;\nlet y = a::open();",
            "use crate::b::own;",
            "#[cfg(test)]\nmod tests { use crate::c; }",
            "// crate::c::X\nlet s = \"crate::c\";",
        ] {
            assert_eq!(judge("src/b.rs", text), [""; 0], "{text}");
        }
        assert_eq!(judge("src/c.rs", "use crate::b::Only;"), [""; 0]);
        assert_eq!(judge("src/lib.rs", "use a::X; use c::Y;"), [""; 0]);
    }

    #[test]
    fn what_it_does_not_allow_is_named_with_file_and_line() {
        for (path, text, target) in [
            ("src/a/mod.rs", "\nuse crate::b::X;", "b::X"),
            ("src/a/mod.rs", "\nuse super::b;", "b"),
            ("src/a/mod.rs", "\nfn f() -> ggrun::b::X {}", "b::X"),
            ("src/a/mod.rs", "\nuse gguf_export::Plan;", "gguf_export::Plan"),
            ("src/b.rs", "\nuse crate::{a::{secret, X}};", "a::secret"),
            ("src/b.rs", "use crate::a;\nlet y = a::secret::key();", "a::secret::key"),
            ("src/c.rs", "\nuse crate::b;", "b"),
            ("src/c.rs", "\nuse crate::b::Other;", "b::Other"),
        ] {
            let wrong = judge(path, text);
            assert_eq!(wrong.len(), 1, "{text}: {wrong:?}");
            assert!(wrong[0].starts_with(&format!("{path}:2: ")), "{wrong:?}");
            assert!(wrong[0].contains(&format!("may not import `{target}`")), "{wrong:?}");
        }
    }

    #[test]
    fn names_are_followed_through_the_root() {
        let mut files = vec![File::new("src/lib.rs", "pub use b::Name;"), File::new("src/b.rs", "")];
        files.push(File::new("src/a/mod.rs", "use crate::Name;"));
        files.push(File::new("src/c.rs", ""));
        let wrong = check(CRATE, &rooms(TABLE, "src"), &files);
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].contains("`a` may not import `b::Name`"), "{wrong:?}");
    }

    #[test]
    fn the_table_and_the_folder_have_the_same_modules() {
        assert!(judge("src/new.rs", "")[0].contains("`new` has no line"));
        let wrong = check(CRATE, &rooms(TABLE, "src"), &[File::new("src/lib.rs", "")]);
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(judge("src/b.rs", "mod inner {}")[0].contains("a module is a file"));
        assert!(judge("src/b.rs", "use crate::nowhere::X;")[0].contains("in no module"));
    }

    #[test]
    fn a_circle_is_no_plan() {
        let table = TABLE.replace("| `a/` | x | – |", "| `a/` | x | c |");
        assert!(check(CRATE, &rooms(&table, "src"), &[])[0].contains("in a circle among a, b, c"));
    }
}
