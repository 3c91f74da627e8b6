//! Which GGUF a command loads: a file, or one of a repository. llama.cpp's names and meaning.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ggrun::hub::pick::Selection;
use ggrun::hub::{ModelName, RepoName};

use super::values::truth;
use crate::cli::error::WrongModel;

const MODEL: &str = "LLAMA_ARG_MODEL";
const HF_REPO: &str = "LLAMA_ARG_HF_REPO";
const HF_FILE: &str = "LLAMA_ARG_HF_FILE";

/// Flags of every command that loads a model.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown as help, where types have no quotes")]
pub(crate) struct ModelArgs {
    /// The GGUF file, or the first of its parts; or ORG/NAME[:QUANT], the same as -hf
    #[arg(short, long, value_name = "FILE", env = MODEL, required_unless_present_any = ["hf_repo", "list_devices"])]
    model: Option<PathBuf>,
    /// A repository of the hub, of which the GGUF is fetched: ORG/NAME, ORG/NAME:Q4_0, ORG/NAME@REVISION (also -hf)
    #[arg(long, value_name = "REPO[:QUANT]", env = HF_REPO)]
    hf_repo: Option<ModelName>,
    /// The file of that repository, by its whole name (also -hff)
    #[arg(long, value_name = "FILE", env = HF_FILE)]
    hf_file: Option<String>,
    /// The hub is not asked, and what was fetched is used: HF_HUB_OFFLINE=1
    #[arg(long, env = "LLAMA_ARG_OFFLINE", action = clap::ArgAction::SetTrue, value_parser = truth)]
    pub(crate) offline: bool,
}

/// What the flags come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chosen<'a> {
    File(&'a Path),
    Hub(&'a RepoName, Selection<'a>),
}

impl ModelArgs {
    /// The model that the options name.
    ///
    /// # Errors
    ///
    /// When they contradict each other.
    pub(crate) fn named(&self) -> Result<Chosen<'_>, WrongModel> {
        // A variable may hold an address, which is displayed as the name that it stands for.
        let canonical = |set: &OsStr| set.to_str()?.parse().ok().map(|model: ModelName| model.to_string());
        self.chosen(|name, value| {
            std::env::var_os(name)
                .is_some_and(|set| set == value || canonical(&set).is_some_and(|set| set.as_str() == value))
        })
    }

    /// What was typed goes before what is set: `is_set` says whether a variable has a value.
    fn chosen(&self, is_set: impl Fn(&str, &OsStr) -> bool) -> Result<Chosen<'_>, WrongModel> {
        let typed = |name, value: &OsStr| !is_set(name, value);
        let file = self.model.as_deref().map(|path| (path, typed(MODEL, path.as_os_str())));
        let repo = self.hf_repo.as_ref().map(|model| (model, typed(HF_REPO, model.to_string().as_ref())));
        let named = self.hf_file.as_deref().map(|name| (name, typed(HF_FILE, name.as_ref())));
        let (path, model) = match (file, repo) {
            (Some((path, true)), Some((_, false))) | (Some((path, _)), None) => (Some(path), None),
            (Some((_, false)), Some((model, true))) | (None, Some((model, _))) => (None, Some(model)),
            (Some(_), Some(_)) => return Err(WrongModel::Two),
            (None, None) => return Err(WrongModel::None),
        };
        match (path, model) {
            (Some(_), _) if named.is_some_and(|(_, typed)| typed) => Err(WrongModel::FileAlone),
            (Some(path), _) => Ok(Chosen::File(path)),
            (None, Some(model)) => match (named, &model.file) {
                (Some((_, true)), Some(_)) => Err(WrongModel::TwoFiles),
                (Some((name, _)), None) => Ok(Chosen::Hub(&model.repo, Selection::File(name))),
                _ => Ok(Chosen::Hub(&model.repo, model.selection())),
            },
            (None, None) => Err(WrongModel::None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each is a value and whether it comes from the environment.
    type Given<'a> = Option<(&'a str, bool)>;

    #[track_caller]
    fn check(model: Given<'_>, repo: Given<'_>, file: Given<'_>, expected: Result<&str, WrongModel>) {
        let args = ModelArgs {
            model: model.map(|(text, _)| text.into()),
            hf_repo: repo.map(|(text, _)| text.parse().unwrap()),
            hf_file: file.map(|(text, _)| text.to_owned()),
            offline: false,
        };
        let is_set = |name: &str, value: &OsStr| {
            let given = match name {
                MODEL => model,
                HF_REPO => repo,
                _ => file,
            };
            given.is_some_and(|(text, set)| set && value == text)
        };
        let chosen = args.chosen(is_set).map(|chosen| match chosen {
            Chosen::File(path) => path.display().to_string(),
            Chosen::Hub(repo, Selection::Default) => repo.to_string(),
            Chosen::Hub(repo, Selection::Quant(quant)) => format!("{repo} as {quant}"),
            Chosen::Hub(repo, Selection::File(name)) => format!("{repo}/{name}"),
        });
        assert_eq!(chosen, expected.map(str::to_owned));
    }

    #[test]
    fn what_is_typed_goes_before_the_environment_and_two_of_a_kind_are_refused() {
        let (file, repo, part) = (Some(("m.gguf", false)), Some(("o/n", false)), Some(("a.gguf", false)));
        let set = |given: Given<'static>| given.map(|(text, _)| (text, true));
        check(file, None, None, Ok("m.gguf"));
        check(None, repo, None, Ok("o/n"));
        check(set(file), repo, None, Ok("o/n"));
        check(file, set(repo), None, Ok("m.gguf"));
        check(file, repo, None, Err(WrongModel::Two));
        check(set(file), set(repo), None, Err(WrongModel::Two));
        check(None, None, None, Err(WrongModel::None));
        check(file, None, part, Err(WrongModel::FileAlone));
        check(file, None, set(part), Ok("m.gguf"));
        check(None, repo, part, Ok("o/n/a.gguf"));
        check(None, Some(("o/n@v1:Q4_0", false)), None, Ok("o/n@v1 as Q4_0"));
        check(None, Some(("o/n:Q4_0", false)), part, Ok("o/n/a.gguf"));
    }
}
