//! Arguments of `ggrun chat`.

use super::show::Thinking;
use crate::cli::options::generation::GenerationArgs;
use crate::cli::options::model::ModelArgs;
use crate::cli::options::placement::PlacementArgs;
use crate::cli::options::words::ModelWord;

/// Chats with a model
///
/// Answers are written to standard output, thinking and messages to standard error. /help lists the commands.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun chat -m model.gguf
  ggrun chat -hf ORG/NAME-GGUF:Q4_0                  a GGUF of the Hub, downloaded once
  ggrun chat -m model.gguf --session work            resume the conversation of that name
  printf 'What is 17 + 25?\\nAnd 42 - 25?\\n' | ggrun chat -m model.gguf --thinking hide")]
pub(crate) struct ChatArgs {
    #[command(flatten)]
    pub(super) _model: ModelWord,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    /// Set the system prompt (also -sys)
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) system_prompt: Option<String>,
    /// Resume the conversation of this name, and save it after every answer
    #[arg(long, value_name = "NAME")]
    pub(super) session: Option<String>,
    /// Save the text of conversations without the state of the model, which a long one resumes from at once
    #[arg(long)]
    pub(super) no_state: bool,
    /// Set how thinking is shown
    #[arg(long, value_enum, default_value_t = Thinking::Dim)]
    pub(super) thinking: Thinking,
    /// Print each answer as one JSON object
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) generation: GenerationArgs,
    #[command(flatten)]
    pub(crate) placement: PlacementArgs,
}
