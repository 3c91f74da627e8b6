//! Removal from a repository's folder: planned first, carried out later.
//!
//! References are removed before the files that they refer to: first refs, then snapshots, each atomically, then blobs.
//! If interrupted at any point, no name refers to a missing file. Files that another process is downloading are kept.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::place::TEMPORARY;
use super::scan::{Blob, Entry, MOST_ENTRIES, Repository, Snapshot, Target};
use super::{Error, Folder};

/// The extension of a snapshot that is being removed.
const REMOVED: &str = "removed";

/// What to remove.
#[derive(Debug, Clone)]
pub struct Removal {
    folder: Folder,
    /// Branches and tags.
    pub refs: Vec<String>,
    /// Commits.
    pub snapshots: Vec<Snapshot>,
    /// Single files of commits that are kept.
    pub links: Vec<PathBuf>,
    /// Plain files of commits that are kept: they have no blob.
    pub plain: Vec<PathBuf>,
    /// Complete files, by hash.
    pub blobs: Vec<(String, Blob)>,
    /// Partial files, by name.
    pub unfinished: Vec<(String, Blob)>,
    /// Remove the repository's folder as well.
    pub whole: bool,
}

impl Removal {
    /// Remove a whole repository.
    #[must_use]
    pub fn whole(repository: &Repository) -> Self {
        Self {
            folder: repository.folder.clone(),
            refs: repository.refs.keys().cloned().collect(),
            snapshots: repository.snapshots.clone(),
            links: Vec::new(),
            plain: Vec::new(),
            blobs: pairs(repository.blobs.iter()),
            unfinished: pairs(repository.unfinished.iter()),
            whole: true,
        }
    }

    /// Remove a commit, its refs, and the files that no other commit has.
    #[must_use]
    pub fn commit(repository: &Repository, commit: &str) -> Self {
        let removed = |snapshot: &Snapshot| snapshot.commit == commit;
        let (only, others) = (repository.needed(removed), repository.needed(|snapshot| !removed(snapshot)));
        let blobs = repository.blobs.iter();
        Self {
            folder: repository.folder.clone(),
            refs: repository.refs_of(commit).map(str::to_owned).collect(),
            snapshots: repository.snapshots.iter().filter(|snapshot| removed(snapshot)).cloned().collect(),
            links: Vec::new(),
            plain: Vec::new(),
            blobs: pairs(blobs.filter(|(h, _)| only.contains(h.as_str()) && !others.contains(h.as_str()))),
            unfinished: Vec::new(),
            whole: false,
        }
    }

    /// Remove commits that no branch or tag points to, files that only they refer to, and partial files.
    #[must_use]
    pub fn unneeded(repository: &Repository) -> Self {
        let is_kept = |snapshot: &Snapshot| repository.refs.values().any(|commit| *commit == snapshot.commit);
        let needed = repository.needed(is_kept);
        Self {
            folder: repository.folder.clone(),
            refs: Vec::new(),
            snapshots: repository.snapshots.iter().filter(|snapshot| !is_kept(snapshot)).cloned().collect(),
            links: Vec::new(),
            plain: Vec::new(),
            blobs: pairs(repository.blobs.iter().filter(|(hash, _)| !needed.contains(hash.as_str()))),
            unfinished: pairs(repository.unfinished.iter()),
            whole: false,
        }
    }

    /// Remove the files with these hashes and their names in every commit, and plain files with these paths.
    #[must_use]
    pub fn files(repository: &Repository, hashes: &BTreeSet<String>, plain: Vec<PathBuf>) -> Self {
        let refers = |entry: &&Entry| matches!(&entry.target, Target::Blob(hash) if hashes.contains(hash));
        let files = repository.snapshots.iter().flat_map(|snapshot| snapshot.files.values());
        Self {
            folder: repository.folder.clone(),
            refs: Vec::new(),
            snapshots: Vec::new(),
            links: files.filter(refers).map(|entry| entry.path.clone()).collect(),
            plain,
            blobs: pairs(repository.blobs.iter().filter(|(hash, _)| hashes.contains(*hash))),
            unfinished: Vec::new(),
            whole: false,
        }
    }

    /// Whether there is nothing to remove.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.whole
            && self.snapshots.is_empty()
            && self.links.is_empty()
            && self.plain.is_empty()
            && self.blobs.is_empty()
            && self.unfinished.is_empty()
    }

    /// The bytes that the removal frees.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let own = self.snapshots.iter().flat_map(|snapshot| snapshot.files.values());
        let own = own.filter(|file| file.target == Target::Itself).map(|file| file.bytes);
        let blobs = self.blobs.iter().chain(&self.unfinished).map(|(_, blob)| blob.bytes);
        own.chain(blobs).sum()
    }

    /// Carries out the removal, and returns the number of bytes freed.
    ///
    /// # Errors
    ///
    /// When another process is downloading files of the repository, a folder in it is not a real folder, or the system
    /// refuses. Unreferenced files may be left then, and the removal can be repeated.
    pub fn carry_out(&self) -> Result<u64, Error> {
        if self.folder.is_busy()? {
            return Err(Error::Busy { path: self.folder.path() });
        }
        for name in &self.refs {
            remove(&self.folder.ref_file(name)?)?;
        }
        for link in self.links.iter().chain(&self.plain) {
            remove(link)?;
        }
        let folder = self.folder.own(&["snapshots"])?;
        let mut freed = 0u64;
        for snapshot in &self.snapshots {
            let Some(name) = snapshot.path.file_name() else { continue };
            // Renamed first: under its own name a snapshot is always complete.
            let renamed = folder.join(name).with_extension(REMOVED);
            drop(fs::remove_dir_all(&renamed)); // An interrupted run may have left it.
            or_missing(fs::rename(folder.join(name), &renamed))
                .map_err(Error::io("remove", &snapshot.path))?;
            or_missing(fs::remove_dir_all(&renamed)).map_err(Error::io("remove", &renamed))?;
            let own = snapshot.files.values().filter(|file| file.target == Target::Itself);
            freed += own.map(|file| file.bytes).sum::<u64>();
        }
        // Scanned again: the removal may have been planned long ago.
        let now = self.folder.scan(MOST_ENTRIES);
        let needed = now.as_ref().map(|now| now.needed(|_| true)).unwrap_or_default();
        let blobs = self.blobs.iter().filter(|(hash, _)| !needed.contains(hash.as_str()));
        let folder = self.folder.own(&["blobs"])?;
        for (name, blob) in blobs.chain(&self.unfinished) {
            let hash = name.split('.').next().unwrap_or_default();
            // A file whose name is not a hash has no lock.
            let lock = self.folder.try_lock(hash);
            if matches!(lock, Ok(None)) {
                continue;
            }
            if remove(&folder.join(blob.path.file_name().unwrap_or_default()))? {
                freed += blob.bytes;
            }
            drop(lock);
        }
        if self.whole {
            self.clear()?;
        }
        Ok(freed)
    }

    /// Removes what is left of a whole repository: folders, and the records of files that do not exist.
    fn clear(&self) -> Result<(), Error> {
        let path = self.folder.own(&[])?;
        for part in [".no_exist", "refs"] {
            let part = self.folder.own(&[part])?;
            or_missing(fs::remove_dir_all(&part)).map_err(Error::io("remove", &part))?;
        }
        // A killed process may have left temporary files.
        for entry in fs::read_dir(&path).into_iter().flatten().filter_map(Result::ok) {
            if entry.path().extension().is_some_and(|extension| extension == TEMPORARY) {
                remove(&entry.path())?;
            }
        }
        // Only if empty: another process may have started to download the repository again.
        let is_link = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink());
        let real = if is_link {
            fs::canonicalize(&path).map_err(Error::io("resolve", &path))?
        } else {
            path.clone()
        };
        for folder in [path.join("snapshots"), path.join("blobs"), real.clone()] {
            match fs::remove_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
                done => or_missing(done).map_err(Error::io("remove", &folder))?,
            }
        }
        if is_link && !real.exists() {
            remove(&path)?;
        }
        Ok(())
    }
}

fn pairs<'a>(blobs: impl Iterator<Item = (&'a String, &'a Blob)>) -> Vec<(String, Blob)> {
    blobs.map(|(name, blob)| (name.clone(), blob.clone())).collect()
}

/// Removes a file; `false` if it did not exist.
fn remove(path: &Path) -> Result<bool, Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        done => done.map(|()| true).map_err(Error::io("remove", path)),
    }
}

/// Accepts that a file does not exist: another process may have removed it.
fn or_missing(done: std::io::Result<()>) -> std::io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests;
