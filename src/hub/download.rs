//! Downloads one file into the cache, where it has its final name only when it is complete.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::cache::Folder;
use super::client::Client;
use super::transfer::{Transfer, partial_bytes, receive};
use super::{Error, Event, Observer, RemoteFile, RepoName};

/// A file to download, and the folder in the cache for it.
pub(super) struct Target<'a> {
    pub(super) repo: &'a RepoName,
    pub(super) commit: &'a str,
    pub(super) folder: &'a Folder,
    pub(super) file: &'a RemoteFile,
}

/// Fetches a file if it is not in the cache, and returns its path in the snapshot.
pub(super) fn fetch(
    client: &Client,
    target: &Target<'_>,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<PathBuf, Error> {
    let Target { repo, commit, folder, file } = *target;
    // Without a lock, which a read-only cache cannot have: a file with a name is not removed as unreferenced.
    if let Some(path) = present(folder, commit, file) {
        observer(Event::Finished { file: &file.name });
        return Ok(path);
    }
    folder.make_blobs()?;
    let was_complete = has_blob(folder, file)?;
    // Held until the file is linked, so that a concurrent `prune` does not remove it as unreferenced.
    let _lock = folder.lock(&file.hash, stop)?;
    let found = present(folder, commit, file);
    if found.is_none() && !has_blob(folder, file)? {
        let partial = folder.partial(&file.hash)?;
        receive(client, &Transfer { repo, commit, file, partial: partial.clone() }, stop, observer)?;
        keep(&partial, &folder.blob(&file.hash)?)?;
    } else if !was_complete {
        // Another process downloaded it meanwhile.
        observer(Event::Received { file: &file.name, bytes: file.bytes });
    }
    observer(Event::Finished { file: &file.name });
    match found {
        Some(path) => Ok(path),
        None => Ok(folder.link(commit, &file.name, &file.hash)?),
    }
}

/// The path of a complete file of a commit: a link to its blob, or the file itself, which is believed if its size is
/// right. Where links cannot be made, only the file itself exists.
pub(super) fn present(folder: &Folder, commit: &str, file: &RemoteFile) -> Option<PathBuf> {
    let path = folder.find(commit, &file.name)?;
    let is_right = match fs::read_link(&path) {
        Ok(to) => to.file_name().is_some_and(|name| *name == *file.hash),
        Err(_) => true,
    };
    (is_right && fs::metadata(&path).is_ok_and(|meta| meta.len() == file.bytes)).then_some(path)
}

/// The path of a complete file in the cache, possibly without its name in a commit.
pub(super) fn complete(folder: &Folder, commit: &str, file: &RemoteFile) -> Result<Option<PathBuf>, Error> {
    match present(folder, commit, file) {
        None if has_blob(folder, file)? => Ok(Some(folder.blob(&file.hash)?)),
        found => Ok(found),
    }
}

/// The bytes of a file that are in the cache, complete or partial.
pub(super) fn cached_bytes(folder: &Folder, commit: &str, file: &RemoteFile) -> Result<u64, Error> {
    if complete(folder, commit, file)?.is_some() {
        return Ok(file.bytes);
    }
    Ok(partial_bytes(&folder.partial(&file.hash)?, file))
}

/// Whether the complete file is in the cache, possibly without its name in a commit.
fn has_blob(folder: &Folder, file: &RemoteFile) -> Result<bool, Error> {
    let blob = folder.blob(&file.hash)?;
    Ok(fs::metadata(blob).is_ok_and(|meta| meta.is_file() && meta.len() == file.bytes))
}

/// Gives a complete file its final name.
pub(super) fn keep(partial: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(partial, to).map_err(Error::io("rename", partial))?;
    let folder = to.parent().unwrap_or(Path::new("."));
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Not every network file system can sync a folder.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        done => done.map_err(Error::io("sync", folder)),
    }
}
