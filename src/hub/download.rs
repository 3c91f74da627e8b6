//! Downloads one file into the cache: resumes an interrupted download, hashes the bytes as they arrive, and gives the
//! file its final name only when it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode};

use super::cache::Folder;
use super::client::{Client, Failure};
use super::hash::Hasher;
use super::retry::Retries;
use super::{Error, Event, Observer, RemoteFile, RepoName};

/// A file to download, and the folder in the cache for it.
pub(super) struct Target<'a> {
    pub(super) repo: &'a RepoName,
    pub(super) commit: &'a str,
    pub(super) folder: &'a Folder,
    pub(super) file: &'a RemoteFile,
}

/// Whether the complete file is in the cache.
pub(super) fn is_complete(folder: &Folder, file: &RemoteFile) -> Result<bool, Error> {
    let blob = folder.blob(&file.hash)?;
    Ok(fs::metadata(blob).is_ok_and(|meta| meta.is_file() && meta.len() == file.bytes))
}

/// The bytes of a file that are in the cache, complete or partial.
pub(super) fn cached_bytes(folder: &Folder, file: &RemoteFile) -> Result<u64, Error> {
    if is_complete(folder, file)? {
        return Ok(file.bytes);
    }
    let partial = folder.partial(&file.hash)?;
    Ok(fs::symlink_metadata(partial)
        .map_or(0, |meta| if meta.is_file() { meta.len().min(file.bytes) } else { 0 }))
}

/// Fetches a file if it is not in the cache, and returns its path in the snapshot.
pub(super) fn fetch(
    client: &Client,
    target: &Target<'_>,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<PathBuf, Error> {
    let Target { commit, folder, file, .. } = *target;
    folder.make_blobs()?;
    let was_complete = is_complete(folder, file)?;
    // Held until the file is linked, so that a concurrent `prune` does not remove it as unreferenced.
    let _lock = folder.lock(&file.hash, stop)?;
    if !is_complete(folder, file)? {
        client.wait(receive(client, target, stop, observer))?;
    } else if !was_complete {
        // Another process downloaded it meanwhile.
        observer(Event::Received { file: &file.name, bytes: file.bytes });
    }
    observer(Event::Finished { file: &file.name });
    Ok(folder.link(commit, &file.name, &file.hash)?)
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

async fn receive(
    client: &Client,
    target: &Target<'_>,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<(), Error> {
    let Target { repo, folder, file, .. } = *target;
    let what = format!("{}/{}", repo.id(), file.name);
    let mut partial = Partial::open(folder.partial(&file.hash)?, file, stop)?;
    let mut retries = Retries::new(&what);
    let mut may_restart = true;
    loop {
        while partial.length < file.bytes {
            let before = partial.length;
            let failure = append(client, target, &what, &mut partial, stop, observer).await.err();
            if partial.length > before {
                retries.progressed();
            }
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
            return keep(&partial, &folder.blob(&file.hash)?);
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

/// Sends one request for all missing bytes. Bytes that were received are kept, even if the request fails later.
async fn append(
    client: &Client,
    target: &Target<'_>,
    what: &str,
    partial: &mut Partial,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<(), Failure> {
    let Target { repo, commit, file, .. } = *target;
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
    while let Some(bytes) = client.next(&mut response, stop).await? {
        let length = partial.length + bytes.len() as u64;
        if length > file.bytes {
            return Err(wrong(length).into());
        }
        partial.add(&bytes)?;
        observer(Event::Received { file: &file.name, bytes: bytes.len() as u64 });
    }
    if partial.length < file.bytes {
        let reason = format!("connection lost after {} of {} bytes", partial.length, file.bytes);
        return Err(Failure::Transient { reason, pause: None });
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

/// Gives a complete file its final name.
fn keep(partial: &Partial, blob: &Path) -> Result<(), Error> {
    partial.file.sync_all().map_err(Error::io("sync", &partial.path))?;
    fs::rename(&partial.path, blob).map_err(Error::io("rename", &partial.path))?;
    let folder = blob.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", folder))
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
