//! What goes from a repository's folder, said first and done later.
//!
//! What refers to a file goes before the file: first the refs, then the snapshots, each at once, then the blobs. Cut off
//! anywhere, no name is left that leads to something that is not there. What another process fetches is left alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::scan::{Blob, Entry, MOST_ENTRIES, Repository, Snapshot, Target};
use super::{Error, Folder};

/// The ending of a snapshot that is being removed.
const GOING: &str = "removed";

/// What is to go.
#[derive(Debug, Clone)]
pub struct Removal {
    folder: Folder,
    /// Branches and tags.
    pub refs: Vec<String>,
    /// Commits.
    pub snapshots: Vec<Snapshot>,
    /// Single files of commits that stay.
    pub links: Vec<PathBuf>,
    /// Whole files, by hash.
    pub blobs: Vec<(String, Blob)>,
    /// Unfinished files, by name.
    pub unfinished: Vec<(String, Blob)>,
    /// Whether nothing is left of the repository.
    pub whole: bool,
}

impl Removal {
    /// All of a repository.
    #[must_use]
    pub fn whole(repository: &Repository) -> Self {
        Self {
            folder: repository.folder.clone(),
            refs: repository.refs.keys().cloned().collect(),
            snapshots: repository.snapshots.clone(),
            links: Vec::new(),
            blobs: pairs(repository.blobs.iter()),
            unfinished: pairs(repository.unfinished.iter()),
            whole: true,
        }
    }

    /// A commit, what names it, and the files that no other commit has.
    #[must_use]
    pub fn commit(repository: &Repository, commit: &str) -> Self {
        let gone = |snapshot: &Snapshot| snapshot.commit == commit;
        let (only, others) = (repository.needed(gone), repository.needed(|snapshot| !gone(snapshot)));
        let blobs = repository.blobs.iter();
        Self {
            folder: repository.folder.clone(),
            refs: repository.refs_of(commit).map(str::to_owned).collect(),
            snapshots: repository.snapshots.iter().filter(|snapshot| gone(snapshot)).cloned().collect(),
            links: Vec::new(),
            blobs: pairs(blobs.filter(|(h, _)| only.contains(h.as_str()) && !others.contains(h.as_str()))),
            unfinished: Vec::new(),
            whole: false,
        }
    }

    /// Commits that no branch or tag names, files that no other commit refers to, and unfinished ones.
    #[must_use]
    pub fn unneeded(repository: &Repository) -> Self {
        let stays = |snapshot: &Snapshot| repository.refs.values().any(|commit| *commit == snapshot.commit);
        let needed = repository.needed(stays);
        Self {
            folder: repository.folder.clone(),
            refs: Vec::new(),
            snapshots: repository.snapshots.iter().filter(|snapshot| !stays(snapshot)).cloned().collect(),
            links: Vec::new(),
            blobs: pairs(repository.blobs.iter().filter(|(hash, _)| !needed.contains(hash.as_str()))),
            unfinished: pairs(repository.unfinished.iter()),
            whole: false,
        }
    }

    /// Files of these hashes, and their names in every commit.
    #[must_use]
    pub fn blobs(repository: &Repository, hashes: &BTreeSet<String>) -> Self {
        let leads = |entry: &&Entry| matches!(&entry.target, Target::Blob(hash) if hashes.contains(hash));
        let files = repository.snapshots.iter().flat_map(|snapshot| snapshot.files.values());
        Self {
            folder: repository.folder.clone(),
            refs: Vec::new(),
            snapshots: Vec::new(),
            links: files.filter(leads).map(|entry| entry.path.clone()).collect(),
            blobs: pairs(repository.blobs.iter().filter(|(hash, _)| hashes.contains(*hash))),
            unfinished: Vec::new(),
            whole: false,
        }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.whole && self.snapshots.is_empty() && self.blobs.is_empty() && self.unfinished.is_empty()
    }

    /// Bytes that come free.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let own = self.snapshots.iter().flat_map(|snapshot| snapshot.files.values());
        let own = own.filter(|file| file.target == Target::Itself).map(|file| file.bytes);
        let blobs = self.blobs.iter().chain(&self.unfinished).map(|(_, blob)| blob.bytes);
        own.chain(blobs).sum()
    }

    /// Does it, and says how many bytes came free.
    ///
    /// # Errors
    ///
    /// When another process fetches files of the repository, something in it leads elsewhere, or the system refuses;
    /// what refers to nothing any more is still there then, and the same may be asked again.
    pub fn carry_out(&self) -> Result<u64, Error> {
        if self.folder.is_busy()? {
            return Err(Error::Busy { path: self.folder.path() });
        }
        for name in &self.refs {
            remove(&self.folder.ref_file(name)?)?;
        }
        for link in &self.links {
            remove(link)?;
        }
        let folder = self.folder.own(&["snapshots"])?;
        let mut freed = 0u64;
        for snapshot in &self.snapshots {
            let Some(name) = snapshot.path.file_name() else { continue };
            // Under its name it is whole or not there.
            let going = folder.join(name).with_extension(GOING);
            drop(fs::remove_dir_all(&going)); // Of a run that was cut off; mostly there is none.
            gone(fs::rename(folder.join(name), &going)).map_err(Error::io("remove", &snapshot.path))?;
            gone(fs::remove_dir_all(&going)).map_err(Error::io("remove", &going))?;
            let own = snapshot.files.values().filter(|file| file.target == Target::Itself);
            freed += own.map(|file| file.bytes).sum::<u64>();
        }
        // A question may have been long ago.
        let now = self.folder.scan(MOST_ENTRIES);
        let needed = now.as_ref().map(|now| now.needed(|_| true)).unwrap_or_default();
        let blobs = self.blobs.iter().filter(|(hash, _)| !needed.contains(hash.as_str()));
        let folder = self.folder.own(&["blobs"])?;
        for (name, blob) in blobs.chain(&self.unfinished) {
            let hash = name.split('.').next().unwrap_or_default();
            // One with a strange name has no lock that anybody could hold.
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

    /// What is left of a repository that goes as a whole: folders, and notes of files that do not exist.
    fn clear(&self) -> Result<(), Error> {
        let path = self.folder.own(&[])?;
        for part in [".no_exist", "refs"] {
            let part = self.folder.own(&[part])?;
            gone(fs::remove_dir_all(&part)).map_err(Error::io("remove", &part))?;
        }
        // Not with what is in them: another process may have begun to fetch it anew.
        for folder in [path.join("snapshots"), path.join("blobs"), path] {
            match fs::remove_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
                done => gone(done).map_err(Error::io("remove", &folder))?,
            }
        }
        Ok(())
    }
}

fn pairs<'a>(blobs: impl Iterator<Item = (&'a String, &'a Blob)>) -> Vec<(String, Blob)> {
    blobs.map(|(name, blob)| (name.clone(), blob.clone())).collect()
}

/// Whether it was there.
fn remove(path: &Path) -> Result<bool, Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        done => done.map(|()| true).map_err(Error::io("remove", path)),
    }
}

/// Somebody else may have been quicker.
fn gone(done: std::io::Result<()>) -> std::io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests;
