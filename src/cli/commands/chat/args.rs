//! Arguments of `ggrun chat`.

use super::settings::Settings;
use super::show::Thinking;
use crate::cli::options::model::ModelArgs;
use crate::cli::options::placement::PlacementArgs;
use crate::cli::options::template::TemplateArgs;
use crate::cli::options::words::ModelWord;

/// Talks with a model
///
/// Answers go to standard output; thinking and everything else go to standard error. /help lists the commands.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun chat -m model.gguf
  ggrun chat -hf ORG/NAME-GGUF:Q4_0                  a GGUF of the hub, fetched once
  ggrun chat -m model.gguf --session work            goes on where that conversation was left
  printf 'What is 17 + 25?\\nAnd 42 - 25?\\n' | ggrun chat -m model.gguf --thinking hide")]
pub(crate) struct ChatArgs {
    #[command(flatten)]
    pub(super) _model: ModelWord,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    /// Instructions for the model (also -sys).
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(super) system_prompt: Option<String>,
    /// A conversation to go on with; it is kept under this name after every answer.
    #[arg(long, value_name = "NAME")]
    pub(super) session: Option<String>,
    /// Keep only the text of conversations, and not the model's state, with which a long one goes on at once.
    #[arg(long)]
    pub(super) no_state: bool,
    #[command(flatten)]
    pub(super) template: TemplateArgs,
    /// What becomes of the model's thinking.
    #[arg(long, value_enum, default_value_t = Thinking::Dim)]
    pub(super) thinking: Thinking,
    /// Print each answer as one JSON object.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) settings: Settings,
    #[command(flatten)]
    pub(crate) placement: PlacementArgs,
}
