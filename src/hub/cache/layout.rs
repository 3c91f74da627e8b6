//! Paths in the shared cache, as `huggingface_hub` lays it out, and the few changes that are made there one at a time.
//!
//! `CACHE/models--ORG--NAME` has `blobs/HASH` with the bytes, `snapshots/COMMIT/NAME` as links to them, and
//! `refs/REVISION` with the commit that a branch or a tag was last seen at. Whatever comes in as a name is checked
//! before it becomes a path, and every folder on the way to a file is a real one: no name and no link leads elsewhere.
//! Not here: reading the whole of a cache, removing anything.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::Error;
use super::lock::Lock;
use super::place;
use crate::hub::RepoName;

/// The longest file that is taken for a ref, in bytes.
const REF_BYTES: u64 = 100;

/// A cache: a folder with a folder for every repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

/// A repository's folder in a cache, which need not be there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    root: PathBuf,
    name: String,
}

impl Cache {
    /// The cache in a folder. The folder itself may be a link.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder of the whole.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of that name.
    pub(super) fn folder_of(&self, name: &str) -> Folder {
        Folder { root: self.root.clone(), name: name.to_owned() }
    }

    /// The folder of a repository, whatever revision is named.
    #[must_use]
    pub fn repo(&self, repo: &RepoName) -> Folder {
        self.folder_of(&format!("models--{}", repo.id().replace('/', "--")))
    }
}

impl Folder {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.root.join(&self.name)
    }

    /// The whole file with this hash: SHA-256 for large files, git's SHA-1 of a blob for others.
    ///
    /// # Errors
    ///
    /// When the text is no such hash, or the folder of blobs is none of the cache's own.
    pub fn blob(&self, hash: &str) -> Result<PathBuf, Error> {
        check_hash(hash)?;
        Ok(self.own(&["blobs"])?.join(hash))
    }

    /// The same file while it is fetched.
    ///
    /// # Errors
    ///
    /// As [`blob`](Self::blob).
    pub fn partial(&self, hash: &str) -> Result<PathBuf, Error> {
        Ok(self.blob(hash)?.with_extension("incomplete"))
    }

    /// Waits until no other process writes the file with this hash, for as long as `stop` is not set.
    ///
    /// # Errors
    ///
    /// When the lock cannot be made or taken, or `stop` was set.
    pub fn lock(&self, hash: &str, stop: &AtomicBool) -> Result<Lock, Error> {
        Lock::wait(self.lock_file(hash)?, stop)
    }

    /// The same without waiting; `None` while another holds it.
    ///
    /// # Errors
    ///
    /// When the lock cannot be made or taken.
    pub fn try_lock(&self, hash: &str) -> Result<Option<Lock>, Error> {
        Lock::attempt(self.lock_file(hash)?)
    }

    /// The folder in which a commit's files have their own names.
    ///
    /// # Errors
    ///
    /// When the text is no full commit, or a folder on the way is none of the cache's own.
    pub fn snapshot(&self, commit: &str) -> Result<PathBuf, Error> {
        check_commit(commit)?;
        self.own(&["snapshots", commit])
    }

    /// Gives a blob the name that it has in a commit, in place of whatever had it, and says where.
    ///
    /// # Errors
    ///
    /// When a name could lead elsewhere, or the system refuses.
    pub fn link(&self, commit: &str, file: &str, hash: &str) -> Result<PathBuf, Error> {
        check_commit(commit)?;
        check_file(file)?;
        let blob = self.blob(hash)?;
        let (folders, name) = file.rsplit_once('/').unwrap_or(("", file));
        let folders: Vec<&str> = folders.split('/').filter(|part| !part.is_empty()).collect();
        let folder = self.make(&[&["snapshots", commit], folders.as_slice()].concat())?;
        let target: PathBuf =
            ["..", ".."].into_iter().chain(folders.iter().map(|_| "..")).chain(["blobs", hash]).collect();
        let at = folder.join(name);
        place::link(&target, &blob, &at, &self.locks()?)?;
        Ok(at)
    }

    /// Notes the commit that a branch or a tag was seen at. A commit needs no note.
    ///
    /// # Errors
    ///
    /// When a name could lead elsewhere, or the system refuses.
    pub fn set_ref(&self, revision: &str, commit: &str) -> Result<(), Error> {
        check_commit(commit)?;
        if is_commit(revision) {
            return Ok(());
        }
        let at = self.ref_file(revision)?;
        let folder = at.parent().unwrap_or(&at);
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        // Another process may have been quicker, with something else.
        let at = self.ref_file(revision)?;
        place::text(commit, &at, &self.locks()?)
    }

    /// The commit of a revision as it was last seen; a full commit is its own. `None` if it is not known, or what is
    /// noted is no commit.
    #[must_use]
    pub fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        read_ref(&self.ref_file(revision).ok()?)
    }

    /// A whole file of a commit, under the name that it has there. Its bytes are in this repository's folder, or it is
    /// not found.
    #[must_use]
    pub fn find(&self, commit: &str, file: &str) -> Option<PathBuf> {
        check_file(file).ok()?;
        let at = self.snapshot(commit).ok()?.join(file);
        let real = fs::canonicalize(&at).ok()?;
        let own = fs::canonicalize(self.path()).ok()?;
        (real.starts_with(own.join("blobs")) || real.starts_with(own.join("snapshots").join(commit)))
            .then_some(())?;
        real.is_file().then_some(at)
    }

    /// The file of a branch or a tag, in folders of the cache's own.
    pub(super) fn ref_file(&self, revision: &str) -> Result<PathBuf, Error> {
        check_revision(revision)?;
        let (folders, name) = revision.rsplit_once('/').unwrap_or(("", revision));
        let folders = folders.split('/').filter(|part| !part.is_empty());
        Ok(self.own(&["refs"].into_iter().chain(folders).collect::<Vec<_>>())?.join(name))
    }

    /// Makes the folder of blobs, for whoever writes one.
    ///
    /// # Errors
    ///
    /// When the system refuses, or something else is there.
    pub fn make_blobs(&self) -> Result<(), Error> {
        self.make(&["blobs"]).map(drop)
    }

    /// Whether another process holds a lock of this repository: it fetches something.
    ///
    /// # Errors
    ///
    /// When the folder of locks is none of the cache's own, or a lock cannot be looked at.
    pub fn is_busy(&self) -> Result<bool, Error> {
        let locks = fs::read_dir(self.locks()?).into_iter().flatten().filter_map(Result::ok);
        for path in
            locks.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "lock"))
        {
            if Lock::attempt(path)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A folder inside this one; if there is something, then folders and no links.
    pub(super) fn own(&self, parts: &[&str]) -> Result<PathBuf, Error> {
        let mut path = self.path();
        check_folder(&path)?;
        for part in parts {
            path.push(part);
            check_folder(&path)?;
        }
        Ok(path)
    }

    /// The same, made where there is none.
    fn make(&self, parts: &[&str]) -> Result<PathBuf, Error> {
        let path = self.own(parts)?;
        fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        // Another process may have been quicker, with something else.
        self.own(parts)
    }

    /// The folder of this repository's locks, made where there is none.
    fn locks(&self) -> Result<PathBuf, Error> {
        let all = self.root.join(".locks");
        let own = all.join(&self.name);
        check_folder(&all)?;
        check_folder(&own)?;
        fs::create_dir_all(&own).map_err(Error::io("create", &own))?;
        Ok(own)
    }

    fn lock_file(&self, hash: &str) -> Result<PathBuf, Error> {
        check_hash(hash)?;
        Ok(self.locks()?.join(format!("{hash}.lock")))
    }
}

/// The commit in a ref; `huggingface_hub` writes it without a newline.
pub(super) fn read_ref(path: &Path) -> Option<String> {
    fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
    let mut text = String::new();
    File::open(path).ok()?.take(REF_BYTES).read_to_string(&mut text).ok()?;
    let commit = text.trim();
    is_commit(commit).then(|| commit.to_owned())
}

fn check_folder(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.is_dir() => Err(Error::NoFolder { path: path.to_owned() }),
        // What is not there cannot lead elsewhere; whatever else is wrong is found by whoever opens it.
        _ => Ok(()),
    }
}

/// Git's name of a commit, in full.
pub(super) fn is_commit(text: &str) -> bool {
    is_hex(text)
}

/// 40 or 64 digits, in lower case.
pub(super) fn is_hex(text: &str) -> bool {
    [40, 64].contains(&text.len()) && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

fn check_hash(hash: &str) -> Result<(), Error> {
    if is_hex(hash) { Ok(()) } else { Err(Error::name("hash", hash, "40 or 64 hexadecimal digits")) }
}

fn check_commit(commit: &str) -> Result<(), Error> {
    if is_commit(commit) { Ok(()) } else { Err(Error::name("commit", commit, "40 or 64 hexadecimal digits")) }
}

fn check_revision(revision: &str) -> Result<(), Error> {
    if is_inside(revision) { Ok(()) } else { Err(Error::name("revision", revision, INSIDE)) }
}

fn check_file(file: &str) -> Result<(), Error> {
    // On Windows these are devices, streams of a file, or nothing at all.
    if cfg!(windows) && file.contains([':', '*', '?', '"', '<', '>', '|']) {
        return Err(Error::name("file name", file, "a name that Windows can have"));
    }
    if is_inside(file) { Ok(()) } else { Err(Error::name("file name", file, INSIDE)) }
}

const INSIDE: &str = "a path of plain names, without `..`, `\\` or control characters";

/// Whether a text is a path of plain names on every system.
fn is_inside(text: &str) -> bool {
    let plain = |part: &str| {
        let mut parts = Path::new(part).components();
        matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None) if name == part)
    };
    !text.contains(['\\', '\0']) && !text.chars().any(char::is_control) && text.split('/').all(plain)
}

#[cfg(test)]
mod tests;
