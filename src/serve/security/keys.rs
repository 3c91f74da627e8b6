//! API keys. Only their hashes are kept, and every one is compared in constant time.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

/// Bytes of a file of keys.
const MOST_BYTES: u64 = 1 << 20;

type Hash = [u8; 32];

/// The keys that are accepted.
#[derive(Default)]
pub struct Keys {
    /// Those of the command line and the environment.
    fixed: Vec<Hash>,
    file: Option<PathBuf>,
    all: RwLock<Vec<Hash>>,
}

/// Keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A key is empty.
    #[error("an API key is empty")]
    Empty,
    /// The file cannot be read.
    #[error("cannot read API keys from `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file has no key. Without one, every client would be served.
    #[error("`{}` has no API key, expected one per line", .path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
}

/// Identifies a key, without being one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::serve) struct KeyId(u64);

impl KeyId {
    /// The same number for the same key in every run.
    pub(in crate::serve) fn number(self) -> u64 {
        self.0
    }

    #[cfg(test)]
    pub(in crate::serve) fn with(number: u64) -> Self {
        Self(number)
    }
}

impl Keys {
    /// These keys and those of a file, one per line; lines that begin with `#` are comments.
    ///
    /// # Errors
    ///
    /// When a key is empty, or the file has none or cannot be read.
    pub fn new<T: AsRef<str>>(keys: &[T], file: Option<&Path>) -> Result<Self, KeyError> {
        let mut fixed = Vec::new();
        for key in keys.iter().map(|key| key.as_ref().trim()) {
            if key.is_empty() {
                return Err(KeyError::Empty);
            }
            fixed.push(hash(key.as_bytes()));
        }
        let keys = Self { fixed, file: file.map(Path::to_owned), all: RwLock::default() };
        keys.reload()?;
        Ok(keys)
    }

    /// Reads the file again. After an error the former keys stay valid.
    ///
    /// # Errors
    ///
    /// When the file has no key or cannot be read.
    pub fn reload(&self) -> Result<(), KeyError> {
        let mut all = self.fixed.clone();
        if let Some(path) = &self.file {
            let text = read(path).map_err(|source| KeyError::Read { path: path.clone(), source })?;
            let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            let before = all.len();
            all.extend(lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).map(hash));
            if all.len() == before {
                return Err(KeyError::NoKey { path: path.clone() });
            }
        }
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(())
    }

    /// Whether a file has keys, which can be read again.
    #[must_use]
    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Whether a key is required.
    #[must_use]
    pub fn are_required(&self) -> bool {
        !self.all.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The key of a request, if one of its headers has a valid one.
    pub(super) fn of(&self, headers: &HeaderMap) -> Option<KeyId> {
        presented(headers).find_map(|key| self.find(key))
    }

    /// Compares with every key, however early one matches.
    fn find(&self, key: &[u8]) -> Option<KeyId> {
        let presented = hash(key);
        let (mut found, mut id) = (Choice::from(0), 0);
        for stored in self.all.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let equal = stored.ct_eq(&presented);
            found |= equal;
            let first = stored.first_chunk().copied().unwrap_or_default();
            id = u64::conditional_select(&id, &u64::from_le_bytes(first), equal);
        }
        bool::from(found).then_some(KeyId(id))
    }
}

/// Shows how many there are.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.all.read().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Keys").field("number", &number).field("file", &self.file).finish_non_exhaustive()
    }
}

/// Whether a request has any key.
pub(super) fn has_key(headers: &HeaderMap) -> bool {
    presented(headers).next().is_some()
}

/// The keys in `Authorization: Bearer` and `x-api-key`.
fn presented(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let bearer = headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
    });
    let other = headers.get_all("x-api-key").iter().map(http::HeaderValue::as_bytes);
    bearer.chain(other).map(<[u8]>::trim_ascii).filter(|key| !key.is_empty())
}

fn hash(key: &[u8]) -> Hash {
    Sha256::digest(key).into()
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 1 MiB"));
    }
    Ok(text)
}
