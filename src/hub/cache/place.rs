//! Creates or replaces a link or a short file atomically: a reader sees the old one or the new one, complete.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Error;

/// The ways to give a blob its name in a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A symbolic link with a relative path.
    Symbolic,
    /// A hard link, on a file system without symbolic links.
    Hard,
    /// The blob is moved, on a file system without any links.
    Move,
}

/// Links `at` to a blob in the first way that the file system has. `target` is the relative path of the blob, and `aside`
/// a folder for temporary files on the same disk.
pub(super) fn link(target: &Path, blob: &Path, at: &Path, aside: &Path) -> Result<(), Error> {
    link_by(&[Way::Symbolic, Way::Hard, Way::Move], target, blob, at, aside)
}

fn link_by(ways: &[Way], target: &Path, blob: &Path, at: &Path, aside: &Path) -> Result<(), Error> {
    if fs::read_link(at).is_ok_and(|now| now == target) {
        return Ok(());
    }
    let new = temporary(aside);
    let mut created = Err(io::ErrorKind::Unsupported.into());
    for way in ways {
        if created.as_ref().is_err_and(is_unsupported) {
            created = match way {
                Way::Symbolic => symlink(target, &new),
                Way::Hard => fs::hard_link(blob, &new),
                Way::Move => continue,
            };
        }
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

/// The extension of temporary files.
pub(super) const TEMPORARY: &str = "new";

/// A path that no other process or thread uses.
fn temporary(aside: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = aside.join(format!("{}-{n}.{TEMPORARY}", std::process::id()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_gets_its_name_by_a_link_or_is_moved_where_links_cannot_be_made() {
        for (ways, blob_stays) in [
            (&[Way::Symbolic, Way::Hard, Way::Move][..], true),
            (&[Way::Hard, Way::Move], true),
            (&[Way::Move], false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let (blob, at) = (folder.path().join("blob"), folder.path().join("name"));
            fs::write(&blob, "bytes").unwrap();
            link_by(ways, Path::new("blob"), &blob, &at, folder.path()).unwrap();
            assert_eq!(fs::read_to_string(&at).unwrap(), "bytes", "{ways:?}");
            assert_eq!((blob.exists(), at.is_symlink()), (blob_stays, ways[0] == Way::Symbolic), "{ways:?}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1 + usize::from(blob_stays), "{ways:?}");
        }
    }
}
