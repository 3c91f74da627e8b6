//! Cuts a command line into options, their values and the rest, by the definition of the command that is called.
//!
//! clap reads `-ngl 99` as three short options. Options and their values must therefore be identified before clap sees
//! the line.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

/// An argument of the command line, by its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// The name of a subcommand.
    Command,
    /// An option of the command; its value is in the same argument after `=`, or in the one with the index `value`.
    /// `spelling` is what is typed, where another program's name stands for it.
    Option { id: String, value: Option<usize>, spelling: Option<String> },
    /// Spelled like an option, but the command has no such option.
    Unknown { name: String },
    /// Anything else.
    Positional,
    /// `--`.
    Escape,
}

/// A command line that was cut up.
#[derive(Debug)]
pub(crate) struct Line<'c> {
    /// The command that is called, built.
    pub(crate) command: &'c Command,
    /// Names from the program's on: `ggrun cache ls`.
    pub(crate) path: Vec<&'c str>,
    /// Every argument that is not a value of an option, in order.
    pub(crate) items: Vec<(usize, Item)>,
}

impl Line<'_> {
    /// Positional arguments.
    pub(crate) fn positionals(&self) -> impl Iterator<Item = usize> {
        self.items.iter().filter(|(_, item)| *item == Item::Positional).map(|(index, _)| *index)
    }

    /// The places of an option and its value on the command line.
    pub(crate) fn options(&self, id: &str) -> impl Iterator<Item = (usize, Option<usize>)> {
        self.items.iter().filter_map(move |(index, item)| match item {
            Item::Option { id: typed, value, .. } if typed == id => Some((*index, *value)),
            _ => None,
        })
    }

    /// The last value of an option.
    pub(crate) fn last(&self, id: &str, arguments: &[OsString]) -> Option<OsString> {
        self.options(id).last().and_then(|(index, at)| value(arguments, index, at))
    }
}

/// The meaning of a name that the command does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// The long option of this name.
    Long(&'static str),
    /// Something that the command does not have; this many values follow it.
    Values(usize),
}

/// Cuts up `arguments`, of which the first is the program. `root` must be built. `foreign` gives the meaning of other programs' names.
pub(crate) fn cut<'c>(
    root: &'c Command,
    arguments: &[OsString],
    foreign: impl Fn(&Command, &str, &[&str]) -> Foreign,
) -> Line<'c> {
    let mut line = Line { command: root, path: vec![root.get_name()], items: Vec::new() };
    let (mut index, mut over) = (1, false);
    while let Some(argument) = arguments.get(index) {
        let text = argument.to_str().unwrap_or_default();
        let at = index;
        index += 1;
        let item = match text {
            _ if over => Item::Positional,
            "--" => {
                over = true;
                Item::Escape
            }
            _ if text.len() < 2 || !text.starts_with('-') => {
                let begun = line.positionals().next().is_some();
                match line.command.find_subcommand(text).filter(|_| !begun && !text.is_empty()) {
                    Some(command) => {
                        line.command = command;
                        line.path.push(command.get_name());
                        Item::Command
                    }
                    None => Item::Positional,
                }
            }
            _ => {
                let (name, inline) = text.split_once('=').map_or((text, None), |(n, v)| (n, Some(v)));
                let own = find(line.command, name);
                let meant =
                    if own.is_none() { foreign(line.command, name, &line.path) } else { Foreign::Values(0) };
                let theirs = match meant {
                    Foreign::Long(long) => find(line.command, long),
                    Foreign::Values(_) => None,
                };
                match (own.or(theirs), meant) {
                    (Some((arg, rest)), _) => {
                        let apart = inline.is_none() && rest.is_empty();
                        let value = apart.then_some(index).filter(|next| follows(arg, arguments.get(*next)));
                        index += usize::from(value.is_some());
                        let spelling = own.is_none().then(|| name.to_owned());
                        Item::Option { id: arg.get_id().to_string(), value, spelling }
                    }
                    (None, Foreign::Values(count)) => {
                        index = (index + if inline.is_some() { 0 } else { count }).min(arguments.len());
                        Item::Unknown { name: name.to_owned() }
                    }
                    (None, Foreign::Long(_)) => Item::Unknown { name: name.to_owned() },
                }
            }
        };
        line.items.push((at, item));
    }
    line
}

/// The option of a command with this spelling, and the value attached to it if it is short.
fn find<'c, 't>(command: &'c Command, name: &'t str) -> Option<(&'c Arg, &'t str)> {
    if let Some(long) = name.strip_prefix("--") {
        let named = |arg: &&Arg| {
            arg.get_long() == Some(long) || arg.get_all_aliases().is_some_and(|names| names.contains(&long))
        };
        return command.get_arguments().find(named).map(|arg| (arg, ""));
    }
    let short = name.chars().nth(1)?;
    let rest = &name[1 + short.len_utf8()..];
    let named = |arg: &&Arg| {
        arg.get_short() == Some(short)
            || arg.get_all_short_aliases().is_some_and(|names| names.contains(&short))
    };
    let arg = command.get_arguments().find(named)?;
    let repeats = !arg.get_action().takes_values() && rest.chars().all(|c| c == short);
    let number = rest.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let attached = arg.get_action().takes_values() && (rest.is_empty() || number);
    (repeats || attached).then_some((arg, rest))
}

/// Whether an argument is the value of the option before it, as clap sees it.
fn follows(arg: &Arg, next: Option<&OsString>) -> bool {
    let takes =
        arg.get_action().takes_values() && arg.get_num_args().is_none_or(|count| count.max_values() > 0);
    let Some(next) = next.map(|next| next.to_str().unwrap_or("text")).filter(|_| takes) else { return false };
    let number = next.strip_prefix('-').is_some_and(|text| text.parse::<f64>().is_ok());
    let negative = number && arg.is_allow_negative_numbers_set();
    !arg.is_require_equals_set()
        && (arg.is_allow_hyphen_values_set() || negative || !next.starts_with('-') || next == "-")
}

/// The text of an option's value.
pub(crate) fn value(arguments: &[OsString], index: usize, value: Option<usize>) -> Option<OsString> {
    match value {
        Some(value) => arguments.get(value).cloned(),
        None => inline(arguments.get(index)?),
    }
}

/// The text after the `=`.
fn inline(argument: &OsStr) -> Option<OsString> {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = argument.as_bytes();
    let at = bytes.iter().position(|byte| *byte == b'=')?;
    Some(OsStr::from_bytes(&bytes[at + 1..]).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ArgAction;

    fn command() -> Command {
        let mut root = Command::new("x").subcommand(
            Command::new("run")
                .arg(Arg::new("prompt").short('p').long("prompt").allow_hyphen_values(true))
                .arg(Arg::new("number").short('n').long("number").allow_negative_numbers(true))
                .arg(Arg::new("verbose").short('v').long("verbose").action(ArgAction::Count))
                .arg(Arg::new("force").short('f').long("force").action(ArgAction::SetTrue))
                .arg(Arg::new("words").num_args(0..)),
        );
        root.build();
        root
    }

    #[track_caller]
    fn check(typed: &str, expected: &str) {
        let root = command();
        let arguments: Vec<OsString> = typed.split(' ').map(OsString::from).collect();
        let line = cut(&root, &arguments, |_, name, _| match name {
            "-lv" => Foreign::Values(1),
            "-num" => Foreign::Long("--number"),
            _ => Foreign::Values(0),
        });
        let shown: Vec<String> = line
            .items
            .iter()
            .map(|(_, item)| match item {
                Item::Command => "command".to_owned(),
                Item::Option { id, value: None, .. } => id.clone(),
                Item::Option { id, value: Some(_), .. } => format!("{id}+"),
                Item::Unknown { name } => format!("?{name}"),
                Item::Positional => "word".to_owned(),
                Item::Escape => "escape".to_owned(),
            })
            .collect();
        assert_eq!(shown.join(" "), expected, "{typed}");
    }

    #[test]
    fn values_are_told_from_options() {
        check("x run -p -ngl -f", "command prompt+ force");
        check("x run -n -1 -n=3 -n5 -n-1 --number=2", "command number+ number number number number");
        check("x run -n -f", "command number force");
        check("x run -p -- -f", "command prompt+ force");
        check("x run a -- -f", "command word escape word");
        check("x run --prompt= run", "command prompt word");
        check("x run -", "command word");
    }

    #[test]
    fn letters_are_bundled_only_where_one_is_repeated() {
        check("x run -vv -v", "command verbose verbose");
        check("x run -vf -fv -ngl -ff", "command ?-vf ?-fv ?-ngl force");
        check("x run -lv 3 word", "command ?-lv word");
        check("x run -num -1 -num -f", "command number+ number force");
        check("x run --colour=always --prompts", "command ?--colour ?--prompts");
    }
}
