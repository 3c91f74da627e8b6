//! How this machine is set up for the hub, by the rules of Hugging Face's own library.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;

use super::Error;
use super::cache;

/// The hub, if nothing else is set.
const USUAL: &str = "https://huggingface.co";
/// Seconds without a byte after which a line counts as broken.
const PATIENCE: u64 = 30;
/// The longest file that is taken for a token, in bytes.
const TOKEN_BYTES: u64 = 4096;

/// Where the hub is, who asks, and where files go.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The hub.
    pub endpoint: Url,
    /// What it knows the user by.
    pub token: Option<Token>,
    /// The folder of the shared cache.
    pub cache: PathBuf,
    /// Whether nothing may be asked of it.
    pub offline: bool,
    /// How long nothing may come before a line counts as broken.
    pub patience: Duration,
}

/// What the hub knows a user by. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    secret: String,
    origin: Origin,
}

/// Where a token was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A variable of the environment.
    Variable(&'static str),
    /// A file.
    File(PathBuf),
}

impl Token {
    /// Where it was found.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::File(path) => write!(f, "`{}`", path.display()),
        }
    }
}

impl Settings {
    /// Reads the environment of this process and the files that it names.
    ///
    /// # Errors
    ///
    /// When a variable is set to what it cannot be.
    pub fn read() -> Result<Self, Error> {
        Self::of(|name| std::env::var_os(name), dirs::home_dir().as_deref())
    }

    /// The same with variables and a home of any kind.
    ///
    /// # Errors
    ///
    /// When a variable is set to what it cannot be.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Result<Self, Error> {
        let (settings, refused) = Self::look(variable, home);
        refused.into_iter().next().map_or(Ok(settings), Err)
    }

    /// The same with what was refused, without which the settings are as if it were not set.
    pub fn look(variable: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> (Self, Vec<Error>) {
        let mut refused = Vec::new();
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
        let path = |name: &str| set(name).map(PathBuf::from);
        let endpoint =
            ["HF_ENDPOINT", "MODEL_ENDPOINT"].into_iter().find_map(|name| Some((name, text(name)?)));
        let endpoint = endpoint.and_then(|(name, url)| {
            let url = self::endpoint(&url);
            refused.extend(url.is_none().then_some(Error::Endpoint { name }));
            url
        });
        let caches = || path("XDG_CACHE_HOME").or_else(|| Some(home?.join(".cache")));
        let folder = path("HF_HOME").or_else(|| Some(caches()?.join("huggingface"))).unwrap_or_default();
        let is_true = |value: String| ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str());
        let patience =
            text("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|value| value.parse().ok()).unwrap_or(PATIENCE);
        let token = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]
            .into_iter()
            .find_map(|name| Some((text(name)?, Origin::Variable(name))))
            .and_then(cleaned)
            .or_else(|| {
                let file = path("HF_TOKEN_PATH").unwrap_or_else(|| folder.join("token"));
                written(&file).and_then(cleaned)
            });
        let token = token.and_then(|(secret, origin)| {
            if secret.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Some(Token { secret, origin });
            }
            refused.push(Error::Token { origin });
            None
        });
        let settings = Self {
            endpoint: endpoint.unwrap_or_else(usual),
            token,
            cache: cache::root(&variable, home.map(Path::to_owned)),
            offline: text("HF_HUB_OFFLINE").is_some_and(is_true),
            patience: Duration::from_secs(u64::clamp(patience, 1, 3600)),
        };
        (settings, refused)
    }

    /// Where the hub is, without the user and the password that may be in it.
    #[must_use]
    pub fn address(&self) -> String {
        shown(&self.endpoint).trim_end_matches('/').to_owned()
    }
}

/// An address without the user and the password that may be in it.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    match url.set_username("").and(url.set_password(None)) {
        Ok(()) => url.into(),
        Err(()) => url.host_str().unwrap_or_default().to_owned(),
    }
}

fn usual() -> Url {
    Url::parse(USUAL).expect("it is an address")
}

/// An address that requests can be put behind.
fn endpoint(url: &str) -> Option<Url> {
    let mut url = Url::parse(url.trim_end_matches('/')).ok()?;
    let usable = ["http", "https"].contains(&url.scheme()) && url.has_host();
    url.set_query(None);
    url.set_fragment(None);
    usable.then_some(url)
}

/// A token without the space around it; one of nothing else is none.
fn cleaned((secret, origin): (String, Origin)) -> Option<(String, Origin)> {
    let secret = secret.trim();
    (!secret.is_empty()).then(|| (secret.to_owned(), origin))
}

fn written(path: &Path) -> Option<(String, Origin)> {
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
    fn a_token_is_found_where_the_hubs_own_library_finds_it_and_never_told() {
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
        // As with huggingface_hub, whose older variable such a one hides all the same.
        for blank in ["", " ", "\n\t "] {
            let blank = settings(&[("HF_TOKEN", blank)], home.path()).unwrap();
            assert_eq!(blank.token.as_ref().map(Token::secret), Some("hf_secret"));
        }
        let hidden = [("HF_TOKEN", " "), ("HUGGING_FACE_HUB_TOKEN", "hf_old")];
        assert_eq!(settings(&hidden, home.path()).unwrap().token, found.token);
        let told = format!("{found:?}{other:?}");
        assert!(!told.contains("hf_secret") && !told.contains("hf_other"), "{told}");
        let wrong = settings(&[("HF_TOKEN", "a\nb")], home.path()).unwrap_err();
        assert!(matches!(wrong, Error::Token { .. }));
    }

    #[test]
    fn variables_are_read_and_nonsense_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let read = |variables: &[(&str, &str)]| settings(variables, home.path());
        let plain = read(&[]).unwrap();
        assert_eq!((plain.endpoint.as_str(), plain.offline), ("https://huggingface.co/", false));
        let mirror = read(&[("HF_ENDPOINT", "http://localhost:1/a/"), ("HF_HUB_OFFLINE", "yes")]).unwrap();
        assert_eq!((mirror.endpoint.as_str(), mirror.offline), ("http://localhost:1/a", true));
        for url in ["localhost", "ftp://a", "file:///etc", "http://", "x"] {
            assert!(matches!(read(&[("HF_ENDPOINT", url)]), Err(Error::Endpoint { .. })), "{url}");
        }
        assert_eq!(read(&[("HF_HUB_DOWNLOAD_TIMEOUT", "7")]).unwrap().patience, Duration::from_secs(7));
    }
}
