//! The headers of a remote GGUF, without its data.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use gguf_export::gguf::{Header, open_all_from};
use gguf_export::io::ByteSource;

use super::{Hub, Listing, Observer, RemoteFile, RepoName};

/// The smallest read-ahead. It doubles with every request, so that a vocabulary of 20 MB takes few requests.
const MIN_AHEAD: u64 = 64 << 10;
/// The largest read-ahead.
const MAX_AHEAD: u64 = 4 << 20;

impl Hub {
    /// The headers of a GGUF whose first file is `first`, each with the name of its file. Of every file, little more than
    /// its header is read.
    ///
    /// # Errors
    ///
    /// [`gguf_export::Error::Supply`] if a header cannot be fetched, another error if it is invalid.
    pub fn gguf_headers(
        &self,
        repo: &RepoName,
        listing: &Listing,
        first: &str,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> gguf_export::Result<Vec<(PathBuf, Header)>> {
        open_all_from(Path::new(first), &|name| {
            let missing = || listing.missing(first, &name.display().to_string());
            let file = name.to_str().and_then(|name| listing.find(name));
            let file = file.ok_or_else(|| missing().supply(name))?;
            Ok(Box::new(RemoteHead {
                hub: self,
                repo,
                listing,
                file,
                stop,
                observer,
                read: Mutex::default(),
            }))
        })
    }
}

/// A remote file that is fetched as far as it is read.
struct RemoteHead<'a> {
    hub: &'a Hub,
    repo: &'a RepoName,
    listing: &'a Listing,
    file: &'a RemoteFile,
    stop: &'a AtomicBool,
    observer: Observer<'a>,
    read: Mutex<Vec<u8>>,
}

impl std::fmt::Debug for RemoteHead<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteHead").field("file", self.file).finish_non_exhaustive()
    }
}

impl ByteSource for RemoteHead<'_> {
    fn len(&self) -> u64 {
        self.file.bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> gguf_export::Result<()> {
        let path = Path::new(&self.file.name);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let (held, end) = (read.len() as u64, offset.saturating_add(buffer.len() as u64));
        if end > held {
            let upto = end.max(held + held.clamp(MIN_AHEAD, MAX_AHEAD)).min(self.file.bytes.max(end));
            let more =
                self.hub.read_range(self.repo, self.listing, self.file, held..upto, self.stop, self.observer);
            read.extend(more.map_err(|error| error.supply(path))?);
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        buffer.copy_from_slice(&read[start..start + buffer.len()]);
        Ok(())
    }
}
