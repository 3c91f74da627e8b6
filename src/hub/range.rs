//! Reads a part of a file without fetching the rest.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use gguf_export::checkpoint::head_bytes;
use reqwest::StatusCode;

use super::download::present;
use super::failure::Failure;
use super::retry::Retries;
use super::transfer::check_range;
use super::{Error, Hub, Listing, Observer, RemoteFile, RepoName, snapshot};

/// The longest range that is read into memory.
const MAX_BYTES: usize = 256 << 20;

impl Hub {
    /// Reads a part of a file, from the cache if the file is there with the listed size. The hub lists no hash for a part.
    ///
    /// # Errors
    ///
    /// When the range is outside of the file, or cannot be fetched.
    pub fn read_range(
        &self,
        repo: &RepoName,
        listing: &Listing,
        file: &RemoteFile,
        range: Range<u64>,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<Vec<u8>, Error> {
        let what = format!("{}/{}", repo.id(), file.name);
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        if range.end > file.bytes || length > MAX_BYTES {
            let reason =
                format!("the file has {} bytes, requested {} to {}", file.bytes, range.start, range.end);
            return Err(Error::Response { what, reason });
        }
        if length == 0 {
            return Ok(Vec::new());
        }
        let folder = self.cache().repo(repo);
        if let Some(path) = present(&folder, &listing.commit, file) {
            return snapshot::read(&path, range);
        }
        listing.needs(&what)?;
        let url = || self.client().file_url(repo, &listing.commit, &file.name);
        let request = async || -> Result<Vec<u8>, Failure> {
            let last = Some(range.end - 1);
            let response = self.client().get(&what, url(), Some((range.start, last)), stop).await?;
            let whole = range == (0..file.bytes);
            if response.status() != StatusCode::PARTIAL_CONTENT && !whole {
                let reason = format!("expected a part of the file (206), got {}", response.status());
                return Err(Error::Response { what: what.clone(), reason }.into());
            }
            if response.status() == StatusCode::PARTIAL_CONTENT {
                // Without a hash, only this header identifies the part.
                check_range(&what, &response, range.start, file.bytes)?;
            }
            let bytes = self.client().all(&what, response, length, stop).await?;
            if bytes.len() < length {
                let reason = format!("connection lost after {} of {length} bytes", bytes.len());
                return Err(Failure::Broken { reason });
            }
            Ok(bytes)
        };
        self.client().wait(Retries::new(&what).until(request, stop, observer))
    }

    /// Reads a safetensors file up to the end of its header.
    ///
    /// # Errors
    ///
    /// When the header cannot be fetched.
    pub(super) fn read_head(
        &self,
        repo: &RepoName,
        listing: &Listing,
        file: &RemoteFile,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> Result<Vec<u8>, Error> {
        let read = |range| self.read_range(repo, listing, file, range, stop, observer);
        let first = read(0..file.bytes.min(8))?;
        match first.first_chunk() {
            Some(first) => read(0..head_bytes(*first).min(file.bytes)),
            None => Ok(first),
        }
    }
}
