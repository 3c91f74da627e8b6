//! A path, or a repository of the hub: the only place with the rules.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ggrun::hub::RepoName;
use ggrun::hub::pick::Wish;

/// Files that are fetched at once, if nobody says.
pub(crate) const JOBS: u8 = 4;

/// What a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Path(PathBuf),
    Repo(RepoName),
}

impl Source {
    /// A path that is there is meant, whatever it looks like. One that is not is a repository's name if it can be one
    /// and does not look like a path.
    pub(crate) fn of(text: &Path) -> Self {
        name(text).map_or_else(|| Self::Path(text.to_owned()), Self::Repo)
    }
}

/// `ORG/NAME[@REVISION][:QUANT]`, or the address of a repository or of a file in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HubModel {
    pub(crate) repo: RepoName,
    pub(crate) quant: Option<String>,
    /// The file that an address names.
    pub(crate) file: Option<String>,
}

impl HubModel {
    /// Where a text names one by the rules of [`Source::of`].
    pub(crate) fn of(text: &Path) -> Option<Self> {
        name(text)
    }

    pub(crate) fn wish(&self) -> Wish<'_> {
        match (&self.file, &self.quant) {
            (Some(file), _) => Wish::File(file),
            (None, Some(quant)) => Wish::Quant(quant),
            (None, None) => Wish::Usual,
        }
    }
}

impl FromStr for HubModel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let scheme = if text.starts_with(SCHEME) { SCHEME.len() } else { 0 };
        let (name, quant) = match text[scheme..].split_once(':') {
            Some((_, "")) => return Err("expected an encoding such as Q4_0 after `:`".to_owned()),
            Some((name, quant)) => (&text[..scheme + name.len()], Some(quant.to_owned())),
            None => (text, None),
        };
        let (name, file) = match file(name) {
            Some((repo, file)) => (repo, Some(file)),
            None => (name.to_owned(), None),
        };
        if quant.is_some() && file.is_some() {
            return Err("expected a file or an encoding, not both".to_owned());
        }
        let repo = name.parse().map_err(|error: ggrun::hub::WrongName| error.to_string())?;
        Ok(Self { repo, quant, file })
    }
}

const SCHEME: &str = "https://";

/// The repository and the file of an address such as `https://huggingface.co/ORG/NAME/blob/main/FILE`.
fn file(address: &str) -> Option<(String, String)> {
    let mut parts = address.strip_prefix(SCHEME)?.splitn(5, '/');
    let [host, org, name, kind] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let (revision, file) = parts.next().filter(|_| kind == "blob" || kind == "resolve")?.split_once('/')?;
    let file = file.split(['?', '#']).next().filter(|file| !file.is_empty())?;
    Some((format!("{SCHEME}{host}/{org}/{name}/tree/{revision}"), file.to_owned()))
}

impl std::fmt::Display for HubModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.repo)?;
        self.file.as_ref().map_or(Ok(()), |file| write!(f, "/{file}"))?;
        self.quant.as_ref().map_or(Ok(()), |quant| write!(f, ":{quant}"))
    }
}

/// Whether a text names a model or a checkpoint: a path, by what is there or by its looks, or a repository.
pub(crate) fn names_model(text: &Path) -> bool {
    let shown = text.to_str().unwrap_or("/");
    text.exists() || is_path(shown) || shown.starts_with(SCHEME) || HubModel::of(text).is_some()
}

/// The name that a text is, where nothing is at that path and it does not look like one.
fn name<T: FromStr>(text: &Path) -> Option<T> {
    let there = match std::fs::symlink_metadata(text) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    };
    text.to_str().filter(|text| !there && !is_path(text))?.parse().ok()
}

/// Whether a text looks like a path so much that it is one even where nothing is there.
fn is_path(text: &str) -> bool {
    let ending = Path::new(text).extension().map(OsStr::to_ascii_lowercase);
    let address = text.starts_with(SCHEME);
    text.starts_with(['.', '/', '~', '\\'])
        || !address && ending.is_some_and(|ending| ending == "gguf" || ending == "safetensors")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_repository_only_where_it_is_no_path() {
        for name in ["org/name", "org/name@v1.0", "Qwen/Qwen3-0.6B", "org/gguf"] {
            assert_eq!(Source::of(Path::new(name)), Source::Repo(name.parse().unwrap()));
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
        // The last is there.
        for path in paths.into_iter().chain(["org\\name", "", "C:/name", "src/cli"]) {
            assert_eq!(Source::of(Path::new(path)), Source::Path(path.into()), "{path}");
        }
    }

    #[test]
    fn a_repository_may_have_a_revision_and_an_encoding() {
        for text in ["o/n", "o/n:Q4_0", "o/n@refs/pr/1:q4_k_m"] {
            assert_eq!(text.parse::<HubModel>().unwrap().to_string(), text);
        }
        for text in ["", "o", "o/n:", ":Q4_0", "o/n/m", "o:Q4_0/n", "./n"] {
            assert!(text.parse::<HubModel>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_encoding_is_no_part_of_a_path() {
        let model = HubModel::of(Path::new("org/name-0.6B:Q4_0")).unwrap();
        assert_eq!((model.to_string().as_str(), model.wish()), ("org/name-0.6B:Q4_0", Wish::Quant("Q4_0")));
        for path in ["org/name:a.gguf", "C:/name", "./org/name:Q4_0", "src/cli"] {
            assert_eq!(HubModel::of(Path::new(path)), None, "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_is_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("nothing", &link).unwrap();
        assert_eq!(Source::of(&link), Source::Path(link));
    }
}
