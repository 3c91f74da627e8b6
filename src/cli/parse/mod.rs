//! Turns the command line into arguments: spellings, the configuration file, variables, then clap.

mod stop;
mod usage;
pub(crate) mod words;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Command, CommandFactory as _, FromArgMatches as _};

use super::args::Args;
use super::compat::lexer::{Line, value};
use super::compat::{self, Rewritten};
use super::config::entry::{Config, Origin};
use super::config::layers::{self, apply};
use super::config::{read, shown};
pub(crate) use stop::Stop;

/// A parsed command line.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) args: Args,
    /// One line for each option that has no effect.
    pub(crate) notes: Vec<String>,
}

/// Parses a command line. `variable` returns the value of an environment variable.
///
/// # Errors
///
/// When there is no command to run; see [`Stop`].
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Parsed, Stop> {
    let mut root = Args::command();
    root.build();
    let Rewritten { arguments, notes } = compat::rewrite(&root, &arguments.into_iter().collect::<Vec<_>>())?;
    let line = compat::lex(&root, &arguments);
    if only_help(&line) {
        return plain(arguments).map(|args| Parsed { args, notes });
    }
    let config = config(&root, &line, &arguments, variable)?;
    let home = variable("HOME").map(PathBuf::from);
    let home = home.as_deref();
    let typed = |id: &str| line.options(id).next().is_some();
    let set = |line: &Line<'_>, typed: &dyn Fn(&str) -> bool| {
        layers::layers(line.command, &line.path, typed, variable, &config)
    };
    let named = set(&line, &typed)?.iter().any(words::is_model);
    let arguments = words::settle(&line, arguments, &config, named)?;
    let line = compat::lex(&root, &arguments);
    let arguments = words::expand(&line, arguments, &config, home);
    let typed = |id: &str| line.options(id).next().is_some();
    let mut settings = set(&line, &typed)?;
    for setting in settings.iter_mut().filter(|setting| words::is_model(setting)) {
        for value in &mut setting.values {
            if let Some(target) = words::target(value, &config, home) {
                *value = target;
            } else if let (Origin::File { .. }, Some(text)) = (&setting.origin, value.to_str()) {
                *value = config.resolve(text, home);
            }
        }
    }
    if typed("print_config") {
        let values = |id: &str| {
            let found: Vec<_> = line.options(id).map(|(index, at)| value(&arguments, index, at)).collect();
            (!found.is_empty()).then(|| found.into_iter().flatten().collect())
        };
        return Err(Stop::Print(shown::show(
            &shown::rows(line.command, &values, &settings),
            &config,
            typed("json"),
        )));
    }
    let root = apply(Args::command(), &line.path, &settings);
    let args =
        root.try_get_matches_from(&arguments).and_then(|mut found| Args::from_arg_matches_mut(&mut found));
    match args {
        Ok(args) => Ok(Parsed { args, notes }),
        // Shown with the variables.
        Err(error) if !error.use_stderr() => plain(arguments).map(|args| Parsed { args, notes }),
        Err(error) => Err(usage::worded(error, &settings)),
    }
}

/// Parses the part that needs neither variables nor the file.
fn plain(arguments: Vec<OsString>) -> Result<Args, Stop> {
    let short = arguments.iter().any(|argument| argument == "-h");
    let found = for_help(Args::command(), short).try_get_matches_from(arguments);
    found.and_then(|mut found| Args::from_arg_matches_mut(&mut found)).map_err(|error| match error.kind() {
        ErrorKind::InvalidSubcommand => usage::worded(error, &[]),
        _ => Stop::Clap(error),
    })
}

/// The definition as help shows it. The short help has one list, without headings and variables; values of variables are
/// never shown.
fn for_help(command: Command, short: bool) -> Command {
    let command = command.mut_args(|arg| match (short, arg.is_positional()) {
        (true, false) => arg.hide_env(true).help_heading(None::<&'static str>),
        _ => arg.hide_env_values(true),
    });
    command.mut_subcommands(|below| for_help(below, short))
}

/// Whether no command is run, whatever else is typed: for help, the version, or an empty line.
fn only_help(line: &Line<'_>) -> bool {
    let help = ["help", "version"].iter().any(|id| line.options(id).next().is_some());
    help || line.path.len() < 2 && line.options("print_config").next().is_none()
        || line.path.get(1) == Some(&"help")
}

fn config(
    root: &Command,
    line: &Line<'_>,
    arguments: &[OsString],
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Config, Stop> {
    if line.options("no_config").next().is_some() {
        return Ok(Config::default());
    }
    let asked = line.last("config", arguments).map(PathBuf::from);
    read::read(root, asked, variable).map_err(Stop::Config)
}

#[cfg(test)]
mod tests;
