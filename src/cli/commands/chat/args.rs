//! Arguments of `ggrun chat`.

use crate::cli::options::common::OUTPUT;
use crate::cli::options::generation::GenerationArgs;
use crate::cli::options::model::ModelArgs;
use crate::cli::options::output::AnswerArgs;
use crate::cli::options::placement::PlacementArgs;
use crate::cli::options::prompt::{EscapeArgs, SystemArgs, TemplateArgs};
use crate::cli::options::words::ModelWord;
use crate::cli::shared::show::Thinking;

/// Chats with a model
///
/// Answers are written to standard output, thinking and messages to standard error. /help lists the commands.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun chat model.gguf
  ggrun chat ORG/NAME-GGUF:Q4_0                   a GGUF from the hub, downloaded once
  ggrun chat model.gguf --session work            resume the conversation of that name
  printf 'What is 17 + 25?\\nAnd 42 - 25?\\n' | ggrun chat model.gguf --thinking hide")]
pub(crate) struct ChatArgs {
    #[command(flatten)]
    pub(super) _model: ModelWord,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) system: SystemArgs,
    #[command(flatten)]
    pub(super) template: TemplateArgs,
    #[command(flatten)]
    pub(super) escape: EscapeArgs,
    /// Exit after the first answer (also -st)
    #[arg(long, help_heading = CONVERSATION, hide_short_help = true)]
    pub(super) single_turn: bool,
    /// Resume the conversation with this name, and save it after every answer
    #[arg(long, value_name = "NAME", help_heading = CONVERSATION)]
    pub(super) session: Option<String>,
    /// Save the text of conversations without the state of the model
    ///
    /// With the state, a long conversation resumes without being read again.
    #[arg(long, help_heading = CONVERSATION, hide_short_help = true)]
    pub(super) no_state: bool,
    /// Show thinking in this way
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Thinking::Dim, help_heading = OUTPUT)]
    pub(super) thinking: Thinking,
    /// Print each answer as one JSON object
    #[arg(long, help_heading = OUTPUT)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) answer: AnswerArgs,
    #[command(flatten)]
    pub(super) generation: GenerationArgs,
    #[command(flatten)]
    pub(crate) placement: PlacementArgs,
}

const CONVERSATION: &str = "Conversation";
