//! What can be changed while a conversation goes on, as options of the command line.

use clap::Parser;

use crate::cli::options::sampling::Sampling;

/// What `/set` can change.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Settings {
    /// End after this many tokens, thinking included; -1 leaves it to the model.
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        allow_negative_numbers = true,
        visible_alias = "n-predict",
        alias = "max-tokens",
        env = "LLAMA_ARG_N_PREDICT"
    )]
    pub(super) predict: Option<i64>,
    /// Tokens the model may think before it is made to answer; 0 is none, -1 as many as it likes.
    #[arg(long, value_name = "N", allow_negative_numbers = true, env = "LLAMA_ARG_THINK_BUDGET",
        value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub(super) reasoning_budget: Option<i64>,
    #[command(flatten)]
    pub(super) sampling: Sampling,
}

/// `/set` read like a command line.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub(super) struct SetLine {
    #[command(flatten)]
    pub(super) settings: Settings,
}
