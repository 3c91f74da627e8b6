//! The headers of a repository's GGUF, without its data.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use gguf_export::gguf::{Header, open_all_from};
use gguf_export::io::ByteSource;

use super::arrive::failed;
use super::{Error, Hub, Listing, Observer, RemoteFile, RepoName};

/// Bytes that are asked for first; then as many as there are, so that a vocabulary of 20 MB takes few requests.
const FIRST: u64 = 64 << 10;
/// The most that is asked for beyond what is needed.
const MOST: u64 = 4 << 20;

impl Hub {
    /// The headers of a GGUF whose first file is `first`, each with the name of its file; of every file as much is read
    /// as its header takes.
    ///
    /// # Errors
    ///
    /// [`gguf_export::Error::Supply`] where a header does not come, and whatever is wrong with it.
    pub fn gguf_headers(
        &self,
        repo: &RepoName,
        listing: &Listing,
        first: &str,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> gguf_export::Result<Vec<(PathBuf, Header)>> {
        open_all_from(Path::new(first), &|name| {
            let lacking = || Error::Missing { what: first.to_owned(), file: name.display().to_string() };
            let file = name.to_str().and_then(|name| listing.find(name));
            let file = file.ok_or_else(|| failed(name, lacking()))?;
            Ok(Box::new(Front { hub: self, repo, listing, file, stop, observer, have: Mutex::default() }))
        })
    }
}

/// A file whose first bytes come when they are read.
struct Front<'a> {
    hub: &'a Hub,
    repo: &'a RepoName,
    listing: &'a Listing,
    file: &'a RemoteFile,
    stop: &'a AtomicBool,
    observer: Observer<'a>,
    have: Mutex<Vec<u8>>,
}

impl std::fmt::Debug for Front<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").field("file", self.file).finish_non_exhaustive()
    }
}

impl ByteSource for Front<'_> {
    fn len(&self) -> u64 {
        self.file.bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> gguf_export::Result<()> {
        let path = Path::new(&self.file.name);
        let mut have = self.have.lock().unwrap_or_else(PoisonError::into_inner);
        let (held, end) = (have.len() as u64, offset.saturating_add(buffer.len() as u64));
        if end > held {
            let upto = end.max(held + held.clamp(FIRST, MOST)).min(self.file.bytes.max(end));
            let more =
                self.hub.read_range(self.repo, self.listing, self.file, held..upto, self.stop, self.observer);
            have.extend(more.map_err(|error| failed(path, error))?);
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        buffer.copy_from_slice(&have[start..start + buffer.len()]);
        Ok(())
    }
}
