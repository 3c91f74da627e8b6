//! MODEL and PROMPT without an option. They are in the definition for help and completion: `parse` turns them into
//! `--model` and `--prompt` before clap reads the line.

use std::path::PathBuf;

/// MODEL.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ModelWord {
    /// GGUF to load: a path, an alias, or ORG/NAME[:QUANT] on the hub
    #[arg(id = "model_word", value_name = "MODEL")]
    _model: Option<PathBuf>,
}

/// PROMPT.
#[derive(Debug, Clone, Default, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown as help, where names have no quotes")]
pub(crate) struct PromptWord {
    /// Prompt to answer
    ///
    /// With -m or -hf, the first word is the prompt. Without them, the first word is the model and the second the
    /// prompt; a single word that does not name a model is the prompt if LLAMA_ARG_MODEL, LLAMA_ARG_HF_REPO or the
    /// configuration file names the model.
    #[arg(id = "prompt_word", value_name = "PROMPT")]
    _prompt: Option<String>,
}
