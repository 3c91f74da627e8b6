//! Arguments of `ggrun run`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::options::common::OUTPUT;
use crate::cli::options::generation::GenerationArgs;
use crate::cli::options::model::ModelArgs;
use crate::cli::options::output::AnswerArgs;
use crate::cli::options::placement::PlacementArgs;
use crate::cli::options::prompt::{EscapeArgs, PROMPT, SystemArgs, TemplateArgs};
use crate::cli::options::words::{ModelWord, PromptWord};
use crate::cli::shared::show;

/// Answers one prompt
///
/// Only the answer is written to standard output, function calls one per line; thinking and timings are written to
/// standard error.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun run model.gguf \"What is 17 + 25?\"
  ggrun run ORG/NAME-GGUF:Q4_0 \"Hello\"              a GGUF from the hub, downloaded once
  ggrun run model.gguf \"Summarize this:\" < notes.txt")]
#[command(after_long_help = "\
Examples:
  ggrun run model.gguf \"What is 17 + 25?\" --temp 0
  ggrun run model.gguf -f question.txt --thinking hide > answer.txt
  ggrun run ORG/NAME-GGUF:Q4_0 \"Hello\"              a GGUF from the hub, downloaded once
  ggrun run model.gguf \"Summarize this:\" < notes.txt
  echo \"What is the capital of Kenya?\" | ggrun run model.gguf --json
  ggrun run model.gguf \"Weather in Oslo?\" --tools tools.json --json | jq .tool_calls
  ggrun run model.gguf -no-cnv \"Once upon a time\"   continue a text without the chat template")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) _model: ModelWord,
    #[command(flatten)]
    pub(crate) _prompt: PromptWord,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Set the prompt; piped standard input is appended to it
    ///
    /// If standard input is a pipe or a file, it is read to its end and appended after an empty line. Without -p and
    /// -f, it is the prompt. `< /dev/null` turns this off.
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "file",
        help_heading = PROMPT)]
    pub(crate) prompt: Option<String>,
    /// Read the prompt from a file, and not from standard input
    #[arg(short, long, value_name = "FILE", help_heading = PROMPT)]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) system: SystemArgs,
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    /// Continue the prompt as it is, without the chat template (also -no-cnv)
    ///
    /// Names of special tokens in the prompt become those tokens.
    #[arg(long, help_heading = PROMPT, hide_short_help = true, conflicts_with_all = ["system_prompt",
        "system_prompt_file", "chat_template", "chat_template_file", "chat_template_kwargs", "tools", "tool_choice",
        "reasoning", "reasoning_budget", "reasoning_budget_message"])]
    pub(crate) no_conversation: bool,
    #[command(flatten)]
    pub(crate) escape: EscapeArgs,
    /// Show thinking on standard error in this way
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Thinking::Dim, help_heading = OUTPUT)]
    pub(crate) thinking: Thinking,
    /// Print one JSON object at the end of the answer
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) answer: AnswerArgs,
    #[command(flatten)]
    pub(crate) generation: GenerationArgs,
    #[command(flatten)]
    pub(crate) placement: PlacementArgs,
}

/// The form of thinking on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Thinking {
    /// Like other text
    Show,
    /// Dimmed, on a terminal
    Dim,
    /// Not at all
    Hide,
}

impl From<Thinking> for show::Thinking {
    fn from(thinking: Thinking) -> Self {
        match thinking {
            Thinking::Show => Self::Show,
            Thinking::Dim => Self::Dim,
            Thinking::Hide => Self::Hide,
        }
    }
}
