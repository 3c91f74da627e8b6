//! Removes one file after use.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::scan::{MOST_ENTRIES, Target};
use super::{Error, Folder};

impl Folder {
    /// Removes a file's name in a commit, and its blob if no other name refers to it. Waits if another process is
    /// downloading the file.
    ///
    /// # Errors
    ///
    /// When a name could lead out of the folder, `stop` was set, or the system refuses.
    pub fn forget(&self, commit: &str, file: &str, hash: &str, stop: &AtomicBool) -> Result<(), Error> {
        let Some(at) = self.find(commit, file) else { return Ok(()) };
        let _lock = self.lock(hash, stop)?;
        remove(&at)?;
        let Some(found) = self.scan(MOST_ENTRIES) else { return Ok(()) };
        let blob = Target::Blob(hash.to_owned());
        let mut others = found.snapshots.iter().flat_map(|snapshot| snapshot.files.values());
        if found.complete && !others.any(|entry| entry.target == blob) {
            remove(&self.blob(hash)?)?;
        }
        Ok(())
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}
