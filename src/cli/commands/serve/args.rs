//! Arguments of `ggrun serve`.

use std::path::PathBuf;

use ggrun::serve::{Folder, FolderError, Page};

use super::network::NetworkArgs;
use crate::cli::options::generation::GenerationArgs;
use crate::cli::options::model::ModelArgs;
use crate::cli::options::placement::PlacementArgs;
use crate::cli::options::prompt::{EscapeArgs, TemplateArgs};
use crate::cli::options::words::ModelWord;

use super::states::DiskArgs;

/// Serves a page to chat in, and the APIs of OpenAI, Anthropic and llama-server
///
/// It listens before the model is downloaded and loaded, and answers requests with 503 until then; `/health` has the
/// progress. Options of answers apply where a request sets none. With -v, responses also contain the rendered prompt, as
/// in llama-server.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(after_help = "\
Examples:
  ggrun serve model.gguf
  ggrun serve -hf ORG/NAME-GGUF:Q4_0 -np 2 -c 65536
  ggrun serve model.gguf --host 0.0.0.0 --api-key SECRET

`ggrun serve --help` shows how to set up Open WebUI, Claude Code, Codex and Zed.")]
#[command(after_long_help = "\
Examples:
  ggrun serve model.gguf
  ggrun serve -hf ORG/NAME-GGUF:Q4_0 -np 2 -c 65536
  ggrun serve model.gguf --host 0.0.0.0 --api-key SECRET

Open WebUI:
  Settings, Connections, OpenAI API: the URL is http://127.0.0.1:8080/v1, the key any text

Claude Code:
  ANTHROPIC_BASE_URL=http://127.0.0.1:8080 ANTHROPIC_AUTH_TOKEN=none claude

Codex, in ~/.codex/config.toml:
  model = \"local\"
  model_provider = \"ggrun\"
  [model_providers.ggrun]
  name = \"ggrun\"
  base_url = \"http://127.0.0.1:8080/v1\"
  wire_api = \"responses\"

Zed, in settings.json:
  \"language_models\": {\"openai_compatible\": {\"ggrun\": {\"api_url\": \"http://127.0.0.1:8080/v1\",
    \"available_models\": [{\"name\": \"local\", \"max_tokens\": 32768}]}}}

Ctrl-C and SIGTERM:
  The first lets requests finish for the time of --drain; the exit code is 0. The second ends the
  server at once, and so does the first while a model is downloaded or loaded and after the engine has
  failed; the exit code is 130 after Ctrl-C and 143 after SIGTERM.")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) _model: ModelWord,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Name the model in answers; more names, separated by commas, are accepted as well [default: the name of the
    /// file or repository]
    #[arg(short, long, value_name = "NAME,...", value_delimiter = ',', env = "LLAMA_ARG_ALIAS",
        action = clap::ArgAction::Set, value_parser = name, hide_short_help = true)]
    pub(crate) alias: Option<Vec<String>>,
    /// Show these tags of the model in lists; they have no effect
    #[arg(long, value_name = "TAG,...", value_delimiter = ',', env = "LLAMA_ARG_TAGS", action = clap::ArgAction::Set,
        hide_short_help = true)]
    pub(crate) tags: Option<Vec<String>>,
    /// Refuse requests for a model of another name
    #[arg(long, hide_short_help = true)]
    pub(crate) strict_model: bool,
    /// Serve `/metrics` in the Prometheus text format
    #[arg(long, env = "LLAMA_ARG_ENDPOINT_METRICS", hide_short_help = true)]
    pub(crate) metrics: bool,
    /// Disable the page at `/` (404)
    #[arg(long, alias = "no-webui", hide_short_help = true)]
    pub(crate) no_ui: bool,
    /// Serve the page in this folder instead of the built-in one
    ///
    /// It needs a file index.html. Hidden files, and links that lead out of the folder, are not served. Files whose
    /// path begins like that of an endpoint, such as /chat/a.js, need a key where the server has keys.
    #[arg(
        long,
        value_name = "DIR",
        env = "LLAMA_ARG_STATIC_PATH",
        conflicts_with = "no_ui",
        hide_short_help = true
    )]
    pub(crate) path: Option<PathBuf>,
    /// Disable `/slots` (501)
    #[arg(long, hide_short_help = true)]
    pub(crate) no_slots: bool,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) disk: DiskArgs,
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    #[command(flatten)]
    pub(crate) escape: EscapeArgs,
    #[command(flatten)]
    pub(crate) generation: GenerationArgs,
    #[command(flatten)]
    pub(crate) placement: PlacementArgs,
}

impl ServeArgs {
    /// Whether it writes JSON objects on standard error.
    pub(crate) fn writes_json(&self) -> bool {
        self.network.log_json
    }

    /// The page, if there is one.
    ///
    /// # Errors
    ///
    /// When the folder cannot be served.
    pub(super) fn page(&self) -> Result<Option<Page>, FolderError> {
        match &self.path {
            Some(folder) => Ok(Some(Page::Folder(Folder::new(folder)?))),
            None => Ok((!self.no_ui).then_some(Page::BuiltIn)),
        }
    }
}

/// A name of the model, which is not empty.
fn name(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("expected a name"),
        name => Ok(name.to_owned()),
    }
}
