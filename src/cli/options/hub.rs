//! Distinguishes paths from repositories on the hub: the only place with these rules.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ggrun::hub::{ModelName, RepoName, RepoNameError};

/// The default number of files that are fetched at once.
pub(crate) const JOBS: u8 = 4;

/// A path, or a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Path(PathBuf),
    Repo(RepoName),
}

impl Source {
    /// A text is a path if the path exists. Otherwise it is a repository if it is an address, or a repository's name
    /// that does not look like a path.
    ///
    /// # Errors
    ///
    /// When the text is an address that does not name a repository.
    pub(crate) fn of(text: &Path) -> Result<Self, RepoNameError> {
        Ok(name(text)?.map_or_else(|| Self::Path(text.to_owned()), Self::Repo))
    }
}

/// The model that a text names by the rules of [`Source::of`]; `None` if it is a path.
///
/// # Errors
///
/// When the text is an address that does not name a model.
pub(crate) fn model(text: &Path) -> Result<Option<ModelName>, RepoNameError> {
    name(text)
}

/// Whether a text names a model or a checkpoint: a path that exists or looks like one, or a repository.
pub(crate) fn names_model(text: &Path) -> bool {
    let shown = text.to_str().unwrap_or("/");
    text.exists() || is_path(shown) || !matches!(model(text), Ok(None))
}

fn name<T: FromStr<Err = RepoNameError>>(path: &Path) -> Result<Option<T>, RepoNameError> {
    let exists = match std::fs::symlink_metadata(path) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    };
    match path.to_str() {
        Some(text) if exists || text.is_empty() => Ok(None),
        Some(text) if RepoName::is_address(text) => text.parse().map(Some),
        Some(text) if !is_path(text) => Ok(text.parse().ok()),
        _ => Ok(None),
    }
}

/// Whether a text looks like a path, so that it is one even if nothing exists there.
fn is_path(text: &str) -> bool {
    let ending = Path::new(text).extension().map(OsStr::to_ascii_lowercase);
    text.starts_with(['.', '/', '~', '\\'])
        || ending.is_some_and(|ending| ending == "gguf" || ending == "safetensors")
}

#[cfg(test)]
mod tests {
    use ggrun::hub::pick::Selection;

    use super::*;

    #[test]
    fn a_repository_is_a_name_or_an_address_but_not_a_path() {
        for name in
            ["org/name", "org/name@v1.0", "Qwen/Qwen3-0.6B", "org/gguf", "https://huggingface.co/org/name"]
        {
            assert_eq!(Source::of(Path::new(name)), Ok(Source::Repo(name.parse().unwrap())));
        }
        let paths = [
            "name",
            "a/b/c",
            "./org/name",
            "../name",
            "/org/name",
            "~/name",
            "org/a.gguf",
            "org/a.SafeTensors",
        ];
        // The last exists.
        for path in paths.into_iter().chain(["org\\name", "", "C:/name", "src/cli"]) {
            assert_eq!(Source::of(Path::new(path)), Ok(Source::Path(path.into())), "{path}");
        }
    }

    #[test]
    fn an_address_that_is_not_of_a_repository_is_refused_and_not_taken_for_a_path() {
        for (address, reason) in [
            ("https://huggingface.co/datasets/a/b", "is a dataset, not a model"),
            (
                "https://huggingface.co/a/b/resolve/main/c.gguf",
                "is a file of `a/b@main`, expected a repository",
            ),
            ("https://example.com/a/b.gguf", "is not an address of the hub"),
        ] {
            let error = Source::of(Path::new(address)).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_model_has_an_encoding_or_a_file_and_a_path_has_neither() {
        let found = model(Path::new("org/name-0.6B:Q4_0")).unwrap().unwrap();
        assert_eq!(
            (found.to_string().as_str(), found.selection()),
            ("org/name-0.6B:Q4_0", Selection::Quant("Q4_0"))
        );
        let found = model(Path::new("https://huggingface.co/org/name/blob/main/q/a.gguf")).unwrap().unwrap();
        assert_eq!(found.selection(), Selection::File("q/a.gguf"));
        for path in ["org/name:a.gguf", "C:/name", "./org/name:Q4_0", "src/cli"] {
            assert_eq!(model(Path::new(path)), Ok(None), "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_dangling_link_is_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("nothing", &link).unwrap();
        assert_eq!(Source::of(&link), Ok(Source::Path(link)));
    }
}
