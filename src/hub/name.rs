//! Names of repositories, as users type them.

use std::fmt;
use std::str::FromStr;

/// Longest name that the hub allows, in bytes.
const LONGEST: usize = 96;

/// `ORG/NAME`, or `ORG/NAME@REVISION`: a branch, a tag or a commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoName {
    id: String,
    revision: Option<String>,
}

/// Why a text names no repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no name of a repository: {reason}")]
pub struct WrongName {
    text: String,
    reason: &'static str,
}

impl RepoName {
    /// `ORG/NAME`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The branch, tag or commit; `main` where none was named.
    #[must_use]
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or("main")
    }

    /// The same repository at a commit.
    #[must_use]
    pub fn at(&self, commit: &str) -> Self {
        Self { id: self.id.clone(), revision: Some(commit.to_owned()) }
    }
}

impl FromStr for RepoName {
    type Err = WrongName;

    fn from_str(text: &str) -> Result<Self, WrongName> {
        let wrong = |reason| WrongName { text: text.chars().take(200).collect(), reason };
        let (id, revision) = match text.split_once('@') {
            Some((id, revision)) => (id, Some(revision)),
            None => (text, None),
        };
        let (org, name) = id.split_once('/').ok_or_else(|| wrong("expected ORG/NAME"))?;
        if id.len() > LONGEST {
            return Err(wrong("it is longer than 96 characters"));
        }
        if ![org, name].into_iter().all(is_part) {
            return Err(wrong("expected ORG/NAME of letters, digits, `-`, `_` and `.`"));
        }
        if revision.is_some_and(|revision| !is_revision(revision)) {
            return Err(wrong("expected a branch, a tag or a commit after `@`"));
        }
        Ok(Self { id: id.to_owned(), revision: revision.map(str::to_owned) })
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        self.revision.as_ref().map_or(Ok(()), |revision| write!(f, "@{revision}"))
    }
}

/// The hub's rule; `--` stands between the parts in the cache.
fn is_part(part: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    part.chars().all(known)
        && edge(part.chars().next())
        && edge(part.chars().next_back())
        && !part.contains("--")
        && !part.contains("..")
}

/// A name of git's that is no way out of a folder.
fn is_revision(revision: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_./+".contains(c);
    !revision.is_empty()
        && revision.len() <= 255
        && revision.chars().all(known)
        && revision.split('/').all(|part| !part.is_empty() && part != "." && !part.contains(".."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_with_and_without_a_revision() {
        let name: RepoName = "Qwen/Qwen3-0.6B".parse().unwrap();
        assert_eq!((name.id(), name.revision()), ("Qwen/Qwen3-0.6B", "main"));
        let name: RepoName = "a/b@refs/pr/1".parse().unwrap();
        assert_eq!(
            (name.id(), name.revision(), name.to_string().as_str()),
            ("a/b", "refs/pr/1", "a/b@refs/pr/1")
        );
    }

    #[test]
    fn what_leads_elsewhere_is_no_name() {
        for text in [
            "",
            "a",
            "a/",
            "/a",
            "a/b/c",
            "../b",
            "./b",
            "a/..",
            "a/b@",
            "a/b@..",
            "a/b@x/../y",
            "a/b@/x",
            "a b/c",
            "a/b--c",
            "a/.b",
            "a/b.",
            "a\\b/c",
            "https://a/b",
            "a/b@x y",
            "~/b",
            "a/b?c",
            "a/b#c",
            "a/b%2f",
        ] {
            assert!(text.parse::<RepoName>().is_err(), "{text}");
        }
        assert!(format!("a/{}", "b".repeat(95)).parse::<RepoName>().is_err());
    }

    proptest! {
        #[test]
        fn a_name_that_was_read_is_written_alike(text in "[a-zA-Z0-9_./@ -]{0,40}") {
            if let Ok(name) = text.parse::<RepoName>() {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
