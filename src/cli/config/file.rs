//! Turns TOML into entries, checked against the options of the commands.

use std::path::Path;

use clap::{Arg, Command};
use toml::de::{DeTable, DeValue};

use super::entry::{Config, Entry, Value, WrongConfig};

/// The table of aliases.
const ALIASES: &str = "aliases";
/// Options that are about the file itself, or end the command.
const UNSET: [&str; 5] = ["config", "no-config", "print-config", "help", "version"];
/// The similarity above which a name is suggested, from 0 to 1.
const ALIKE: f64 = 0.8;

/// Reads the text of a file. `root` must be built.
///
/// # Errors
///
/// When the text is not TOML, a key is not an option of any command, or a value has the wrong type. The error names the
/// line.
pub(super) fn parse(root: &Command, path: &Path, text: &str) -> Result<Config, WrongConfig> {
    let lines = Lines { path, text };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        lines.wrong(at, format!("not valid TOML ({})", error.message().trim()), None)
    })?;
    let mut config = Config { path: Some(path.to_owned()), ..Config::default() };
    read(&lines, root, &mut Vec::new(), table.get_ref(), &mut config)?;
    config.entries.sort_by_key(|entry| entry.line);
    Ok(config)
}

fn read(
    lines: &Lines<'_>,
    command: &Command,
    path: &mut Vec<String>,
    table: &DeTable<'_>,
    config: &mut Config,
) -> Result<(), WrongConfig> {
    for (name, value) in table {
        let (at, key) = (name.span().start, name.get_ref().as_ref());
        match value.get_ref() {
            DeValue::Table(inner) if path.is_empty() && key == ALIASES => aliases(lines, inner, config)?,
            DeValue::Table(inner) => {
                let Some(below) = command.find_subcommand(key).filter(|below| below.get_name() != "help")
                else {
                    let names = command.get_subcommands().map(Command::get_name).chain([ALIASES]);
                    let what =
                        format!("unknown table `[{}]`", [&path[..], &[key.to_owned()]].concat().join("."));
                    return Err(lines.wrong(at, what, like(key, names)));
                };
                path.push(below.get_name().to_owned());
                read(lines, below, path, inner, config)?;
                path.pop();
            }
            found => {
                let Some(arg) = option(command, key) else {
                    let mut names = Vec::new();
                    collect(command, &mut names);
                    let place =
                        if path.is_empty() { String::new() } else { format!(" in `[{}]`", path.join(".")) };
                    let hint = like(key, names.iter().map(String::as_str));
                    return Err(lines.wrong(at, format!("unknown key `{key}`{place}"), hint));
                };
                let value = lines.value(key, value.span().start, found, arg)?;
                config.entries.push(Entry {
                    path: path.clone(),
                    key: key.to_owned(),
                    value,
                    line: lines.of(at),
                });
            }
        }
    }
    Ok(())
}

fn aliases(lines: &Lines<'_>, table: &DeTable<'_>, config: &mut Config) -> Result<(), WrongConfig> {
    for (name, value) in table {
        let (at, key) = (name.span().start, name.get_ref().as_ref());
        let Some(target) = value.get_ref().as_str().filter(|target| !target.is_empty()) else {
            return Err(lines.wrong(at, format!("alias `{key}` expects a path or ORG/NAME in quotes"), None));
        };
        if key.is_empty() || key.starts_with('-') {
            return Err(lines.wrong(at, format!("`{key}` cannot be an alias"), None));
        }
        config.aliases.push((key.to_owned(), target.to_owned(), lines.of(at)));
    }
    Ok(())
}

/// The option of a key, in a command or below it.
fn option<'c>(command: &'c Command, key: &str) -> Option<&'c Arg> {
    let own = command.get_arguments().find(|arg| names(arg).any(|name| name == key));
    own.or_else(|| below(command).find_map(|below| option(below, key)))
}

fn below(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| below.get_name() != "help")
}

/// Names by which an option can be set.
pub(super) fn names(arg: &Arg) -> impl Iterator<Item = &str> {
    let long = arg.get_long().filter(|long| !UNSET.contains(long));
    let aliases = long.and_then(|_| arg.get_all_aliases()).unwrap_or_default();
    long.into_iter().chain(aliases)
}

fn collect(command: &Command, found: &mut Vec<String>) {
    found.extend(command.get_arguments().flat_map(names).map(str::to_owned));
    below(command).for_each(|below| collect(below, found));
}

/// A hint with the name that is most similar to a key.
fn like<'n>(key: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let plain = key.to_lowercase().replace('_', "-");
    let alike = names.map(|name| (strsim::jaro_winkler(&plain, name), name));
    let (_, name) = alike.filter(|(like, _)| *like >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(format!("did you mean `{name}`?"))
}

/// The text, to find lines in.
struct Lines<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Lines<'_> {
    fn of(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }

    fn wrong(&self, at: usize, message: String, hint: Option<String>) -> WrongConfig {
        WrongConfig::Line { path: self.path.to_owned(), line: self.of(at), message, hint }
    }

    fn value(&self, key: &str, at: usize, found: &DeValue<'_>, arg: &Arg) -> Result<Value, WrongConfig> {
        let expected =
            |what: &str| self.wrong(at, format!("`{key}` expects {what}, found {}", found.type_str()), None);
        let flag = !arg.get_action().takes_values();
        let counts = matches!(arg.get_action(), clap::ArgAction::Count);
        let many = matches!(arg.get_action(), clap::ArgAction::Append) || arg.get_value_delimiter().is_some();
        match found {
            DeValue::Integer(_) if counts => {}
            _ if counts => return Err(expected("a number")),
            DeValue::Boolean(_) if flag => {}
            _ if flag => return Err(expected("true or false")),
            DeValue::Array(_) if !many => return Err(expected("one value")),
            _ => {}
        }
        let text = |value: &DeValue<'_>| text(value).ok_or_else(|| expected("text, a number, true or false"));
        match found {
            DeValue::Array(list) => {
                Ok(Value::List(list.iter().map(|value| text(value.get_ref())).collect::<Result<_, _>>()?))
            }
            value => Ok(Value::One(text(value)?)),
        }
    }
}

/// A value as it would be typed.
fn text(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.clone().into_owned(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok()?.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => return None,
    })
}
