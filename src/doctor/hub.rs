//! The hub's settings and its cache, by the rules of `huggingface_hub`. Tokens are neither stored nor shown.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::hub::cache::Cache;
use crate::hub::{self, Origin, Settings};

/// The largest number of entries that are counted in the cache.
const MAX_ENTRIES: usize = 100_000;

/// The settings for the hub, and the contents of its cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hub {
    /// Where the token was found.
    pub token: Token,
    /// The hub's address.
    pub endpoint: String,
    /// Whether only the cache is used.
    pub offline: bool,
    /// Errors of invalid settings, which count as unset.
    pub refused: Vec<String>,
    /// The folder of the cache.
    pub cache: PathBuf,
    /// Repositories in it.
    pub repositories: usize,
    /// Their total size in bytes.
    pub bytes: u64,
    /// Whether everything was counted; if not, there are more bytes.
    pub counted: bool,
}

/// Where a token was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Token {
    /// There is no token.
    None,
    /// In an environment variable.
    Variable(&'static str),
    /// In a file.
    File(PathBuf),
}

/// Reads the environment and the files that it names.
pub(super) fn gather(variable: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Hub {
    let (settings, refused) = Settings::lenient(variable, home);
    let found = Cache::at(&settings.cache).scan(MAX_ENTRIES);
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
        gather(find, Some(home))
    }

    #[test]
    fn the_token_is_read_from_where_huggingface_hub_reads_it_and_is_never_shown() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".cache/huggingface/token");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        assert_eq!(hub(&[], home.path()).token, Token::None);
        fs::write(&file, "hf_secret").unwrap();
        let found = hub(&[], home.path());
        assert_eq!(found.token, Token::File(file));
        let both = hub(&[("HF_TOKEN", "hf_other"), ("HF_HUB_OFFLINE", "true")], home.path());
        assert_eq!((&both.token, both.offline), (&Token::Variable("HF_TOKEN"), true));
        let shown = format!("{found:?}{both:?}{}", serde_json::to_string(&both).unwrap());
        assert!(!shown.contains("hf_secret") && !shown.contains("hf_other"), "{shown}");
    }

    #[test]
    fn a_blob_is_counted_once_for_all_its_links() {
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
    fn the_secrets_of_an_address_are_not_shown_and_an_invalid_address_is_reported() {
        let home = tempfile::tempdir().unwrap();
        let shown = |name: &str, url: &str| {
            let found = hub(&[(name, url)], home.path());
            assert!(!serde_json::to_string(&found).unwrap().contains("hf_se"), "{found:?}");
            (found.endpoint, found.refused.len())
        };
        let default = || "https://huggingface.co".to_owned();
        assert_eq!(shown("HF_TOKEN", ""), (default(), 0));
        assert_eq!(
            shown("MODEL_ENDPOINT", "https://hf-mirror.com/a/"),
            ("https://hf-mirror.com/a".to_owned(), 0)
        );
        for url in
            ["https://me:hf_secret@mirror", "https://mirror/?token=hf_secret", "https://hf_secret@mirror#x"]
        {
            assert_eq!(shown("HF_ENDPOINT", url), ("https://mirror".to_owned(), 0), "{url}");
        }
        for url in ["https://me:hf_sec/r@et?@mirror", "me:hf_secret@mirror", "hf_secret"] {
            assert_eq!(shown("HF_ENDPOINT", url), (default(), 1), "{url}");
        }
        assert_eq!(shown("HF_TOKEN", "hf_se\ncret"), (default(), 1));
        let blank = hub(&[("HF_TOKEN", " "), ("HF_TOKEN_PATH", "/dev/null")], home.path());
        assert_eq!((blank.token, blank.refused), (Token::None, Vec::new()));
    }
}
