//! Usage errors in our own words where clap's would name a flag that was not typed, or repeat the words of a library.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::stop::Stop;
use crate::cli::config::layers::{Setting, place};
use crate::cli::options::reason::reason;

/// Commands of other programs, and their equivalents here.
const OTHERS: [(&[&str], &str); 9] = [
    (&["ls", "list"], "`ggrun cache ls` lists downloaded repositories"),
    (&["pull", "fetch", "get"], "`ggrun download ORG/NAME` downloads a model"),
    (&["rm", "remove", "delete"], "`ggrun cache rm ORG/NAME` removes a downloaded repository"),
    (&["show", "info"], "`ggrun inspect MODEL` describes a model"),
    (&["quantize", "create", "import"], "`ggrun convert CHECKPOINT` makes a GGUF"),
    (&["server", "start"], "`ggrun serve MODEL` serves a model over HTTP"),
    (&["ps", "stop"], "no model stays loaded when a command ends"),
    (&["push", "cp"], "there is no upload; use the hub's own `hf upload`"),
    (&["perplexity"], "`ggrun bench --quality TEXT` measures perplexity"),
];

/// The message that replaces clap's, if any.
pub(super) fn worded(error: clap::Error, settings: &[Setting]) -> Stop {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let name = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            match OTHERS.iter().find(|(names, _)| names.contains(&name.as_str())) {
                Some((_, hint)) => Stop::Usage {
                    message: format!("unknown command `{name}`"),
                    hint: Some((*hint).to_owned()),
                },
                None => Stop::Clap(error),
            }
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::NoEquals => {
            let (Some(arg), Some(value)) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue))
            else {
                return Stop::Clap(error);
            };
            let setting = settings.iter().find(|setting| setting.shown == arg);
            let reason = reason(&error);
            match (setting, reason) {
                (Some(setting), reason) => {
                    let why = reason.unwrap_or_else(|| "not a value of this option".to_owned());
                    let place = match &setting.origin {
                        crate::cli::config::entry::Origin::Variable(name) => {
                            format!("in the environment variable {name}")
                        }
                        _ => format!("for {}", place(setting)),
                    };
                    Stop::Usage { message: format!("invalid value `{value}` {place}: {why}"), hint: None }
                }
                (None, Some(why)) if !value.is_empty() && error.kind() == ErrorKind::ValueValidation => {
                    let message = format!("invalid value `{value}` for `{arg}`: {why}");
                    Stop::Usage { message, hint: None }
                }
                (None, _) => Stop::Clap(error),
            }
        }
        _ => Stop::Clap(error),
    }
}
