//! Repository names, as users type them.

use std::fmt;
use std::str::FromStr;

use super::{address, endpoint};

/// Longest name that the hub allows, in bytes.
const LONGEST: usize = 96;

/// `ORG/NAME`, or `ORG/NAME@REVISION`: a branch, a tag or a commit.
///
/// Read from these forms and from the address of a repository's page, `https://huggingface.co/ORG/NAME`, with
/// `/tree/REVISION` after it for a revision. The hub of `HF_ENDPOINT` and the short form `hf.co/ORG/NAME` are accepted
/// too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoName {
    id: String,
    revision: Option<String>,
}

/// Why a text does not name a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is {problem}")]
pub struct RepoNameError {
    text: String,
    problem: String,
}

impl RepoName {
    /// `ORG/NAME`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The branch, tag or commit; `main` if none is named.
    #[must_use]
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or("main")
    }

    /// The same repository at a commit.
    #[must_use]
    pub fn at(&self, commit: &str) -> Self {
        Self { id: self.id.clone(), revision: Some(commit.to_owned()) }
    }

    /// Whether a text is meant as a web address and as nothing else, valid or not.
    #[must_use]
    pub fn is_address(text: &str) -> bool {
        address::parse(text, &bases()).is_some()
    }

    /// Reads a name, or an address below one of `bases` with the file that it names.
    pub(super) fn read(text: &str, bases: &[String]) -> Result<(Self, Option<String>), RepoNameError> {
        let (id, revision, file) = match address::parse(text, bases) {
            Some(Ok(found)) => (found.id, found.revision, found.file),
            Some(Err(problem)) => return Err(RepoNameError::new(text, problem)),
            None => match text.split_once('@') {
                Some((id, revision)) => (id.to_owned(), Some(revision.to_owned()), None),
                None => (text.to_owned(), None, None),
            },
        };
        let problem = match (id.split_once('/'), &revision) {
            (Some(("datasets", _)), _) => "a dataset, not a model",
            (Some(("spaces", _)), _) => "a Space, not a model",
            (None, _) => "not a repository name (expected ORG/NAME)",
            _ if address::parse(&id, bases).is_some() => {
                "not a repository name (it begins with the hub's address)"
            }
            _ if id.len() > LONGEST => "not a repository name (longer than 96 characters)",
            (Some((org, name)), _) if !is_part(org) || !is_part(name) => {
                "not a repository name (expected ORG/NAME of letters, digits, `-`, `_` and `.`)"
            }
            (_, Some(revision)) if !is_revision(revision) => {
                "not a repository name (the revision is not a branch, a tag or a commit)"
            }
            _ => return Ok((Self { id, revision }, file)),
        };
        Err(RepoNameError::new(text, problem.to_owned()))
    }
}

impl FromStr for RepoName {
    type Err = RepoNameError;

    fn from_str(text: &str) -> Result<Self, RepoNameError> {
        match Self::read(text, &bases())? {
            (name, None) => Ok(name),
            (name, Some(_)) => {
                Err(RepoNameError::new(text, format!("a file of `{name}`, expected a repository")))
            }
        }
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        self.revision.as_ref().map_or(Ok(()), |revision| write!(f, "@{revision}"))
    }
}

impl RepoNameError {
    pub(super) fn new(text: &str, problem: String) -> Self {
        Self { text: text.chars().take(200).collect(), problem }
    }
}

/// The hubs whose addresses are understood.
pub(super) fn bases() -> Vec<String> {
    endpoint::bases(|name| std::env::var(name).ok())
}

/// The hub's rule; `--` separates the parts in the cache.
fn is_part(part: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    part.chars().all(known)
        && edge(part.chars().next())
        && edge(part.chars().next_back())
        && !part.contains("--")
        && !part.contains("..")
}

/// A git revision that stays inside its folder when used as a path.
fn is_revision(revision: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_./+".contains(c);
    !revision.is_empty()
        && revision.len() <= 255
        && revision.chars().all(known)
        && revision.split('/').all(|part| !part.is_empty() && part != "." && !part.contains(".."))
}

#[cfg(test)]
mod tests;
