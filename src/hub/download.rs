//! One file into the cache: where an earlier try ended, hashed on the way, whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::header::CONTENT_RANGE;
use reqwest::{Response, StatusCode};

use super::cache::Folder;
use super::client::{Client, Fault};
use super::hash::Hasher;
use super::tries::Tries;
use super::{Error, Event, Observer, RemoteFile, RepoName};

/// Where a file comes from and goes to.
pub(super) struct Target<'a> {
    pub(super) repo: &'a RepoName,
    pub(super) commit: &'a str,
    pub(super) folder: &'a Folder,
    pub(super) file: &'a RemoteFile,
}

/// Whether the whole file is in the cache.
pub(super) fn is_there(folder: &Folder, file: &RemoteFile) -> Result<bool, Error> {
    let blob = folder.blob(&file.hash)?;
    Ok(fs::metadata(blob).is_ok_and(|meta| meta.is_file() && meta.len() == file.bytes))
}

/// What an unfinished file has already.
pub(super) fn begun(folder: &Folder, file: &RemoteFile) -> Result<u64, Error> {
    let partial = folder.partial(&file.hash)?;
    Ok(fs::symlink_metadata(partial)
        .map_or(0, |meta| if meta.is_file() { meta.len().min(file.bytes) } else { 0 }))
}

/// Fetches a file if it is not there, and gives its place in the snapshot.
pub(super) fn fetch(
    client: &Client,
    target: &Target<'_>,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<PathBuf, Error> {
    let Target { commit, folder, file, .. } = *target;
    folder.make_blobs()?;
    let was_there = is_there(folder, file)?;
    // Held until the file has its name, so that nobody who tidies up takes it for unneeded.
    let _lock = folder.lock(&file.hash, stop)?;
    if !is_there(folder, file)? {
        client.wait(receive(client, target, stop, observer))?;
    } else if !was_there {
        // Another process was quicker.
        observer(Event::Received { file: &file.name, bytes: file.bytes });
    }
    observer(Event::Finished { file: &file.name });
    Ok(folder.link(commit, &file.name, &file.hash)?)
}

/// An unfinished file, open for more.
struct Partial {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    length: u64,
}

impl Partial {
    /// Opens it and hashes what it has. One that is longer than the file is begun anew.
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
            .map_err(Error::io("begin anew", &self.path))
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::io("write", &self.path))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }
}

fn hasher(wanted: &RemoteFile) -> Result<Hasher, Error> {
    let reason = || format!("a hash `{}` of no known kind", wanted.hash);
    Hasher::like(&wanted.hash, wanted.bytes)
        .ok_or_else(|| Error::Answer { what: wanted.name.clone(), reason: reason() })
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
    let mut tries = Tries::new(&what);
    let mut again = true;
    loop {
        while partial.length < file.bytes {
            let before = partial.length;
            let fault = append(client, target, &what, &mut partial, stop, observer).await.err();
            if partial.length > before {
                tries.progressed();
            }
            match fault {
                None => break,
                // Once more from the first byte, where the hub is not of one mind.
                Some(Fault::Final(Error::Length { .. })) if again => {
                    again = false;
                    discard(&mut partial, file, observer)?;
                }
                Some(fault) => {
                    if matches!(fault, Fault::Final(Error::Length { .. })) {
                        // The hub is of another file, so that what came is no part of this one.
                        drop(fs::remove_file(&partial.path));
                    }
                    tries.after(fault, stop, observer).await?;
                }
            }
        }
        let found = partial.hasher.clone().finish();
        if found == file.hash {
            return keep(&partial, &folder.blob(&file.hash)?);
        }
        let before = partial.length;
        discard(&mut partial, file, observer)?;
        if !again || before == 0 {
            drop(fs::remove_file(&partial.path)); // It is empty; what is told is why.
            return Err(Error::Hash { file: what, found, expected: file.hash.clone() });
        }
        again = false;
    }
}

fn discard(partial: &mut Partial, file: &RemoteFile, observer: Observer<'_>) -> Result<(), Error> {
    observer(Event::Discarded { file: &file.name, bytes: partial.length });
    partial.restart(file)
}

/// One request for all that is missing; what came stays, whatever happens then.
async fn append(
    client: &Client,
    target: &Target<'_>,
    what: &str,
    partial: &mut Partial,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<(), Fault> {
    let Target { repo, commit, file, .. } = *target;
    let from = partial.length;
    let range = (from > 0).then_some((from, None));
    let url = client.file_url(repo, commit, &file.name);
    let mut answer = client.get(what, url, range, stop).await?;
    let wrong = |found: u64| Error::Length { file: what.to_owned(), found, expected: file.bytes };
    match answer.status() {
        StatusCode::PARTIAL_CONTENT => check_part(what, &answer, from, file.bytes)?,
        // What is there is not the beginning of what the hub has.
        StatusCode::RANGE_NOT_SATISFIABLE => return Err(wrong(from).into()),
        _ => {
            if let Some(length) = answer.content_length().filter(|length| *length != file.bytes) {
                return Err(wrong(length).into());
            }
            // A server that knows no ranges begins at the beginning.
            if from > 0 {
                discard(partial, file, observer)?;
            }
        }
    }
    while let Some(bytes) = client.more(&mut answer, stop).await? {
        let length = partial.length + bytes.len() as u64;
        if length > file.bytes {
            return Err(wrong(length).into());
        }
        partial.add(&bytes)?;
        observer(Event::Received { file: &file.name, bytes: bytes.len() as u64 });
    }
    if partial.length < file.bytes {
        let reason = format!("the line ended after {} of {} bytes", partial.length, file.bytes);
        return Err(Fault::Passing { reason, pause: None });
    }
    Ok(())
}

/// Holds an answer with a part of a file against what was asked for: bytes from `from` on, of a file of `bytes`.
pub(super) fn check_part(what: &str, answer: &Response, from: u64, bytes: u64) -> Result<(), Error> {
    let range = answer.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    match range.and_then(content_range) {
        Some((begin, Some(total))) if begin == from && total != bytes => {
            Err(Error::Length { file: what.to_owned(), found: total, expected: bytes })
        }
        Some((begin, _)) if begin == from => Ok(()),
        _ => {
            let reason = format!("another range than was asked for: {}", range.unwrap_or("none"));
            Err(Error::Answer { what: what.to_owned(), reason })
        }
    }
}

/// `bytes 5-9/10` or `bytes 5-9/*`: the first byte, and how many there are.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.trim().parse().ok()?) };
    Some((from.trim().parse().ok()?, total))
}

/// Gives a whole file its name.
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
    fn ranges_of_answers_are_read() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for text in ["", "bytes", "bytes */10", "bytes x-9/10", "items 5-9/10", "bytes 5-9/x"] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }
}
