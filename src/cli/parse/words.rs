//! MODEL and PROMPT without an option, and aliases of models.
//!
//! With `-m` or `-hf`, the word is the prompt. Without them, the first word is the model and the second the prompt; a
//! single word that does not name a model is the prompt if a variable or the configuration file names the model.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::cli::compat::Refused;
use crate::cli::compat::lexer::{Item, Line, value};
use crate::cli::config::entry::Config;
use crate::cli::config::layers::Setting;
use crate::cli::options::hub::names_model;

/// Positional arguments that stand for options; see [`settle`].
pub(crate) const MODEL: &str = "model_word";
pub(crate) const PROMPT: &str = "prompt_word";
/// Options whose value is a model.
const MODELS: [&str; 2] = ["model", "hf_repo"];
/// Commands whose positional arguments are models or checkpoints.
const READERS: [&str; 3] = ["inspect", "verify", "convert"];

/// Whether a setting names a model.
pub(super) fn is_model(setting: &Setting) -> bool {
    MODELS.contains(&setting.id.as_str())
}

/// Puts `--model=` before the word that is the model, and `--prompt=` before the one that is the prompt. `set` says
/// whether a model is named without being typed.
///
/// # Errors
///
/// When there are too many words, or an option has the same meaning.
pub(super) fn settle(
    line: &Line<'_>,
    mut arguments: Vec<OsString>,
    config: &Config,
    set: bool,
) -> Result<Vec<OsString>, Refused> {
    let has = |id: &str| line.command.get_arguments().any(|arg| arg.get_id() == id);
    let words: Vec<usize> = line.positionals().collect();
    let (Some(&first), true) = (words.first(), has(MODEL)) else { return Ok(arguments) };
    let prompts = has(PROMPT);
    let given = MODELS.into_iter().find(|id| line.options(id).next().is_some());
    let show = |index: usize| arguments[index].to_string_lossy().into_owned();
    let refused = |message: String, hint: &str| Err(Refused { message, hint: Some(hint.to_owned()) });
    let is_model =
        given.is_none() && (words.len() > 1 || named(&arguments[first], config) || !(prompts && set));
    if is_model && prompts && words.len() == 1 && !named(&arguments[first], config) {
        return refused(
            format!("`{}` does not name a model, expected a path, an alias or ORG/NAME", show(first)),
            "`ggrun run MODEL \"PROMPT\"`, or set a model in the configuration file",
        );
    }
    let most = usize::from(is_model) + usize::from(prompts);
    // A word after an unknown option may be its value; clap names the option.
    let after_unknown = |index: usize| {
        line.items.iter().any(|(at, item)| *at < index && matches!(item, Item::Unknown { .. }))
    };
    if let Some(&more) = words.get(most) {
        if after_unknown(more) {
            return Ok(arguments);
        }
        let hint = match (prompts, given) {
            (true, _) => "put the prompt in quotes",
            (false, Some(_)) => "the model is named twice; leave out one",
            (false, None) => "pass one model",
        };
        return refused(format!("unexpected argument `{}`", show(more)), hint);
    }
    let prompt = words.get(usize::from(is_model)).copied();
    if let Some(prompt) = prompt {
        for (id, option) in [("prompt", "-p"), ("file", "-f")] {
            if line.options(id).next().is_some() {
                let message = format!("the prompt is given twice: `{}` and `{option}`", show(prompt));
                return refused(message, "leave out one");
            }
        }
    }
    for (index, option) in [(is_model.then_some(first), "--model="), (prompt, "--prompt=")] {
        if let Some(index) = index {
            let mut text = OsString::from(option);
            text.push(&arguments[index]);
            arguments[index] = text;
        }
    }
    // The words after `--` are options now.
    Ok(without_escape(line, arguments))
}

fn without_escape(line: &Line<'_>, mut arguments: Vec<OsString>) -> Vec<OsString> {
    if let Some((index, _)) = line.items.iter().find(|(_, item)| *item == Item::Escape) {
        arguments.remove(*index);
    }
    arguments
}

/// Whether a word looks like a model, is an existing file or is an alias.
fn named(word: &OsStr, config: &Config) -> bool {
    let alias = |text: &str| config.aliases.iter().any(|(name, ..)| name == text);
    word.to_str().is_none_or(alias) || names_model(Path::new(word))
}

/// Replaces aliases by what they stand for. A path that exists takes precedence over an alias.
pub(super) fn expand(
    line: &Line<'_>,
    mut arguments: Vec<OsString>,
    config: &Config,
    home: Option<&Path>,
) -> Vec<OsString> {
    let target = |text: &OsStr| target(text, config, home);
    for (index, at) in MODELS.into_iter().flat_map(|id| line.options(id)) {
        let Some(target) = value(&arguments, index, at).and_then(|text| target(&text)) else { continue };
        if let Some(at) = at {
            arguments[at] = target;
        } else {
            let typed = arguments[index].to_string_lossy().into_owned();
            let mut text = OsString::from(typed.split('=').next().unwrap_or_default());
            text.push("=");
            text.push(target);
            arguments[index] = text;
        }
    }
    if line.path.get(1).is_some_and(|name| READERS.contains(name)) {
        for index in line.positionals() {
            if let Some(target) = target(&arguments[index]) {
                arguments[index] = target;
            }
        }
    }
    arguments
}

/// The target of an alias, unless a file has its name.
pub(super) fn target(text: &OsStr, config: &Config, home: Option<&Path>) -> Option<OsString> {
    let target = config.alias(text.to_str()?, home)?;
    (!PathBuf::from(text).exists()).then_some(target)
}
