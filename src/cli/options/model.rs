//! The GGUF that a command loads: a file, or one of a repository. llama.cpp's names and meaning.

use std::path::{Path, PathBuf};

use ggrun::hub::pick::Selection;
use ggrun::hub::{ModelName, RepoName};

use super::values::truth;
use crate::cli::error::WrongModel;

/// Options of every command that loads a model.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Model")]
#[expect(clippy::doc_markdown, reason = "shown as help, where types have no quotes")]
pub(crate) struct ModelArgs {
    /// Load this GGUF file, or ORG/NAME[:QUANT] on the hub
    ///
    /// Pass the first file of a split GGUF. Aliases from the configuration file work too. A path that exists is never
    /// treated as a repository.
    #[arg(short, long, value_name = "MODEL", env = "LLAMA_ARG_MODEL", conflicts_with_all = ["hf_repo", "hf_file"])]
    model: Option<PathBuf>,
    /// Download and load a GGUF from the hub (also -hf)
    ///
    /// ORG/NAME, ORG/NAME:Q4_0 for an encoding, ORG/NAME@REVISION, or the address of the repository or of a file in it.
    /// Downloaded files are kept in the cache that Hugging Face's own tools use.
    #[arg(long, value_name = "REPO[:QUANT]", env = "LLAMA_ARG_HF_REPO")]
    hf_repo: Option<ModelName>,
    /// Load this file of the repository, given by its full name (also -hff)
    #[arg(long, value_name = "FILE", env = "LLAMA_ARG_HF_FILE", hide_short_help = true)]
    hf_file: Option<String>,
    /// Use downloaded files only, as HF_HUB_OFFLINE=1 does
    #[arg(long, env = "LLAMA_ARG_OFFLINE", action = clap::ArgAction::SetTrue, value_parser = truth,
        hide_short_help = true)]
    pub(crate) offline: bool,
}

/// The model that the options name.
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
    /// When they name no model, or a file without its repository.
    pub(crate) fn named(&self) -> Result<Chosen<'_>, WrongModel> {
        match (&self.model, &self.hf_repo, &self.hf_file) {
            (Some(path), ..) => Ok(Chosen::File(path)),
            (None, Some(model), Some(_)) if model.file.is_some() => Err(WrongModel::TwoFiles),
            (None, Some(model), Some(file)) => Ok(Chosen::Hub(&model.repo, Selection::File(file))),
            (None, Some(model), None) => Ok(Chosen::Hub(&model.repo, model.selection())),
            (None, None, Some(_)) => Err(WrongModel::FileAlone),
            (None, None, None) => Err(WrongModel::None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        model: ModelArgs,
    }

    #[track_caller]
    fn check(line: &str, expected: Result<&str, WrongModel>) {
        let line = Line::try_parse_from(["x"].into_iter().chain(line.split_whitespace())).unwrap();
        let named = line.model.named().map(|named| match named {
            Chosen::File(path) => path.display().to_string(),
            Chosen::Hub(repo, Selection::Default) => repo.to_string(),
            Chosen::Hub(repo, Selection::Quant(quant)) => format!("{repo} as {quant}"),
            Chosen::Hub(repo, Selection::File(name)) => format!("{repo}/{name}"),
        });
        assert_eq!(named, expected.map(str::to_owned));
    }

    #[test]
    fn a_model_is_a_file_or_one_of_a_repository() {
        check("-m m.gguf", Ok("m.gguf"));
        check("--hf-repo o/n", Ok("o/n"));
        check("--hf-repo o/n --hf-file a.gguf", Ok("o/n/a.gguf"));
        check("--hf-repo o/n@v1:Q4_0", Ok("o/n@v1 as Q4_0"));
        check("--hf-repo o/n:Q4_0 --hf-file a.gguf", Ok("o/n/a.gguf"));
        let address = "https://huggingface.co/o/n/resolve/v1/q/b.gguf";
        check(&format!("--hf-repo {address}"), Ok("o/n@v1/q/b.gguf"));
        check(&format!("--hf-repo {address} --hf-file a.gguf"), Err(WrongModel::TwoFiles));
        check("", Err(WrongModel::None));
        check("--hf-file a.gguf", Err(WrongModel::FileAlone));
    }

    #[test]
    fn two_models_are_refused() {
        for line in [["-m", "a.gguf", "--hf-repo", "o/n"], ["-m", "a.gguf", "--hf-file", "b.gguf"]] {
            let error = Line::try_parse_from(["x"].iter().chain(&line)).unwrap_err().to_string();
            assert!(error.contains("cannot be used with"), "{error}");
        }
    }
}
