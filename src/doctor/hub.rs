//! The settings of Hugging Face's hub and its cache, by the rules of its own library. No token is ever kept or told.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::hub::cache::Cache;
use crate::hub::{self, Origin, Settings};

/// Entries that are looked at; a cache with more is not counted to its end.
const MOST_FILES: usize = 100_000;

/// The hub as this machine is set up for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hub {
    /// Where a token comes from.
    pub token: Token,
    /// Where the hub is.
    pub endpoint: String,
    /// Whether nothing may be asked of it.
    pub offline: bool,
    /// Settings that cannot be meant, one sentence each. They count as not set.
    pub refused: Vec<String>,
    /// The folder of its cache.
    pub cache: PathBuf,
    /// Repositories in it.
    pub repositories: usize,
    /// Bytes of these.
    pub bytes: u64,
    /// Whether all of it was counted; else there are more bytes.
    pub counted: bool,
}

/// Where a token comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Token {
    /// There is none.
    None,
    /// A variable of the environment, by name.
    Variable(&'static str),
    /// A file.
    File(PathBuf),
}

/// Looks at the environment and the files that it names.
pub(super) fn look(variable: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Hub {
    let (settings, refused) = Settings::look(variable, home);
    let found = Cache::at(&settings.cache).scan(MOST_FILES);
    Hub {
        token: match settings.token.as_ref().map(hub::Token::origin) {
            None => Token::None,
            Some(Origin::Variable(name)) => Token::Variable(name),
            Some(Origin::File(path)) => Token::File(path.clone()),
        },
        endpoint: settings.address(),
        offline: settings.offline,
        refused: refused.iter().map(ToString::to_string).collect(),
        cache: settings.cache,
        repositories: found.repositories.len(),
        bytes: found.repositories.iter().map(|repository| repository.bytes).sum(),
        counted: found.complete,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn hub(variables: &[(&str, &str)], home: &Path) -> Hub {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        look(find, Some(home))
    }

    #[test]
    fn a_token_is_found_where_the_hubs_own_library_finds_it_and_never_told() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".cache/huggingface/token");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        assert_eq!(hub(&[], home.path()).token, Token::None);
        fs::write(&file, "hf_secret").unwrap();
        let found = hub(&[], home.path());
        assert_eq!(found.token, Token::File(file));
        let both = hub(&[("HF_TOKEN", "hf_other"), ("HF_HUB_OFFLINE", "true")], home.path());
        assert_eq!((&both.token, both.offline), (&Token::Variable("HF_TOKEN"), true));
        let told = format!("{found:?}{both:?}{}", serde_json::to_string(&both).unwrap());
        assert!(!told.contains("hf_secret") && !told.contains("hf_other"), "{told}");
    }

    #[test]
    fn a_cache_is_counted_once_however_often_it_is_linked() {
        let home = tempfile::tempdir().unwrap();
        let cache = home.path().join("hub");
        let repository = cache.join("models--a--b");
        fs::create_dir_all(repository.join("blobs")).unwrap();
        fs::create_dir_all(repository.join("snapshots/x")).unwrap();
        fs::write(repository.join("blobs/1"), [0; 1000]).unwrap();
        fs::write(cache.join("version.txt"), "1").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("../../blobs/1", repository.join("snapshots/x/file")).unwrap();
        let found = hub(&[("HF_HOME", home.path().to_str().unwrap())], home.path());
        assert_eq!((&found.cache, found.repositories, found.bytes), (&cache, 1, 1000));
        assert!(found.counted);
    }

    #[test]
    fn no_secret_of_an_address_is_told_and_what_is_none_is_named() {
        let home = tempfile::tempdir().unwrap();
        let told = |name: &str, url: &str| {
            let found = hub(&[(name, url)], home.path());
            assert!(!serde_json::to_string(&found).unwrap().contains("hf_se"), "{found:?}");
            (found.endpoint, found.refused.len())
        };
        let usual = || "https://huggingface.co".to_owned();
        assert_eq!(told("HF_TOKEN", ""), (usual(), 0));
        assert_eq!(
            told("MODEL_ENDPOINT", "https://hf-mirror.com/a/"),
            ("https://hf-mirror.com/a".to_owned(), 0)
        );
        for url in
            ["https://me:hf_secret@mirror", "https://mirror/?token=hf_secret", "https://hf_secret@mirror#x"]
        {
            assert_eq!(told("HF_ENDPOINT", url), ("https://mirror".to_owned(), 0), "{url}");
        }
        for url in ["https://me:hf_sec/r@et?@mirror", "me:hf_secret@mirror", "hf_secret"] {
            assert_eq!(told("HF_ENDPOINT", url), (usual(), 1), "{url}");
        }
        assert_eq!(told("HF_TOKEN", "hf_se\ncret"), (usual(), 1));
        let blank = hub(&[("HF_TOKEN", " "), ("HF_TOKEN_PATH", "/dev/null")], home.path());
        assert_eq!((blank.token, blank.refused), (Token::None, Vec::new()));
    }
}
