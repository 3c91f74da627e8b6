//! Options for the text of an answer.

use super::common::OUTPUT;

/// Options for the text of an answer.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct AnswerArgs {
    /// Write the text of the model as it is, also on a terminal
    ///
    /// By default a terminal gets rendered Markdown, and control characters as escapes. Pipes and files always get the
    /// text as it is.
    #[arg(long, help_heading = OUTPUT, hide_short_help = true)]
    pub(crate) raw: bool,
}
