//! A model of a repository: `ORG/NAME[@REVISION][:QUANT]`, or the address of a repository or of a GGUF in it.

use std::fmt;
use std::str::FromStr;

use super::name::bases;
use super::pick::Selection;
use super::{RepoName, RepoNameError, address};

/// A repository, and which of its GGUFs is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelName {
    /// The repository and its revision.
    pub repo: RepoName,
    /// The encoding after `:`.
    pub quant: Option<String>,
    /// The file that an address names; never together with an encoding.
    pub file: Option<String>,
}

impl ModelName {
    /// The GGUF that is meant.
    #[must_use]
    pub fn selection(&self) -> Selection<'_> {
        match (&self.file, &self.quant) {
            (Some(file), _) => Selection::File(file),
            (None, Some(quant)) => Selection::Quant(quant),
            (None, None) => Selection::Default,
        }
    }

    fn read(text: &str, bases: &[String]) -> Result<Self, RepoNameError> {
        let wrong = |problem: &str| Err(RepoNameError::new(text, problem.to_owned()));
        // A colon before the last slash belongs to an address: `http://localhost:8080/ORG/NAME`.
        let last = text.rfind('/').map_or(0, |slash| slash + 1);
        let (name, quant) = match text[last..].find(':') {
            Some(colon) => (&text[..last + colon], Some(&text[last + colon + 1..])),
            None => (text, None),
        };
        if quant == Some("") {
            return wrong("not a model (expected an encoding such as Q4_0 after `:`)");
        }
        let (repo, file) = RepoName::read(name, bases)?;
        if file.is_some() && quant.is_some() {
            return wrong("not a model (it names both a file and an encoding)");
        }
        Ok(Self { repo, quant: quant.map(str::to_owned), file })
    }
}

impl FromStr for ModelName {
    type Err = RepoNameError;

    fn from_str(text: &str) -> Result<Self, RepoNameError> {
        Self::read(text, &bases())
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, &self.quant) {
            (Some(file), _) => {
                let (id, revision) = (self.repo.id(), self.repo.revision());
                write!(f, "https://huggingface.co/{id}/resolve/{revision}/{}", address::encode(file))
            }
            (None, Some(quant)) => write!(f, "{}:{quant}", self.repo),
            (None, None) => write!(f, "{}", self.repo),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<ModelName, RepoNameError> {
        ModelName::read(text, &["huggingface.co", "hf.co", "localhost:8080"].map(str::to_owned))
    }

    #[test]
    fn a_model_may_have_a_revision_and_an_encoding_or_a_file() {
        for text in
            ["o/n", "o/n:Q4_0", "o/n@refs/pr/1:q4_k_m", "https://huggingface.co/o/n/resolve/v1/q/a.gguf"]
        {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        for (text, meant) in [
            ("https://huggingface.co/o/n:Q4_0", "o/n:Q4_0"),
            ("hf.co/o/n:Q4_0", "o/n:Q4_0"),
            ("http://localhost:8080/o/n", "o/n"),
            ("http://localhost:8080/o/n/tree/v1:Q8_0", "o/n@v1:Q8_0"),
        ] {
            assert_eq!(read(text).unwrap().to_string(), meant);
        }
        let file = read("https://huggingface.co/o/n/blob/main/a.gguf").unwrap();
        assert_eq!(file.selection(), Selection::File("a.gguf"));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "o", "o/n:", ":Q4_0", "o/n/m", "o:Q4_0/n", "./n", "https://huggingface.co/o/n:"] {
            assert!(read(text).is_err(), "{text}");
        }
        let both = read("https://huggingface.co/o/n/resolve/main/a.gguf:Q4_0").unwrap_err().to_string();
        assert!(both.contains("both a file and an encoding"), "{both}");
    }

    proptest! {
        #[test]
        fn a_model_is_displayed_as_it_is_read_again(text in "(https://|hf\\.co/|huggingface\\.co/|o/n|:Q4_0|@v1|/resolve/main|/a\\.gguf|/|%3A|%25|%3F){0,6}") {
            if let Ok(model) = read(&text) {
                prop_assert_eq!(read(&model.to_string()), Ok(model));
            }
        }
    }
}
