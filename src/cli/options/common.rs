//! Options of commands that work on files of weights.

use crate::cli::ui::when::When;

/// Options of commands that work on files of weights.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// Use N threads [default: one for each core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Print one JSON object
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
    /// Show progress on standard error: a bar on a terminal, otherwise a line for every 10 %
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN", help_heading = OUTPUT,
        hide_short_help = true)]
    pub(crate) progress: When,
}

/// The help heading of options for output.
pub(crate) const OUTPUT: &str = "Output";

impl Common {
    pub(crate) fn threads(&self) -> usize {
        self.threads.map_or_else(cores, Into::into)
    }
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}
