//! The files of a repository in the cache, for offline mode and for a hub that cannot be reached.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;

use super::cache::Folder;
use super::{Error, Listing, RemoteFile, RepoName};

/// The largest number of files and folders that are examined.
const MAX_ENTRIES: usize = 100_000;

/// The files of the commit that the revision last pointed to.
/// `reason` says why the hub is not asked.
pub(super) fn listing(folder: &Folder, repo: &RepoName, reason: &str) -> Result<Listing, Error> {
    let offline = || Error::Offline { what: repo.to_string(), reason: reason.to_owned() };
    let commit = folder.commit_of(repo.revision()).ok_or_else(offline)?;
    let root = folder.snapshot(&commit)?;
    let (mut files, mut open, mut seen) = (Vec::new(), vec![root.clone()], 0);
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().filter_map(Result::ok) {
            seen += 1;
            let path = entry.path();
            if seen > MAX_ENTRIES {
                break;
            }
            if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
                open.push(path);
                continue;
            }
            let Some(name) = path.strip_prefix(&root).ok().and_then(Path::to_str) else { continue };
            let Some(found) = folder.find(&commit, name) else { continue };
            let Ok(meta) = fs::metadata(&found) else { continue };
            let hash = fs::read_link(&path).ok().and_then(|to| Some(to.file_name()?.to_str()?.to_owned()));
            let hash = hash.unwrap_or_default();
            files.push(RemoteFile { name: name.to_owned(), bytes: meta.len(), hash });
        }
    }
    if files.is_empty() {
        return Err(offline());
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Listing { commit, files, only_cached: Some(reason.to_owned()) })
}

/// Reads a part of a file.
pub(super) fn read(path: &Path, range: Range<u64>) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(0)];
    File::open(path)
        .and_then(|mut file| {
            file.seek(SeekFrom::Start(range.start))?;
            file.read_exact(&mut bytes)
        })
        .map_err(Error::io("read", path))?;
    Ok(bytes)
}
