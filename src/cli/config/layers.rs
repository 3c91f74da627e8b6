//! Variables and the configuration file as values of the command that is called.
//!
//! clap also reads variables, but reports an invalid one as a flag that was not typed, and one that conflicts with a
//! flag as an error.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::{Arg, ArgAction, Command};

use super::entry::{Config, Entry, Origin};
use super::file::names;
use crate::cli::options::values::truth;

/// An option that is not typed but still has a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) id: String,
    /// The option as clap's errors name it: `--top-k <N>`.
    pub(crate) shown: String,
    /// The option as it is named where it is set.
    pub(crate) key: String,
    pub(crate) origin: Origin,
    pub(crate) values: Vec<OsString>,
}

/// Two values that exclude each other.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} and {} cannot be used together", place(.0), place(.1))]
pub(crate) struct Contradiction(pub(crate) Box<Setting>, pub(crate) Box<Setting>);

/// Describes where a setting is made.
pub(crate) fn place(setting: &Setting) -> String {
    match &setting.origin {
        Origin::Variable(name) => name.clone(),
        Origin::File { path, line } => format!("`{}` (`{}`, line {line})", setting.key, path.display()),
        Origin::Flag | Origin::Default => format!("`{}`", setting.shown),
    }
}

/// The values that variables and the file set for `command`, which must be built and has this path of names. A typed
/// option takes precedence, also over options that it conflicts with.
///
/// # Errors
///
/// When two values from the same kind of origin conflict.
pub(crate) fn layers(
    command: &Command,
    path: &[&str],
    typed: &dyn Fn(&str) -> bool,
    variable: &dyn Fn(&str) -> Option<OsString>,
    config: &Config,
) -> Result<Vec<Setting>, Contradiction> {
    let mut candidates: Vec<(usize, &Arg, Setting)> = Vec::new();
    for arg in command.get_arguments() {
        let name = arg.get_env().map(|name| name.to_string_lossy().into_owned());
        if let Some((name, value)) = name.and_then(|name| variable(&name).map(|value| (name, value))) {
            candidates.push((0, arg, setting(arg, &name.clone(), Origin::Variable(name), vec![value])));
        }
    }
    let below = path.get(1..).unwrap_or_default();
    let fits = |entry: &&Entry| {
        entry.path.len() <= below.len() && entry.path.iter().zip(below).all(|(one, other)| one == other)
    };
    for entry in config.entries.iter().filter(fits) {
        let found = command.get_arguments().find(|arg| names(arg).any(|name| name == entry.key));
        let (Some(arg), Some(path)) = (found, &config.path) else { continue };
        let origin = Origin::File { path: path.clone(), line: entry.line };
        let values = entry.value.texts();
        let values = match (arg.get_action(), arg.get_value_delimiter()) {
            (ArgAction::Append, _) | (_, None) => values.iter().map(OsString::from).collect(),
            (_, Some(delimiter)) => vec![values.join(&delimiter.to_string()).into()],
        };
        candidates.push((1 + below.len() - entry.path.len(), arg, setting(arg, &entry.key, origin, values)));
    }
    candidates.sort_by_key(|(level, ..)| *level);
    let mut settings: Vec<(usize, &Arg, Setting)> = Vec::new();
    for (level, arg, setting) in candidates {
        let against = |other: &Arg| contradict(command, arg, other) && !off(arg, &setting);
        let beaten = typed(&setting.id)
            || command.get_arguments().any(|other| typed(other.get_id().as_str()) && against(other));
        let same = settings.iter().find(|(_, other, _)| other.get_id() == arg.get_id());
        let other = settings.iter().find(|(_, other, setting)| against(other) && !off(other, setting));
        if beaten {
            continue;
        }
        match same.or(other) {
            Some((before, _, first)) if *before == level => {
                return Err(Contradiction(Box::new(first.clone()), Box::new(setting)));
            }
            Some(_) => {}
            None => settings.push((level, arg, setting)),
        }
    }
    Ok(settings.into_iter().map(|(.., setting)| setting).collect())
}

fn setting(arg: &Arg, key: &str, origin: Origin, values: Vec<OsString>) -> Setting {
    let (id, shown) = (arg.get_id().to_string(), arg.to_string());
    Setting { id, shown, key: key.to_owned(), origin, values }
}

/// A flag that is set to off conflicts with nothing.
fn off(arg: &Arg, setting: &Setting) -> bool {
    let flag =
        !arg.get_action().takes_values() || arg.get_num_args().is_some_and(|count| count.max_values() == 0);
    flag && setting.values.iter().all(|value| value.to_str().is_some_and(|text| truth(text) == Ok(false)))
}

/// Whether clap would refuse one beside the other.
fn contradict(command: &Command, one: &Arg, other: &Arg) -> bool {
    if one.get_id() == other.get_id() {
        return false;
    }
    let against =
        |a: &Arg, b: &Arg| command.get_arg_conflicts_with(a).iter().any(|arg| arg.get_id() == b.get_id());
    let grouped = command.get_groups().any(|group| {
        let has = |arg: &Arg| group.get_args().any(|id| id == arg.get_id());
        !group.clone().is_multiple() && has(one) && has(other)
    });
    grouped || against(one, other) || against(other, one)
}

/// `root`, not built, with the settings as defaults of the command at `path`, and without clap's own reading of
/// variables.
pub(crate) fn apply(root: Command, path: &[&str], settings: &[Setting]) -> Command {
    let own = |command: &Command, setting: &&Setting| {
        command.get_arguments().any(|arg| arg.get_id().as_str() == setting.id)
    };
    let mut command = root.mut_args(|arg| arg.env(Resettable::Reset));
    for setting in settings {
        if own(&command, &setting) {
            let values = setting.values.clone();
            command = command.mut_arg(&setting.id, |arg| arg.default_values(values));
        }
    }
    match path.get(1) {
        Some(name) if command.find_subcommand(name).is_some() => {
            command.mut_subcommand(name, |below| apply(below, &path[1..], settings))
        }
        _ => command,
    }
}
