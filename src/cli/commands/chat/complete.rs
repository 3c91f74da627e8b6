//! Completes commands, options, conversations and files at the prompt.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use clap::ValueEnum as _;
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::command::names;
use super::fields::FIELDS;
use super::path::expanded;
use super::store::Store;
use crate::cli::shared::show::Thinking;
use crate::cli::ui::escape::printable;

/// Helps the line editor.
#[derive(Debug)]
pub(super) struct Assistant {
    store: Option<Store>,
    /// Whether the line had text since it was last asked.
    typed: Cell<bool>,
}

impl Assistant {
    pub(super) fn new(store: Option<Store>) -> Self {
        Self { store, typed: Cell::new(false) }
    }

    /// Whether the line had text since the last call.
    pub(super) fn take_typed(&self) -> bool {
        self.typed.take()
    }

    /// Where the completed text begins, and what it may become.
    fn candidates(&self, line: &str) -> (usize, Vec<Pair>) {
        let Some((command, rest)) = line.split_once(' ') else {
            return (0, matching(names().map(str::to_owned), line));
        };
        let begin = line.len() - rest.trim_start().len();
        let rest = &line[begin..];
        let found = match command {
            "/set" | "/unset" => matching(FIELDS.iter().map(|field| field.name.to_owned()), rest),
            "/think" => {
                let shown = Thinking::value_variants().iter().map(|how| how.name());
                matching(shown.chain(["on".to_owned(), "off".to_owned()]), rest)
            }
            "/load" | "/save" if !rest.contains('/') => {
                let names = self.store.as_ref().and_then(|store| store.names().ok());
                matching(names.unwrap_or_default().into_iter(), rest)
            }
            "/read" | "/export" | "/load" | "/save" => {
                let name = rest.rfind('/').map_or(0, |slash| slash + 1);
                return (begin + name, files(&rest[..name], &rest[name..]));
            }
            _ => Vec::new(),
        };
        (begin, found)
    }
}

fn matching(names: impl Iterator<Item = String>, begun: &str) -> Vec<Pair> {
    let found = names.filter(|name| name.starts_with(begun));
    found.map(|name| Pair { display: name.clone(), replacement: name }).collect()
}

/// The files of a folder whose names begin like this. Names that would control the terminal are left out.
fn files(folder: &str, begun: &str) -> Vec<Pair> {
    let folder = if folder.is_empty() { ".".into() } else { expanded(Path::new(folder)) };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_shown = !name.starts_with('.') || begun.starts_with('.');
            let slash = if entry.path().is_dir() { "/" } else { "" };
            (is_shown && printable(&name) == name).then(|| name + slash)
        })
        .collect();
    names.sort();
    matching(names.into_iter(), begun)
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let line = &line[..at];
        Ok(if line.starts_with('/') { self.candidates(line) } else { (at, Vec::new()) })
    }
}

/// Called after every key; shows no hints.
impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.typed.set(self.typed.get() || !line.is_empty());
        None
    }
}

impl Highlighter for Assistant {}
impl Validator for Assistant {}
impl Helper for Assistant {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_options_and_files_are_completed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["notes a.txt", "notes b.txt", "other", ".hidden", "notes\u{1b}c"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("folder")).unwrap();
        let assistant = Assistant::new(None);
        let complete = |line: &str| {
            let (begin, found) = assistant.candidates(line);
            found
                .into_iter()
                .map(|pair| format!("{}{}", &line[..begin], pair.replacement))
                .collect::<Vec<_>>()
        };
        assert_eq!(complete("/com"), ["/compact"]);
        assert_eq!(complete("/re"), ["/regen", "/read"]);
        assert_eq!(complete("/set top-"), ["/set top-k", "/set top-p", "/set top-nsigma"]);
        assert_eq!(complete("/think o"), ["/think on", "/think off"]);
        let path = folder.path().display();
        assert_eq!(
            complete(&format!("/read {path}/no")),
            [format!("/read {path}/notes a.txt"), format!("/read {path}/notes b.txt")]
        );
        assert_eq!(complete(&format!("/export {path}/f")), [format!("/export {path}/folder/")]);
        assert_eq!(complete(&format!("/read {path}/.h")), [format!("/read {path}/.hidden")]);
        assert!(complete("/nothing x").is_empty() && complete("/read /no/such/folder/x").is_empty());
    }
}
