//! llama.cpp's spellings: one dash and several letters, which clap cannot express, and options that have no effect here.
//!
//! Every spelling is translated, accepted with a note that says why it has no effect, or refused by name.

pub(crate) mod lexer;
mod table;

use std::ffi::{OsStr, OsString};

use clap::Command;
use lexer::{Foreign, Item, Line, cut};
use table::{Meaning, Spelling, TABLE};

/// A command line as clap can read it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rewritten {
    pub(crate) arguments: Vec<OsString>,
    /// One line for each option that has no effect.
    pub(crate) notes: Vec<String>,
}

/// An option that is refused by name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refused {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Rewrites llama.cpp's spellings. `root` must be built.
///
/// # Errors
///
/// When the command does not have a spelling, or does not support what it stands for.
pub(crate) fn rewrite(root: &Command, arguments: &[OsString]) -> Result<Rewritten, Refused> {
    let line = lex(root, arguments);
    let (mut rewritten, mut notes) = (arguments.to_vec(), Vec::new());
    let mut gone = vec![false; arguments.len()];
    for (index, item) in &line.items {
        let (index, argument) = (*index, &arguments[*index]);
        let (Item::Option { spelling: Some(name), .. } | Item::Unknown { name }) = item else { continue };
        let values = |count: usize| if has_value(argument) { 0 } else { count };
        match meaning(line.command, name, &line.path) {
            Some(Meaning::Long(long)) if matches!(item, Item::Option { .. }) => {
                rewritten[index] = replaced(argument, name, long);
            }
            Some(Meaning::Nothing { values: count, why }) => {
                notes.push(format!("`{name}` has no effect: {why}"));
                gone.iter_mut().skip(index).take(1 + values(*count)).for_each(|gone| *gone = true);
            }
            Some(Meaning::Refused { hint }) => {
                let message = format!("`{name}` is not supported by `{}`", line.path.join(" "));
                return Err(Refused { message, hint: Some((*hint).to_owned()) });
            }
            // clap names a long option and a similar one.
            _ if name.starts_with("--") => {}
            _ => {
                let message = format!("unknown option `{name}` of `{}`", line.path.join(" "));
                let hint = closest(line.command, name, &line.path);
                return Err(Refused { message, hint: hint.map(|like| format!("did you mean `{like}`?")) });
            }
        }
    }
    let mut gone = gone.into_iter();
    rewritten.retain(|_| !gone.next().unwrap_or(false));
    Ok(Rewritten { arguments: rewritten, notes })
}

/// Cuts up a command line with llama.cpp's names.
pub(crate) fn lex<'c>(root: &'c Command, arguments: &[OsString]) -> Line<'c> {
    cut(root, arguments, |command, name, path| match meaning(command, name, path) {
        Some(Meaning::Long(long)) => Foreign::Long(long),
        Some(Meaning::Nothing { values, .. }) => Foreign::Values(*values),
        Some(Meaning::Refused { .. }) | None => Foreign::Values(0),
    })
}

/// The first meaning that fits a command: a long option only if the command has it.
fn meaning(command: &Command, name: &str, path: &[&str]) -> Option<&'static Meaning> {
    let fits = |spelling: &&Spelling| {
        let of = spelling.commands;
        let here = of.is_empty() || path.get(1).is_some_and(|name| of.contains(name));
        let there = match spelling.meaning {
            Meaning::Long(long) => has(command, long),
            Meaning::Nothing { .. } | Meaning::Refused { .. } => true,
        };
        spelling.names.contains(&name) && here && there
    };
    TABLE.iter().find(fits).map(|spelling| &spelling.meaning)
}

fn has(command: &Command, long: &str) -> bool {
    command.get_arguments().any(|arg| arg.get_long() == long.strip_prefix("--"))
}

fn has_value(argument: &OsStr) -> bool {
    argument.to_str().is_some_and(|text| text.contains('='))
}

/// `-ngl=99` as `--n-gpu-layers=99`.
fn replaced(argument: &OsStr, name: &str, long: &str) -> OsString {
    use std::os::unix::ffi::OsStrExt as _;
    let mut text = OsString::from(long);
    text.push(OsStr::from_bytes(&argument.as_bytes()[name.len()..]));
    text
}

/// The command's spelling that is most similar to a name.
fn closest(command: &Command, name: &str, path: &[&str]) -> Option<String> {
    let spellings = TABLE.iter().filter(|spelling| {
        let meant = meaning(command, spelling.names[0], path);
        meant == Some(&spelling.meaning) && !matches!(spelling.meaning, Meaning::Refused { .. })
    });
    let short = spellings.flat_map(|spelling| spelling.names.iter().map(|name| (*name).to_owned()));
    let long = command.get_arguments().filter_map(|arg| arg.get_long().map(|long| format!("--{long}")));
    let bare = |name: &str| name.trim_start_matches('-').to_lowercase();
    // Two transposed letters are one typo, which Jaro does not detect in short names.
    let slip = |other: &String| strsim::damerau_levenshtein(&bare(other), &bare(name)) == 1;
    let likeness =
        |other: &String| if slip(other) { 0.95 } else { strsim::jaro_winkler(&bare(other), &bare(name)) };
    let alike = short.chain(long).map(|other| (likeness(&other), other)).filter(|(like, _)| *like >= ALIKE);
    alike.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, other)| other)
}

/// The similarity above which a name is suggested, from 0 to 1.
pub(crate) const ALIKE: f64 = 0.8;

#[cfg(test)]
mod tests;
