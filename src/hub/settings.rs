//! The hub's settings: environment variables and the token file, by the rules of `huggingface_hub`.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;

use super::{Error, Origin, Token, cache, endpoint};

/// Seconds without data after which a connection counts as lost, unless `HF_HUB_DOWNLOAD_TIMEOUT` is set.
const TIMEOUT: u64 = 30;
/// The longest token file that is read, in bytes.
const TOKEN_BYTES: u64 = 4096;

/// Where the hub is, the user's token, and where files go.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The hub's address.
    pub endpoint: Url,
    /// The user's token.
    pub token: Option<Token>,
    /// The folder of the shared cache.
    pub cache: PathBuf,
    /// Use the cache only, without any request.
    pub offline: bool,
    /// How long a connection may deliver nothing before it counts as lost.
    pub timeout: Duration,
}

impl Settings {
    /// Reads the environment of this process and the files that it names.
    ///
    /// # Errors
    ///
    /// When a variable has an invalid value.
    pub fn read() -> Result<Self, Error> {
        Self::of(|name| std::env::var_os(name), dirs::home_dir().as_deref())
    }

    /// Reads any set of variables, with any home folder.
    ///
    /// # Errors
    ///
    /// When a variable has an invalid value.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Result<Self, Error> {
        let (settings, invalid) = Self::lenient(variable, home);
        invalid.into_iter().next().map_or(Ok(settings), Err)
    }

    /// Like [`of`](Self::of), but treats a variable with an invalid value as unset and returns the errors.
    pub fn lenient(variable: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> (Self, Vec<Error>) {
        let mut invalid = Vec::new();
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
        let path = |name: &str| set(name).map(PathBuf::from);
        let endpoint = endpoint::VARIABLES.into_iter().find_map(|name| Some((name, text(name)?)));
        let endpoint = endpoint.and_then(|(name, url)| {
            let url = endpoint::parse(&url);
            invalid.extend(url.is_none().then_some(Error::Endpoint { name }));
            url
        });
        let is_true = |value: String| ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str());
        let timeout = text("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|value| {
            let seconds = value.trim().parse::<u64>().ok();
            invalid.extend(seconds.is_none().then_some(Error::Timeout { value }));
            seconds
        });
        let token = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]
            .into_iter()
            .find_map(|name| Some((text(name)?, Origin::Variable(name))))
            .and_then(trimmed)
            .or_else(|| {
                let usual = || cache::home(&variable, home.map(Path::to_owned)).join("token");
                let file = path("HF_TOKEN_PATH").unwrap_or_else(usual);
                read_token(&file).and_then(trimmed)
            });
        let token = token.and_then(|(secret, origin)| {
            let token = Token::new(secret, origin.clone());
            invalid.extend(token.is_none().then_some(Error::Token { origin }));
            token
        });
        let settings = Self {
            endpoint: endpoint.unwrap_or_else(endpoint::default),
            token,
            cache: cache::root(&variable, home.map(Path::to_owned)),
            offline: text("HF_HUB_OFFLINE").is_some_and(is_true),
            timeout: Duration::from_secs(timeout.unwrap_or(TIMEOUT).clamp(1, 3600)),
        };
        (settings, invalid)
    }

    /// The hub's address, without the user name and password that it may contain.
    #[must_use]
    pub fn address(&self) -> String {
        endpoint::redacted(&self.endpoint).trim_end_matches('/').to_owned()
    }
}

/// A token without the space around it; `None` if nothing is left.
fn trimmed((secret, origin): (String, Origin)) -> Option<(String, Origin)> {
    let secret = secret.trim();
    (!secret.is_empty()).then(|| (secret.to_owned(), origin))
}

fn read_token(path: &Path) -> Option<(String, Origin)> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(TOKEN_BYTES).read_to_string(&mut text).ok()?;
    Some((text, Origin::File(path.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)], home: &Path) -> Result<Settings, Error> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        Settings::of(find, Some(home))
    }

    #[test]
    fn the_token_is_read_from_where_huggingface_hub_reads_it_and_is_never_shown() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(settings(&[], home.path()).unwrap().token, None);
        let file = home.path().join(".cache/huggingface/token");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "hf_secret\n").unwrap();
        let found = settings(&[], home.path()).unwrap();
        let token = found.token.as_ref().unwrap();
        assert_eq!((token.secret(), token.origin()), ("hf_secret", &Origin::File(file)));
        let other = settings(&[("HF_TOKEN", " hf_other ")], home.path()).unwrap();
        assert_eq!(other.token.as_ref().map(Token::secret), Some("hf_other"));
        // As in huggingface_hub: a blank HF_TOKEN hides the older variable, but not the file.
        for blank in ["", " ", "\n\t "] {
            let blank = settings(&[("HF_TOKEN", blank)], home.path()).unwrap();
            assert_eq!(blank.token.as_ref().map(Token::secret), Some("hf_secret"));
        }
        let hidden = [("HF_TOKEN", " "), ("HUGGING_FACE_HUB_TOKEN", "hf_old")];
        assert_eq!(settings(&hidden, home.path()).unwrap().token, found.token);
        let shown = format!("{found:?}{other:?}");
        assert!(!shown.contains("hf_secret") && !shown.contains("hf_other"), "{shown}");
        let wrong = settings(&[("HF_TOKEN", "a\nb")], home.path()).unwrap_err();
        assert!(matches!(wrong, Error::Token { .. }));
    }

    #[test]
    fn variables_are_read_and_invalid_values_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let read = |variables: &[(&str, &str)]| settings(variables, home.path());
        let plain = read(&[]).unwrap();
        assert_eq!((plain.endpoint.as_str(), plain.offline), ("https://huggingface.co/", false));
        let mirror = read(&[("HF_ENDPOINT", "http://localhost:1/a/"), ("HF_HUB_OFFLINE", "yes")]).unwrap();
        assert_eq!((mirror.endpoint.as_str(), mirror.offline), ("http://localhost:1/a", true));
        for url in ["localhost", "ftp://a", "file:///etc", "http://", "x"] {
            assert!(matches!(read(&[("HF_ENDPOINT", url)]), Err(Error::Endpoint { .. })), "{url}");
        }
        assert_eq!(read(&[("HF_HUB_DOWNLOAD_TIMEOUT", "7")]).unwrap().timeout, Duration::from_secs(7));
        for value in ["soon", "-1", "1.5"] {
            let error = read(&[("HF_HUB_DOWNLOAD_TIMEOUT", value)]).unwrap_err().to_string();
            assert!(error.contains("HF_HUB_DOWNLOAD_TIMEOUT") && error.contains(value), "{error}");
        }
    }
}
