//! A plain folder that holds the files of a repository under their own names, as `hf download --local-dir` makes it:
//! `.cache/huggingface/download` in it records which version each file is, and has the partial files.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use super::cache::{Folder, Lock, check_file};
use super::client::Client;
use super::download::{complete, keep};
use super::hash::Hasher;
use super::transfer::{Transfer, partial_bytes, receive};
use super::{Error, Event, Listing, Observer, RemoteFile, RepoName, cache, hash};

/// The folder of records, with `/`.
const RECORDS: &str = ".cache/huggingface";
/// The longest record that is read, in bytes.
const RECORD_BYTES: u64 = 1000;
/// A file that was changed later than this after its record was written is not the recorded one.
const TOLERANCE: Duration = Duration::from_secs(1);

/// A plain folder for the files of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDir {
    path: PathBuf,
}

impl LocalDir {
    /// A folder, which is created when the first file is fetched.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of a file that are in the folder, complete or partial.
    ///
    /// # Errors
    ///
    /// When the file's name could lead out of the folder.
    pub fn bytes(&self, commit: &str, file: &RemoteFile) -> Result<u64, Error> {
        let place = self.place(file)?;
        let is_there = place.is_recorded(commit, file) || place.has_size(file);
        Ok(if is_there { file.bytes } else { partial_bytes(&place.partial, file) })
    }

    fn place(&self, file: &RemoteFile) -> Result<Place, Error> {
        check_file(&file.name)?;
        if format!("{}/", file.name.to_lowercase()).starts_with(&format!("{RECORDS}/")) {
            let expected = "a name outside of the folder's own records";
            return Err(cache::Error::name("file name", &file.name, expected).into());
        }
        let records = self.path.join(RECORDS).join("download");
        let with = |ending: &str| records.join(format!("{}.{ending}", file.name));
        Ok(Place {
            path: self.path.join(&file.name),
            record: with("metadata"),
            lock: with("lock"),
            partial: with(&format!("{}.incomplete", file.hash)),
        })
    }

    /// Creates the folders of a file. The records are not for a repository that the folder may be in.
    fn make(&self, place: &Place) -> Result<(), Error> {
        for folder in [place.path.parent(), place.record.parent()].into_iter().flatten() {
            fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        let ignore = self.path.join(RECORDS).join(".gitignore");
        if ignore.exists() { Ok(()) } else { fs::write(&ignore, "*\n").map_err(Error::io("write", &ignore)) }
    }
}

/// The paths of a file.
struct Place {
    path: PathBuf,
    /// The record of its version.
    record: PathBuf,
    lock: PathBuf,
    /// The file during its download.
    partial: PathBuf,
}

impl Place {
    /// Whether the file is the recorded one, unchanged since, and the record is that of `file`.
    fn is_recorded(&self, commit: &str, file: &RemoteFile) -> bool {
        let Some(record) = Record::read(&self.record) else { return false };
        let changed = fs::metadata(&self.path).and_then(|meta| meta.modified()).ok();
        let is_unchanged = changed.is_some_and(|changed| {
            let since = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            since <= record.written.saturating_add(TOLERANCE)
        });
        self.has_size(file)
            && is_unchanged
            && (record.hash == file.hash || file.hash.is_empty() && record.commit == commit)
    }

    fn has_size(&self, file: &RemoteFile) -> bool {
        fs::metadata(&self.path).is_ok_and(|meta| meta.is_file() && meta.len() == file.bytes)
    }

    fn write_record(&self, commit: &str, file: &RemoteFile) -> Result<(), Error> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let text = format!("{commit}\n{}\n{:.6}\n", file.hash, now.as_secs_f64());
        fs::write(&self.record, text).map_err(Error::io("write", &self.record))
    }
}

/// Which version of a file is in the folder.
#[derive(Debug, PartialEq)]
struct Record {
    commit: String,
    hash: String,
    /// When it was written, since 1970.
    written: Duration,
}

impl Record {
    fn read(path: &Path) -> Option<Self> {
        let mut text = String::new();
        fs::File::open(path).ok()?.take(RECORD_BYTES).read_to_string(&mut text).ok()?;
        let mut lines = text.lines().map(|line| line.trim().to_owned());
        let (commit, hash) = (lines.next()?, lines.next()?);
        let written = Duration::try_from_secs_f64(lines.next()?.parse().ok()?).ok()?;
        Some(Self { commit, hash, written })
    }
}

/// Fetches a file if it is not in the folder. A file that is in the cache is copied, and one that is in the folder
/// without a record is hashed.
pub(super) fn fetch(
    client: &Client,
    cached: &Folder,
    dir: &LocalDir,
    (repo, listing): (&RepoName, &Listing),
    file: &RemoteFile,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<(), Error> {
    let (place, commit) = (dir.place(file)?, &listing.commit);
    let finished = || observer(Event::Finished { file: &file.name });
    if place.is_recorded(commit, file) {
        finished();
        return Ok(());
    }
    dir.make(&place)?;
    let _lock = Lock::wait(place.lock.clone(), stop)?;
    // Another process may have fetched it meanwhile.
    if !place.is_recorded(commit, file) {
        if !is_same(&place, file, stop, observer)? {
            let copied = match complete(cached, commit, file)? {
                Some(path) => copy(&path, &place.partial, (listing, file), stop, observer)?,
                None => false,
            };
            if !copied {
                listing.needs(&format!("{}/{}", repo.id(), file.name))?;
                let partial = place.partial.clone();
                receive(client, &Transfer { repo, commit, file, partial }, stop, observer)?;
            }
            keep(&place.partial, &place.path)?;
        }
        place.write_record(commit, file)?;
    }
    finished();
    Ok(())
}

/// Copies a file of the cache, hashes its bytes, and returns whether they are those of the listing. In the listing of an
/// offline cache a file may have no hash.
fn copy(
    from: &Path,
    to: &Path,
    (listing, file): (&Listing, &RemoteFile),
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<bool, Error> {
    let mut source = fs::File::open(from).map_err(Error::io("open", from))?;
    if let Err(error) = fs::remove_file(to)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(Error::io("remove", to)(error));
    }
    let mut target = fs::File::create_new(to).map_err(Error::io("create", to))?;
    let (mut hasher, mut copied) = (Hasher::like(&file.hash, file.bytes), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        let read = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io("read", from)(error)),
        };
        target.write_all(&buffer[..read]).map_err(Error::io("write", to))?;
        if let Some(hasher) = &mut hasher {
            hasher.update(&buffer[..read]);
        }
        copied += read as u64;
        observer(Event::Received { file: &file.name, bytes: read as u64 });
    }
    target.sync_all().map_err(Error::io("sync", to))?;
    let Some(found) = hasher.map(Hasher::finish).filter(|found| *found != file.hash) else { return Ok(true) };
    observer(Event::Discarded { file: &file.name, bytes: copied });
    drop(target);
    fs::remove_file(to).map_err(Error::io("remove", to))?;
    if listing.only_cached.is_some() {
        return Err(Error::Changed { path: from.to_owned(), found, expected: file.hash.clone() });
    }
    Ok(false)
}

/// Whether a file of unknown origin has the listed hash. It counts as present until it is read.
fn is_same(
    place: &Place,
    file: &RemoteFile,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<bool, Error> {
    if !place.has_size(file) {
        return Ok(false);
    }
    let found =
        hash::of_file(&place.path, &file.hash, stop, |_| {}).map_err(Error::io("read", &place.path))?;
    if found.is_none() && stop.load(Ordering::Relaxed) {
        return Err(Error::Stopped);
    }
    let is_same = found.as_deref() == Some(file.hash.as_str());
    if !is_same {
        observer(Event::Discarded { file: &file.name, bytes: file.bytes });
    }
    Ok(is_same)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(name: &str) -> RemoteFile {
        RemoteFile { name: name.to_owned(), bytes: 1, hash: "ab".repeat(20) }
    }

    #[test]
    fn a_record_is_that_of_hf_download() {
        let dir = tempfile::tempdir().unwrap();
        let place = LocalDir::at(dir.path()).place(&file("q/m.gguf")).unwrap();
        assert_eq!(place.record, dir.path().join(".cache/huggingface/download/q/m.gguf.metadata"));
        let at = dir.path().join("record");
        fs::write(&at, "0123\nabcd\n1764300000.25\n").unwrap();
        let written = Duration::from_millis(1_764_300_000_250);
        assert_eq!(Record::read(&at), Some(Record { commit: "0123".into(), hash: "abcd".into(), written }));
        for wrong in ["", "a\nb", "a\nb\nsoon", "a\nb\n-1", "a\nb\nnan", "a\nb\n1e300"] {
            fs::write(&at, wrong).unwrap();
            assert_eq!(Record::read(&at), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_name_that_would_replace_a_record_is_refused() {
        let dir = LocalDir::at("dir");
        for name in [
            ".cache/huggingface/download/a.metadata",
            ".Cache/HuggingFace/x",
            ".cache/huggingface",
            "../a",
            "/a",
        ] {
            assert!(dir.place(&file(name)).is_err(), "{name}");
        }
        assert!(dir.place(&file(".cache/a")).is_ok());
    }

    proptest! {
        #[test]
        fn no_name_leads_out_of_the_folder(name in r"(\.\.|\.|/|\\|[a-z ~:\x00]|\.cache/huggingface){0,8}") {
            if let Ok(place) = LocalDir::at("/dir").place(&file(&name)) {
                for path in [&place.path, &place.record, &place.lock, &place.partial] {
                    prop_assert!(path.starts_with("/dir"), "{path:?}");
                    prop_assert!(!path.components().any(|part| part == std::path::Component::ParentDir));
                }
                prop_assert!(!place.path.starts_with("/dir/.cache/huggingface"));
            }
        }
    }
}
