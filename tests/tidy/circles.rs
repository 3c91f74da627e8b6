//! Circles of files: a file depends on every file that defines an item which its code names by a path.
//!
//! Names are followed through declarations and re-exports to the file with the definition, so that a `mod.rs` that only
//! declares and re-exports is in no circle. A child that names an item defined in its parent's file depends on that
//! file; if the parent names the child as well, the two are a circle. A path that ends in a module is no dependency by
//! itself, a glob import is one on the module's file. Methods and fields are not followed: only paths are.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{File, Named, is_word, module_path, paths, tokens};

/// One file of a crate.
struct Unit<'f> {
    file: &'f File,
    path: Vec<String>,
    /// Items that it defines.
    items: BTreeSet<&'f str>,
    named: Vec<Named>,
}

/// The files of a crate and how they depend on each other.
pub(crate) struct Graph<'f> {
    own: &'static [&'static [&'static str]],
    units: Vec<Unit<'f>>,
    modules: BTreeMap<Vec<String>, usize>,
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Item(usize),
    Module(Vec<String>),
}

/// How many re-exports of re-exports are followed.
const MOST_STEPS: u32 = 16;

impl<'f> Graph<'f> {
    /// The product code of the files under `src`; `own` are the names by which a crate knows itself.
    pub(crate) fn new(src: &str, own: &'static [&'static [&'static str]], files: &'f [File]) -> Self {
        let (mut units, mut modules) = (Vec::new(), BTreeMap::new());
        for file in files.iter().filter(|f| f.is_rust() && !f.test) {
            let Some(inside) = file.path.strip_prefix(src).and_then(|p| p.strip_prefix('/')) else {
                continue;
            };
            let path = module_path(inside);
            // `main.rs` comes after `lib.rs` and shares its folder: its own names are what it declares.
            modules.entry(path.clone()).or_insert(units.len());
            units.push(Unit { file, path, items: items(&file.product), named: paths(&file.product) });
        }
        Self { own, units, modules }
    }

    /// Each circle as one message with the lines that close it.
    pub(crate) fn circles(&self) -> Vec<String> {
        let edges: Vec<BTreeMap<usize, (usize, String)>> =
            (0..self.units.len()).map(|unit| self.edges(unit)).collect();
        let reach: Vec<BTreeSet<usize>> = (0..edges.len()).map(|from| reachable(&edges, from)).collect();
        let mut seen = BTreeSet::new();
        let mut wrong = Vec::new();
        for from in 0..edges.len() {
            let circle: Vec<usize> =
                reach[from].iter().copied().filter(|to| reach[*to].contains(&from)).collect();
            if circle.is_empty() || !seen.insert(circle.clone()) {
                continue;
            }
            let mut lines = vec![format!("a circle of {} files:", circle.len())];
            for &unit in &circle {
                for (to, (line, name)) in edges[unit].iter().filter(|(to, _)| circle.contains(to)) {
                    let (file, to) = (&self.units[unit].file.path, &self.units[*to].file.path);
                    lines.push(format!("  {file}:{line}: names `{name}` of {to}"));
                }
            }
            wrong.push(lines.join("\n"));
        }
        wrong
    }

    /// The files that a file depends on, each with one line and name that says so.
    fn edges(&self, unit: usize) -> BTreeMap<usize, (usize, String)> {
        let mut edges = BTreeMap::new();
        let here = &self.units[unit];
        for Named { line, segments, imported } in &here.named {
            let found = self.resolve(here, segments, *imported, MOST_STEPS);
            let to = match found {
                Some(Found::Item(to)) => Some(to),
                Some(Found::Module(path)) if segments.last().is_some_and(|s| s == "*") => {
                    self.modules.get(&path).copied()
                }
                _ => None,
            };
            if let Some(to) = to.filter(|to| *to != unit) {
                edges.entry(to).or_insert_with(|| (*line, segments.join("::")));
            }
        }
        edges
    }

    /// Where a path leads that stands in a file.
    fn resolve(&self, here: &Unit<'_>, segments: &[String], imported: bool, steps: u32) -> Option<Found> {
        let steps = steps.checked_sub(1)?;
        let first = segments.first()?.as_str();
        if self.own.contains(&&[first][..]) {
            return self.walk(Vec::new(), &segments[1..], steps);
        }
        let up = segments.iter().take_while(|s| *s == "super").count();
        if up > 0 {
            let kept = here.path.len().checked_sub(up)?;
            return self.walk(here.path[..kept].to_vec(), &segments[up..], steps);
        }
        if first == "self" {
            return self.walk(here.path.clone(), &segments[1..], steps);
        }
        let child = [&here.path[..], &[first.to_owned()]].concat();
        if self.modules.contains_key(&child) {
            return self.walk(child, &segments[1..], steps);
        }
        // What was imported under that name; an import itself would find itself.
        let import = here.named.iter().find(|n| {
            n.imported && !imported && n.segments.len() > 1 && n.segments.last().is_some_and(|s| s == first)
        })?;
        let start = self.resolve(here, &import.segments, true, steps)?;
        match start {
            Found::Item(_) => Some(start),
            Found::Module(path) => self.walk(path, &segments[1..], steps),
        }
    }

    /// Follows names from a module on.
    fn walk(&self, module: Vec<String>, rest: &[String], steps: u32) -> Option<Found> {
        let steps = steps.checked_sub(1)?;
        let Some(name) = rest.first().filter(|name| *name != "*") else { return Some(Found::Module(module)) };
        let child = [&module[..], std::slice::from_ref(name)].concat();
        if self.modules.contains_key(&child) {
            return self.walk(child, &rest[1..], steps);
        }
        let at = *self.modules.get(&module)?;
        let unit = &self.units[at];
        if unit.items.contains(name.as_str()) {
            return Some(Found::Item(at));
        }
        for import in unit.named.iter().filter(|n| n.imported) {
            let passes_on = match import.segments.split_last() {
                Some((last, from)) if last == "*" => self.resolve(unit, from, true, steps),
                Some((last, _)) if last == name && import.segments.len() > 1 => {
                    return match self.resolve(unit, &import.segments, true, steps)? {
                        Found::Module(path) => self.walk(path, &rest[1..], steps),
                        item @ Found::Item(_) => Some(item),
                    };
                }
                _ => None,
            };
            if let Some(Found::Module(path)) = passes_on
                && let Some(found @ Found::Item(to)) = self.walk(path, rest, steps)
                && self.units[to].items.contains(name.as_str())
            {
                return Some(found);
            }
        }
        // Made by a macro, or of a kind that is not listed.
        Some(Found::Item(at))
    }
}

/// Everything that can be reached from a file by one step or more.
fn reachable(edges: &[BTreeMap<usize, (usize, String)>], from: usize) -> BTreeSet<usize> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(at) = next.pop() {
        next.extend(edges[at].keys().copied().filter(|to| seen.insert(*to)));
    }
    seen
}

/// Names of the items that code defines outside of any block.
fn items(code: &str) -> BTreeSet<&str> {
    const KINDS: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "const", "static", "union"];
    let tokens = tokens(code);
    let (mut depth, mut items) = (0i32, BTreeSet::new());
    for (i, token) in tokens.iter().enumerate() {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            kind if depth == 0 && KINDS.contains(&kind) => {
                let part_of_a_type = i > 0 && ["*", "'"].contains(&tokens[i - 1].text);
                let name = tokens.get(i + 1).map_or("", |t| t.text);
                let is_name = is_word(name.as_bytes().first().copied().unwrap_or(b' '));
                if is_name && !part_of_a_type && !KINDS.contains(&name) && name != "mut" {
                    items.insert(name);
                }
            }
            _ => {}
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<File> = files.iter().map(|(path, text)| File::new(path, text)).collect();
        Graph::new("src", &[&["crate"], &["ggrun"]], &files).circles()
    }

    #[track_caller]
    fn none(files: &[(&str, &str)]) {
        assert_eq!(circles(files), [""; 0]);
    }

    #[track_caller]
    fn one(files: &[(&str, &str)], members: &[&str]) {
        let found = circles(files);
        assert_eq!(found.len(), 1, "{found:?}");
        for member in members {
            assert!(found[0].contains(&format!("  {member}:")), "{member}: {found:?}");
        }
        assert!(found[0].starts_with(&format!("a circle of {} files", members.len())), "{found:?}");
    }

    #[test]
    fn files_that_name_each_other_are_a_circle() {
        one(
            &[
                ("src/a.rs", "use crate::b::B;\npub struct A;"),
                ("src/b.rs", "pub struct B;\nfn f() -> super::a::A {}"),
            ],
            &["src/a.rs", "src/b.rs"],
        );
        one(
            &[
                ("src/a.rs", "use crate::b;\nfn f() { b::g() }"),
                ("src/b.rs", "use ggrun::c::h;\npub fn g() {}"),
                ("src/c.rs", "pub fn h() { crate::a::f() }"),
            ],
            &["src/a.rs", "src/b.rs", "src/c.rs"],
        );
        none(&[
            ("src/a.rs", "use crate::b::B;"),
            ("src/b.rs", "pub struct B;"),
            ("src/c.rs", "use crate::{a::A, b::B};"),
        ]);
    }

    #[test]
    fn a_parent_that_defines_what_its_child_names_is_in_a_circle_and_one_that_passes_it_on_is_not() {
        let child = ("src/a/child.rs", "use super::Thing;\npub fn f(t: Thing) {}");
        one(
            &[("src/a/mod.rs", "mod child;\nuse child::f;\npub struct Thing;"), child],
            &["src/a/mod.rs", "src/a/child.rs"],
        );
        let thing = ("src/a/thing.rs", "pub struct Thing;");
        none(&[
            ("src/a/mod.rs", "mod child;\nmod thing;\npub use child::f;\npub use thing::Thing;"),
            child,
            thing,
        ]);
        none(&[
            ("src/a/mod.rs", "mod child;\nmod thing;\npub use child::f;\npub use thing::*;"),
            child,
            thing,
        ]);
    }

    #[test]
    fn names_are_followed_through_the_root_and_through_renamed_folders() {
        one(
            &[
                ("src/lib.rs", "mod a;\nmod b;\npub use b::B;"),
                ("src/a/mod.rs", "mod in_a;\npub use in_a::A;"),
                ("src/a/in_a.rs", "use crate::B;\npub struct A;"),
                ("src/b.rs", "use crate::a;\npub struct B(a::A);"),
            ],
            &["src/a/in_a.rs", "src/b.rs"],
        );
    }

    #[test]
    fn tests_modules_and_other_crates_make_no_circle() {
        none(&[
            ("src/a.rs", "pub fn f() {}\n#[cfg(test)]\nuse crate::b::g;"),
            ("src/b.rs", "pub fn g() { crate::a::f() }"),
        ]);
        none(&[
            ("src/a/mod.rs", "mod b;\npub fn f() { b::g() }"),
            ("src/a/b.rs", "use super::super::a;\npub fn g() {}"),
        ]);
        none(&[("src/std.rs", "pub fn f() {}"), ("src/a.rs", "use std::fs;\nfn g() { fs::read() }")]);
    }

    #[test]
    fn items_are_those_outside_of_blocks() {
        let code = "pub const fn f() { fn inner() {} }\nstatic mut X: u8 = 0;\nfn g() -> *const T {}\npub(crate) enum E { A }";
        assert_eq!(items(code).into_iter().collect::<Vec<_>>(), ["E", "f", "g"]);
    }
}
