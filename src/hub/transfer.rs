//! Transfers one file to a partial file: resumes an interrupted transfer and hashes the bytes as they arrive. Where the
//! complete file goes is decided elsewhere.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode};

use super::client::Client;
use super::failure::Failure;
use super::hash::Hasher;
use super::retry::Retries;
use super::{Error, Event, Observer, RemoteFile, RepoName};

/// A file of a repository, and where its bytes go.
pub(super) struct Transfer<'a> {
    pub(super) repo: &'a RepoName,
    pub(super) commit: &'a str,
    pub(super) file: &'a RemoteFile,
    /// The partial file.
    pub(super) partial: PathBuf,
}

/// Completes the partial file: afterwards it is on the disk and has the size and the hash of the file.
pub(super) fn receive(
    client: &Client,
    transfer: &Transfer<'_>,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<(), Error> {
    client.wait(attempts(client, transfer, stop, observer))
}

/// The bytes in a partial file.
pub(super) fn partial_bytes(partial: &Path, file: &RemoteFile) -> u64 {
    let meta = fs::symlink_metadata(partial);
    meta.map_or(0, |meta| if meta.is_file() { meta.len().min(file.bytes) } else { 0 })
}

async fn attempts(
    client: &Client,
    transfer: &Transfer<'_>,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<(), Error> {
    let Transfer { repo, file, .. } = *transfer;
    let what = format!("{}/{}", repo.id(), file.name);
    let mut partial = Partial::open(transfer.partial.clone(), file, stop)?;
    let mut retries = Retries::new(&what);
    let (mut may_restart, mut most) = (true, partial.length);
    loop {
        while partial.length < file.bytes {
            let failure = append(client, transfer, &what, &mut partial, stop, observer).await.err();
            // Bytes that were received before are no progress.
            retries.received(partial.length.saturating_sub(most));
            most = most.max(partial.length);
            match failure {
                None => break,
                // Mirrors may disagree: once more from the first byte.
                Some(Failure::Final(Error::Length { .. })) if may_restart => {
                    may_restart = false;
                    discard(&mut partial, file, observer)?;
                }
                Some(failure) => {
                    if matches!(failure, Failure::Final(Error::Length { .. })) {
                        // The hub has a different file, so the received bytes are useless.
                        drop(fs::remove_file(&partial.path));
                    }
                    retries.wait_after(failure, stop, observer).await?;
                }
            }
        }
        let found = partial.hasher.clone().finish();
        if found == file.hash {
            return partial.file.sync_all().map_err(Error::io("sync", &partial.path));
        }
        let before = partial.length;
        discard(&mut partial, file, observer)?;
        if !may_restart || before == 0 {
            drop(fs::remove_file(&partial.path)); // It is empty, and the hash mismatch is the error to report.
            return Err(Error::Hash { file: what, found, expected: file.hash.clone() });
        }
        may_restart = false;
    }
}

fn discard(partial: &mut Partial, file: &RemoteFile, observer: Observer<'_>) -> Result<(), Error> {
    observer(Event::Discarded { file: &file.name, bytes: partial.length });
    partial.restart(file)
}

/// A partial file, open for appending.
struct Partial {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    length: u64,
}

impl Partial {
    /// Opens the file and hashes its bytes. A file that is longer than `wanted` is truncated to nothing.
    fn open(path: PathBuf, wanted: &RemoteFile, stop: &AtomicBool) -> Result<Self, Error> {
        if fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_file()) {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(Error::io("open", &path))?;
        let hasher = hasher(wanted)?;
        let mut partial = Self { path, file, hasher, length: 0 };
        let found = partial.file.metadata().map_err(Error::io("examine", &partial.path))?.len();
        if found > wanted.bytes {
            partial.restart(wanted)?;
        }
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = match partial.file.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("read", &partial.path)(error)),
            };
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            if read == 0 {
                return Ok(partial);
            }
            partial.hasher.update(&buffer[..read]);
            partial.length += read as u64;
        }
    }

    fn restart(&mut self, wanted: &RemoteFile) -> Result<(), Error> {
        self.hasher = hasher(wanted)?;
        self.length = 0;
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map(drop)
            .map_err(Error::io("truncate", &self.path))
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::io("write", &self.path))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }
}

fn hasher(wanted: &RemoteFile) -> Result<Hasher, Error> {
    let reason = || format!("unknown kind of hash `{}`", wanted.hash);
    Hasher::like(&wanted.hash, wanted.bytes)
        .ok_or_else(|| Error::Response { what: wanted.name.clone(), reason: reason() })
}

/// Sends one request for all missing bytes. Bytes that were received are kept, even if the request fails later.
async fn append(
    client: &Client,
    transfer: &Transfer<'_>,
    what: &str,
    partial: &mut Partial,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<(), Failure> {
    let Transfer { repo, commit, file, .. } = *transfer;
    let from = partial.length;
    let range = (from > 0).then_some((from, None));
    let url = client.file_url(repo, commit, &file.name);
    let mut response = client.get(what, url, range, stop).await?;
    let wrong = |found: u64| Error::Length { file: what.to_owned(), found, expected: file.bytes };
    match response.status() {
        StatusCode::PARTIAL_CONTENT => check_range(what, &response, from, file.bytes)?,
        // The partial file is not the beginning of the hub's file.
        StatusCode::RANGE_NOT_SATISFIABLE => return Err(wrong(from).into()),
        _ => {
            if let Some(length) = response.content_length().filter(|length| *length != file.bytes) {
                return Err(wrong(length).into());
            }
            // A server without range requests sends the whole file.
            if from > 0 {
                discard(partial, file, observer)?;
            }
        }
    }
    let mut pace = client.pace();
    while let Some(bytes) = client.next(&mut response, &mut pace, stop).await? {
        let length = partial.length + bytes.len() as u64;
        if length > file.bytes {
            return Err(wrong(length).into());
        }
        partial.add(&bytes)?;
        observer(Event::Received { file: &file.name, bytes: bytes.len() as u64 });
    }
    if partial.length < file.bytes {
        let reason = format!("connection lost after {} of {} bytes", partial.length, file.bytes);
        return Err(Failure::Broken { reason });
    }
    Ok(())
}

/// Checks that a partial response begins at the requested byte `from`, and that the whole file has `bytes` bytes.
pub(super) fn check_range(what: &str, response: &Response, from: u64, bytes: u64) -> Result<(), Error> {
    let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    match range.and_then(content_range) {
        Some((begin, Some(total))) if begin == from && total != bytes => {
            Err(Error::Length { file: what.to_owned(), found: total, expected: bytes })
        }
        Some((begin, _)) if begin == from => Ok(()),
        _ => {
            let range = range.unwrap_or_default();
            let reason = format!("wrong byte range: `Content-Range: {range}`, requested from byte {from}");
            Err(Error::Response { what: what.to_owned(), reason })
        }
    }
}

/// Parses `bytes 5-9/10` or `bytes 5-9/*`: the first byte, and the size of the file if given.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.trim().parse().ok()?) };
    Some((from.trim().parse().ok()?, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_parsed() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for text in ["", "bytes", "bytes */10", "bytes x-9/10", "items 5-9/10", "bytes 5-9/x"] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }
}
