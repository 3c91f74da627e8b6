//! Creates or replaces a link or a short file atomically: a reader sees the old one or the new one, complete.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Error;

/// Links `at` to a blob: by a symbolic link with the relative path `target`; by a hard link if the file system has no
/// symbolic links; and if it has neither, by moving the blob. `aside` is a folder for temporary files.
pub(super) fn link(target: &Path, blob: &Path, at: &Path, aside: &Path) -> Result<(), Error> {
    if fs::read_link(at).is_ok_and(|now| now == target) {
        return Ok(());
    }
    let new = temporary(aside);
    let mut created = symlink(target, &new);
    if created.as_ref().is_err_and(is_unsupported) {
        created = fs::hard_link(blob, &new);
    }
    let done = match created {
        Ok(()) => fs::rename(&new, at),
        Err(error) if is_unsupported(&error) => fs::rename(blob, at),
        Err(error) => Err(error),
    };
    // A rename between two hard links of one file leaves both in place; otherwise there is nothing to remove.
    drop(fs::remove_file(&new));
    done.map_err(Error::io("link", at))
}

/// Writes a short file.
pub(super) fn text(text: &str, at: &Path, aside: &Path) -> Result<(), Error> {
    let new = temporary(aside);
    let write = || -> io::Result<()> {
        let mut file = fs::File::create_new(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, at)
    };
    write().map_err(|source| {
        drop(fs::remove_file(&new)); // The first error is the one to report.
        Error::Io { action: "write", path: at.to_owned(), source }
    })
}

/// A path that no other process or thread uses.
fn temporary(aside: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = aside.join(format!("{}-{n}.new", std::process::id()));
    drop(fs::remove_file(&path)); // A killed process with the same id may have left it.
    path
}

#[cfg(unix)]
fn symlink(target: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, at)
}

#[cfg(windows)]
fn symlink(target: &Path, at: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, at)
}

/// Whether the file system has no such links or the user may not create them, so that another kind is tried.
fn is_unsupported(error: &io::Error) -> bool {
    /// `ERROR_PRIVILEGE_NOT_HELD`
    const NOT_HELD: i32 = 1314;
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
        || (cfg!(windows) && error.raw_os_error() == Some(NOT_HELD))
}
