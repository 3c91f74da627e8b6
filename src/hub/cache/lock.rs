//! The lock of a file that is fetched. The same as `huggingface_hub`'s, so that its tools wait for us and we for them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::Error;

/// How often a lock is tried and the wish to stop is looked at.
const POLL: Duration = Duration::from_millis(50);

/// A lock that is held until it is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn wait(path: PathBuf, stop: &AtomicBool) -> Result<Self, Error> {
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped { path });
            }
            if let Some(lock) = Self::attempt(path.clone())? {
                return Ok(lock);
            }
            thread::sleep(POLL);
        }
    }

    /// `None` while another holds it.
    pub(super) fn attempt(path: PathBuf) -> Result<Option<Self>, Error> {
        if fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_file()) {
            return Err(Error::NoFile { path });
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(Error::io("open", &path))?;
        match file.try_lock() {
            // Some versions of `huggingface_hub` remove a lock that they let go of, and the next makes another.
            Ok(()) if is_at(&file, &path) => Ok(Some(Self { _file: file })),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(Error::Io { action: "lock", path, source }),
        }
    }
}

/// Whether an open file is still the one of that name.
#[cfg(unix)]
fn is_at(file: &File, path: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |meta: fs::Metadata| (meta.dev(), meta.ino());
    file.metadata().ok().map(id) == fs::symlink_metadata(path).ok().map(id)
}

/// An open file cannot be removed there.
#[cfg(not(unix))]
fn is_at(_: &File, _: &std::path::Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_let_go_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let held = Lock::attempt(path.clone()).unwrap().unwrap();
        assert!(Lock::attempt(path.clone()).unwrap().is_none());
        drop(held);
        assert!(Lock::attempt(path).unwrap().is_some());
    }

    #[test]
    fn waiting_ends_when_it_is_told_to_and_when_the_lock_comes_free() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let held = Lock::attempt(path.clone()).unwrap().unwrap();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| Lock::wait(path.clone(), &stop));
            thread::sleep(POLL * 2);
            assert!(!waiting.is_finished());
            stop.store(true, Ordering::Relaxed);
            assert!(matches!(waiting.join().unwrap(), Err(Error::Stopped { .. })));
            stop.store(false, Ordering::Relaxed);
            let waiting = scope.spawn(|| Lock::wait(path.clone(), &stop));
            drop(held);
            waiting.join().unwrap().unwrap();
        });
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_that_was_removed_is_not_taken_for_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let old = File::create(&path).unwrap();
        assert!(is_at(&old, &path));
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&old, &path));
        File::create(&path).unwrap();
        assert!(!is_at(&old, &path));
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_that_leads_elsewhere_is_refused_and_nothing_is_made_there() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = folder.path().join("a.lock");
        std::os::unix::fs::symlink(outside.path().join("new"), &path).unwrap();
        assert!(matches!(Lock::attempt(path), Err(Error::NoFile { .. })));
        assert_eq!(outside.path().read_dir().unwrap().count(), 0);
    }
}
