//! Locks of files that are being downloaded. They are compatible with those of `huggingface_hub`, so its tools and
//! ggrun wait for each other.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::Error;

/// How often a lock is tried and the stop flag is checked.
const POLL: Duration = Duration::from_millis(50);

/// A lock that is held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    pub(in crate::hub) fn wait(path: PathBuf, stop: &AtomicBool) -> Result<Self, Error> {
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

    /// `None` if the lock is held elsewhere.
    pub(super) fn attempt(path: PathBuf) -> Result<Option<Self>, Error> {
        if fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_file()) {
            return Err(Error::NotFile { path });
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(Error::io("open", &path))?;
        match file.try_lock() {
            // Some versions of `huggingface_hub` remove a lock file on release, and the next process creates a new one.
            Ok(()) if is_at(&file, &path) => Ok(Some(Self { _file: file })),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            // A file system without locks: the file is as good as locked.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                Ok(Some(Self { _file: file }))
            }
            Err(TryLockError::Error(source)) => Err(Error::Io { action: "lock", path, source }),
        }
    }
}

/// Whether an open file is still the file at this path.
#[cfg(unix)]
fn is_at(file: &File, path: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |meta: fs::Metadata| (meta.dev(), meta.ino());
    file.metadata().ok().map(id) == fs::symlink_metadata(path).ok().map(id)
}

/// Other systems do not remove open files.
#[cfg(not(unix))]
fn is_at(_: &File, _: &std::path::Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_exclusive_and_released_on_drop() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let held = Lock::attempt(path.clone()).unwrap().unwrap();
        assert!(Lock::attempt(path.clone()).unwrap().is_none());
        drop(held);
        assert!(Lock::attempt(path).unwrap().is_some());
    }

    #[test]
    fn waiting_ends_when_stopped_and_when_the_lock_is_released() {
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
    fn a_removed_lock_file_is_not_mistaken_for_the_new_one() {
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
    fn a_lock_that_is_a_link_is_refused_and_its_target_is_not_created() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = folder.path().join("a.lock");
        std::os::unix::fs::symlink(outside.path().join("new"), &path).unwrap();
        assert!(matches!(Lock::attempt(path), Err(Error::NotFile { .. })));
        assert_eq!(outside.path().read_dir().unwrap().count(), 0);
    }
}
