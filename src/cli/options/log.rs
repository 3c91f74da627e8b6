//! Options of every command: how much is reported on standard error, and where else.

use std::fs::File;
use std::path::PathBuf;

use anyhow::Context as _;
use tracing_subscriber::filter::EnvFilter;

use crate::cli::error::WrongFilter;
use crate::cli::ui::log::ENGINE;

const FILTER: &str = "RUST_LOG";

/// Options of every command.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Log")]
#[expect(clippy::doc_markdown, reason = "shown as help, where names have no quotes")]
pub(crate) struct LogArgs {
    /// Report more on standard error: -v for information, -vv for every detail
    ///
    /// By default, warnings and errors are reported, and llama.cpp's log is not; -v includes it. RUST_LOG replaces the
    /// default in its usual syntax, such as `RUST_LOG=warn,llama.cpp=info`; -v and -q take precedence over RUST_LOG.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, hide_short_help = true, alias = "log-verbose")]
    verbose: u8,
    /// Print only errors on standard error: no warnings, progress or summary
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "verbose",
        alias = "log-disable",
        hide_short_help = true
    )]
    quiet: bool,
    /// Append the log to a file: every detail, with timestamps
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    log_file: Option<PathBuf>,
    /// Set llama.cpp's number for the same: 1 errors, 2 warnings, 3 information, 4 every detail (also -lv)
    #[arg(long, global = true, value_name = "N", hide = true, alias = "log-verbosity",
        conflicts_with_all = ["verbose", "quiet"])]
    verbosity: Option<u8>,
}

impl LogArgs {
    /// Whether only errors are printed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet || self.verbosity.is_some_and(|level| level < 2)
    }

    /// The filter for standard error.
    ///
    /// # Errors
    ///
    /// When `RUST_LOG` is used and is not a filter.
    pub(crate) fn filter(&self) -> Result<EnvFilter, WrongFilter> {
        let set = std::env::var(FILTER).unwrap_or_default();
        self.chosen(&set)
    }

    fn chosen(&self, set: &str) -> Result<EnvFilter, WrongFilter> {
        // llama.cpp warns about every tensor that it skips, and logs an aborted step as an error.
        let without_engine = |level| EnvFilter::new(format!("{level},{ENGINE}=off"));
        Ok(match (self.verbosity, self.verbose) {
            _ if self.is_quiet() => without_engine("error"),
            (None, 0) if set.trim().is_empty() => without_engine("warn"),
            (None, 0) => EnvFilter::try_new(set.replace("llama.cpp", ENGINE))
                .map_err(|_| WrongFilter { filter: set.to_owned() })?,
            (Some(2), _) => EnvFilter::new("warn"),
            (Some(3), _) | (None, 1) => EnvFilter::new("info"),
            _ => EnvFilter::new("debug"),
        })
    }

    /// The file that the log is appended to.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub(crate) fn file(&self) -> anyhow::Result<Option<File>> {
        let open = |path: &PathBuf| {
            let file = File::options().append(true).create(true).open(path);
            file.with_context(|| format!("cannot write the log to `{}`", path.display()))
        };
        self.log_file.as_ref().map(open).transpose()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        log: LogArgs,
    }

    #[track_caller]
    fn check(line: &str, set: &str, expected: &str) {
        let args = Line::try_parse_from(std::iter::once("x").chain(line.split_whitespace())).unwrap().log;
        let filter = args.chosen(set).unwrap().to_string();
        let (mut found, mut expected): (Vec<_>, Vec<_>) =
            (filter.split(',').collect(), expected.split(',').collect());
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn options_win_over_the_variable_and_the_variable_over_the_default() {
        check("", "", "warn,llama-cpp-2=off");
        check("", "ggrun=trace,llama.cpp=info", "ggrun=trace,llama-cpp-2=info");
        check("-v", "off", "info");
        check("-vv", "off", "debug");
        check("-q", "trace", "error,llama-cpp-2=off");
        check("--verbosity 3", "off", "info");
        check("--verbosity 0", "trace", "error,llama-cpp-2=off");
    }

    #[test]
    fn a_variable_that_is_not_a_filter_is_named() {
        let args = LogArgs::default();
        let error = args.chosen("ggrun=loud").unwrap_err();
        assert!(error.to_string().contains("`RUST_LOG`"), "{error}");
    }
}
