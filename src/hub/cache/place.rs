//! Puts a link or a short text under a name at once: whoever looks finds the old one or the new one, whole.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Error;

/// Links `at` to a blob: by `target`, which leads from `at` to it; where a file system has no such links, as a second
/// name of the blob; and where it has none of these, the blob itself moves. `aside` is a folder for what is not ready.
pub(super) fn link(target: &Path, blob: &Path, at: &Path, aside: &Path) -> Result<(), Error> {
    if fs::read_link(at).is_ok_and(|now| now == target) {
        return Ok(());
    }
    let new = fresh(aside);
    let mut made = symlink(target, &new);
    if made.as_ref().is_err_and(is_unknown) {
        made = fs::hard_link(blob, &new);
    }
    let done = match made {
        Ok(()) => fs::rename(&new, at),
        Err(why) if is_unknown(&why) => fs::rename(blob, at),
        Err(why) => Err(why),
    };
    // Renaming one name of a file to another of the same file leaves both; else there is nothing left to remove.
    drop(fs::remove_file(&new));
    done.map_err(Error::io("link", at))
}

/// Writes a short text.
pub(super) fn text(text: &str, at: &Path, aside: &Path) -> Result<(), Error> {
    let new = fresh(aside);
    let write = || -> io::Result<()> {
        let mut file = fs::File::create_new(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, at)
    };
    write().map_err(|source| {
        drop(fs::remove_file(&new)); // The first reason is the one to tell.
        Error::Io { action: "write", path: at.to_owned(), source }
    })
}

/// A name that no other process and no other thread uses.
fn fresh(aside: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = aside.join(format!("{}-{n}.new", std::process::id()));
    drop(fs::remove_file(&path)); // Of a process with the same number that was killed; mostly there is none.
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

/// Whether the file system or the user's rights know no such link, so that another kind is worth a try.
fn is_unknown(why: &io::Error) -> bool {
    /// `ERROR_PRIVILEGE_NOT_HELD`
    const NOT_HELD: i32 = 1314;
    matches!(why.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
        || (cfg!(windows) && why.raw_os_error() == Some(NOT_HELD))
}
