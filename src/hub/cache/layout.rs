//! Paths in the shared cache, in the layout of `huggingface_hub`, and the changes to a single path.
//!
//! `CACHE/models--ORG--NAME` has `blobs/HASH` with the bytes, `snapshots/COMMIT/NAME` as links to them, and
//! `refs/REVISION` with the commit that a branch or a tag last pointed to. Every name is checked before it becomes a
//! path, and every folder on a path must be a real folder, so no name and no link leads out of a repository's folder. Only
//! the cache and a repository's folder may be links themselves, such as after a move to another disk.
//! Not here: scanning a whole cache, removing anything.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::Error;
use super::lock::Lock;
use super::place;
use crate::hub::RepoName;

/// The longest ref that is read, in bytes.
const REF_BYTES: u64 = 100;

/// A cache: a folder that has a folder for every repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

/// A repository's folder in a cache. It may not exist yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    root: PathBuf,
    name: String,
}

impl Cache {
    /// The cache in a folder. The folder itself may be a symbolic link.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The cache's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The cache's folder, or the nearest folder above it that exists, on the same disk.
    #[must_use]
    pub fn existing(&self) -> PathBuf {
        let path = std::path::absolute(&self.root).unwrap_or_else(|_| self.root.clone());
        path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new(".")).to_owned()
    }

    /// The folder with this name.
    pub(super) fn folder_of(&self, name: &str) -> Folder {
        Folder { root: self.root.clone(), name: name.to_owned() }
    }

    /// The folder of a repository, for all its revisions.
    #[must_use]
    pub fn repo(&self, repo: &RepoName) -> Folder {
        self.folder_of(&format!("models--{}", repo.id().replace('/', "--")))
    }
}

impl Folder {
    /// The folder's path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.root.join(&self.name)
    }

    /// The path of the complete file with this hash: SHA-256 for large files, git's SHA-1 of a blob for others.
    ///
    /// # Errors
    ///
    /// When the text is not a hash, or the folder of blobs is not a real folder.
    pub fn blob(&self, hash: &str) -> Result<PathBuf, Error> {
        check_hash(hash)?;
        Ok(self.own(&["blobs"])?.join(hash))
    }

    /// The path of the same file during its download.
    ///
    /// # Errors
    ///
    /// As [`blob`](Self::blob).
    pub fn partial(&self, hash: &str) -> Result<PathBuf, Error> {
        Ok(self.blob(hash)?.with_extension("incomplete"))
    }

    /// Locks the file with this hash. Waits while another process holds the lock, until `stop` is set.
    ///
    /// # Errors
    ///
    /// When the lock cannot be created or taken, or `stop` was set.
    pub fn lock(&self, hash: &str, stop: &AtomicBool) -> Result<Lock, Error> {
        Lock::wait(self.lock_file(hash)?, stop)
    }

    /// Locks the file with this hash without waiting; `None` if the lock is held elsewhere.
    ///
    /// # Errors
    ///
    /// When the lock cannot be created or taken.
    pub fn try_lock(&self, hash: &str) -> Result<Option<Lock>, Error> {
        Lock::attempt(self.lock_file(hash)?)
    }

    /// The folder in which a commit's files have their own names.
    ///
    /// # Errors
    ///
    /// When the text is not a full commit, or a folder on the path is not a real folder.
    pub fn snapshot(&self, commit: &str) -> Result<PathBuf, Error> {
        check_commit(commit)?;
        self.own(&["snapshots", commit])
    }

    /// Links a file's name in a commit to its blob, replacing what has that name, and returns the path.
    ///
    /// # Errors
    ///
    /// When a name could lead out of the folder, or the system refuses.
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
        place::link(&target, &blob, &at, &self.own(&[])?)?;
        Ok(at)
    }

    /// Records the commit that a branch or a tag points to. A commit is not recorded.
    ///
    /// # Errors
    ///
    /// When a name could lead out of the folder, or the system refuses.
    pub fn set_ref(&self, revision: &str, commit: &str) -> Result<(), Error> {
        check_commit(commit)?;
        if is_commit(revision) {
            return Ok(());
        }
        let at = self.ref_file(revision)?;
        let folder = at.parent().unwrap_or(&at);
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        // Checked again: another process may have created something else there meanwhile.
        let at = self.ref_file(revision)?;
        place::text(commit, &at, &self.own(&[])?)
    }

    /// The commit that a revision last pointed to; a full commit stands for itself. `None` if none is recorded, or the
    /// record is not a commit.
    #[must_use]
    pub fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        read_ref(&self.ref_file(revision).ok()?)
    }

    /// The path of a complete file of a commit. `None` if its bytes are missing or outside of this folder.
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

    /// The file that records a branch or a tag.
    pub(super) fn ref_file(&self, revision: &str) -> Result<PathBuf, Error> {
        check_revision(revision)?;
        let (folders, name) = revision.rsplit_once('/').unwrap_or(("", revision));
        let folders = folders.split('/').filter(|part| !part.is_empty());
        Ok(self.own(&["refs"].into_iter().chain(folders).collect::<Vec<_>>())?.join(name))
    }

    /// Creates the folder of blobs.
    ///
    /// # Errors
    ///
    /// When the system refuses, or something else has that name.
    pub fn make_blobs(&self) -> Result<(), Error> {
        self.make(&["blobs"]).map(drop)
    }

    /// Whether another process holds a lock of this repository, because it is downloading.
    ///
    /// # Errors
    ///
    /// When the folder of locks is not a real folder, or a lock cannot be examined.
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

    /// The path of a folder inside this one. Fails if a part of it exists and is not a real folder.
    pub(super) fn own(&self, parts: &[&str]) -> Result<PathBuf, Error> {
        let mut path = self.path();
        check_link(&self.root)?;
        check_link(&path)?;
        for part in parts {
            path.push(part);
            check_folder(&path)?;
        }
        Ok(path)
    }

    /// The same, but the folder is created if it does not exist.
    fn make(&self, parts: &[&str]) -> Result<PathBuf, Error> {
        let path = self.own(parts)?;
        fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        // Checked again: another process may have created something else there meanwhile.
        self.own(parts)
    }

    /// The folder of this repository's locks, which is created if it does not exist.
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
        Ok(meta) if !meta.is_dir() => Err(Error::NotFolder { path: path.to_owned() }),
        // A missing folder leads nowhere. Any other error will occur again when the folder is opened.
        _ => Ok(()),
    }
}

/// Checks the cache or a repository's folder, which a user may have replaced with a link to a folder.
fn check_link(path: &Path) -> Result<(), Error> {
    match fs::read_link(path) {
        Ok(_) if path.is_dir() => Ok(()),
        Ok(to) => Err(Error::Dangling { path: path.to_owned(), to }),
        Err(_) => check_folder(path),
    }
}

/// Whether a text is the full hash of a git commit.
pub(super) fn is_commit(text: &str) -> bool {
    is_hex(text)
}

/// Whether a text is 40 or 64 hexadecimal digits in lower case.
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

pub(in crate::hub) fn check_file(file: &str) -> Result<(), Error> {
    // On Windows these name devices or alternate streams, or are forbidden.
    if cfg!(windows) && file.contains([':', '*', '?', '"', '<', '>', '|']) {
        return Err(Error::name("file name", file, "a name that Windows allows"));
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
