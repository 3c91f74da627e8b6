//! The settings of Hugging Face's hub and its cache, by the rules of its own library. No token is ever kept or told.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use serde::Serialize;

use crate::hub::cache::{self, Cache};

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
pub(super) fn look(variable: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Hub {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let path = |name: &str| set(name).map(PathBuf::from);
    let cache = cache::root(&variable, home.clone());
    let caches = || path("XDG_CACHE_HOME").or_else(|| Some(home?.join(".cache")));
    let folder = path("HF_HOME").or_else(|| Some(caches()?.join("huggingface"))).unwrap_or_default();
    let token = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].into_iter().find(|name| set(name).is_some());
    let file = path("HF_TOKEN_PATH").unwrap_or_else(|| folder.join("token"));
    let written = fs::metadata(&file).is_ok_and(|meta| meta.is_file() && meta.len() > 0);
    let token = match token {
        Some(name) => Token::Variable(name),
        None if written => Token::File(file),
        None => Token::None,
    };
    let text = |name| set(name).map(|value| value.to_string_lossy().into_owned());
    let offline = text("HF_HUB_OFFLINE");
    let found = Cache::at(&cache).scan(MOST_FILES);
    Hub {
        token,
        endpoint: text("HF_ENDPOINT")
            .map_or_else(|| "https://huggingface.co".to_owned(), |url| without_secrets(&url)),
        offline: offline
            .is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str())),
        cache,
        repositories: found.repositories.len(),
        bytes: found.repositories.iter().map(|repository| repository.bytes).sum(),
        counted: found.complete,
    }
}

/// An address without the user, the password and the question that may be in it.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    // A password may hold anything, so that all up to the last `@` is taken for one.
    let rest = rest.rsplit('@').next().unwrap_or_default();
    let host = rest.split(['?', '#']).next().unwrap_or_default();
    if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn hub(variables: &[(&str, &str)], home: &Path) -> Hub {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        look(find, Some(home.to_owned()))
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
    fn no_secret_of_an_address_is_told() {
        for (url, told) in [
            ("https://hf-mirror.com/a", "https://hf-mirror.com/a"),
            ("https://me:hf_secret@mirror/a", "https://mirror/a"),
            ("https://me:hf_sec/r@et?@mirror", "https://mirror"),
            ("me:hf_secret@mirror", "mirror"),
            ("https://mirror/?token=hf_secret", "https://mirror/"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(url), told);
        }
        let home = tempfile::tempdir().unwrap();
        assert_eq!(hub(&[("HF_ENDPOINT", "https://a:hf_secret@b")], home.path()).endpoint, "https://b");
    }
}
