//! Replaces a file by a whole new one: a reader sees the old or the new, and a crash leaves one of them.
//!
//! The new file is written beside its target under a name that cannot be guessed, and locked while it is written, so that
//! [`sweep`] removes only what a killed process left. Links are followed first: the file behind a link is replaced, not
//! the link.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// The user that may read a file that did not exist before. A file that did keeps its permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Its owner.
    Owner,
    /// As for any new file.
    Usual,
}

/// A file to be.
#[derive(Debug)]
pub struct NewFile {
    target: PathBuf,
    written: Written,
}

#[derive(Debug)]
enum Written {
    Beside(NamedTempFile),
    /// A pipe or a device, which cannot be replaced.
    Into(File),
}

const PREFIX: &str = ".ggrun-";
const SUFFIX: &str = ".tmp";
/// Random characters between them.
const RANDOM: usize = 12;
/// The maximum number of links to a file, as on Linux.
const LINKS: usize = 40;

impl NewFile {
    /// Begins a file that will replace `path`. Dropping it leaves the old file.
    ///
    /// # Errors
    ///
    /// When the file behind `path` cannot be written, or its folder holds no new file.
    pub fn beside(path: &Path, access: Access) -> io::Result<Self> {
        let target = resolve(path)?;
        let old = match fs::metadata(&target) {
            Ok(old) if old.is_dir() => return Err(ErrorKind::IsADirectory.into()),
            Ok(old) => {
                // A file that may not be written may not be replaced either.
                let file = File::options().write(true).open(&target)?;
                if !old.is_file() {
                    return Ok(Self { target, written: Written::Into(file) });
                }
                Some(old)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let file = create(folder(&target), access)?;
        old.map_or(Ok(()), |old| keep_permissions(file.as_file(), &old))?;
        Ok(Self { target, written: Written::Beside(file) })
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &File {
        match &self.written {
            Written::Beside(file) => file.as_file(),
            Written::Into(file) => file,
        }
    }

    /// Syncs the file and gives it its name. The file stays locked.
    ///
    /// # Errors
    ///
    /// When it cannot be synced or renamed; the old file stays.
    pub fn commit(self) -> io::Result<File> {
        let file = match self.written {
            Written::Into(file) => return Ok(file),
            Written::Beside(file) => file,
        };
        file.as_file().sync_all()?;
        let file = file.persist(&self.target).map_err(|error| error.error)?;
        sync_folder(&self.target)?;
        Ok(file)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a file whole.
///
/// # Errors
///
/// As for [`NewFile`].
pub fn write(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    let mut file = NewFile::beside(path, access)?;
    file.write_all(bytes)?;
    file.commit().map(drop)
}

/// The file behind a path: links are followed, to a file that may not exist yet. A link to a pipe or a device stays: in
/// `/dev/fd` it is the only path.
///
/// # Errors
///
/// When a link cannot be read, or links lead in a circle.
pub fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    if fs::metadata(&path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Ok(path);
    }
    for _ in 0..LINKS {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => path = folder(&path).join(fs::read_link(&path)?),
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(ErrorKind::InvalidInput, "too many links"))
}

/// Whether two paths are one file, which may not exist yet. Hard links are not recognized.
#[must_use]
pub fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| {
        let path = resolve(path).ok()?;
        Some(folder(&path).canonicalize().ok()?.join(path.file_name()?))
    };
    one == other || place(one).is_some_and(|path| place(other) == Some(path))
}

/// Syncs the folder of a new or renamed file, if its file system syncs folders.
///
/// # Errors
///
/// When it cannot be opened or synced.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(folder(path))?.sync_all() {
        // The file is complete all the same: no other sync exists there.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// The folder of a file.
#[must_use]
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes files that a killed process began in a folder; those of a running one are locked. What cannot be removed stays.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| is_ours(&entry.file_name())) {
        let is_file = entry.file_type().is_ok_and(|found| found.is_file());
        if is_file && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            // The next sweep tries again.
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// Whether a file has the name of one that is being written.
#[must_use]
pub fn is_ours(name: &OsStr) -> bool {
    let middle = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
    middle.is_some_and(|middle| middle.len() == RANDOM && middle.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// A locked file with an unguessable name.
fn create(folder: &Path, access: Access) -> io::Result<NamedTempFile> {
    loop {
        let mut builder = Builder::new();
        builder.prefix(PREFIX).suffix(SUFFIX).rand_bytes(RANDOM).append(true);
        permit(&mut builder, access);
        let file = builder.tempfile_in(folder)?;
        match file.as_file().try_lock() {
            // A sweep that came between the two calls has removed it.
            Ok(()) if !file.path().exists() => {}
            Err(fs::TryLockError::WouldBlock) => {}
            // A file system without locks: there `sweep` removes nothing either.
            Ok(()) | Err(fs::TryLockError::Error(_)) => return Ok(file),
        }
    }
}

#[cfg(unix)]
fn permit(builder: &mut Builder<'_, '_>, access: Access) {
    use std::os::unix::fs::PermissionsExt as _;
    if access == Access::Usual {
        // The process's umask applies.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
}

#[cfg(not(unix))]
fn permit(_: &mut Builder<'_, '_>, _: Access) {}

#[cfg(unix)]
fn keep_permissions(file: &File, old: &Metadata) -> io::Result<()> {
    file.set_permissions(old.permissions())
}

#[cfg(not(unix))]
fn keep_permissions(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_file_behind_a_link_is_replaced_and_keeps_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("data")).unwrap();
        fs::write(at("data/file"), "old").unwrap();
        fs::set_permissions(at("data/file"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("data/file", at("one")).unwrap();
        symlink("one", at("two")).unwrap();
        write(&at("two"), b"new", Access::Owner).unwrap();
        assert!(at("one").is_symlink() && at("two").is_symlink());
        assert_eq!(fs::read(at("data/file")).unwrap(), b"new");
        assert_eq!(fs::metadata(at("data/file")).unwrap().mode() & 0o777, 0o640);
        assert_eq!(names(&at("data")), ["file"]);
        // A link to a file that does not exist creates it.
        symlink("data/later", at("three")).unwrap();
        write(&at("three"), b"new", Access::Owner).unwrap();
        assert_eq!(fs::metadata(at("data/later")).unwrap().mode() & 0o777, 0o600);
        symlink("circle", at("circle")).unwrap();
        assert!(write(&at("circle"), b"new", Access::Usual).is_err());
    }

    #[test]
    fn two_names_of_a_file_that_does_not_exist_are_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("data")).unwrap();
        symlink("data", at("link")).unwrap();
        symlink("data/new", at("name")).unwrap();
        for other in ["data/new", "./data/new", "data/../data/new", "link/new", "name"] {
            assert!(is_same(&at("data/new"), &at(other)), "{other}");
        }
        for other in ["new", "data/other", "none/new"] {
            assert!(!is_same(&at("data/new"), &at(other)), "{other}");
        }
    }

    #[test]
    fn files_of_others_beside_the_target_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        for name in ["out.jsonl.new", "out.jsonl.tmp", ".tmpABCDEF", ".ggrun-notes.tmp"] {
            fs::write(folder.path().join(name), "theirs").unwrap();
        }
        write(&path, b"ours", Access::Usual).unwrap();
        sweep(folder.path());
        assert_eq!(names(folder.path()).len(), 5);
        for name in ["out.jsonl.new", "out.jsonl.tmp", ".tmpABCDEF", ".ggrun-notes.tmp"] {
            assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"theirs");
        }
    }

    #[test]
    fn a_file_that_is_not_committed_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        let mut new = NewFile::beside(&path, Access::Usual).unwrap();
        new.write_all(b"new").unwrap();
        drop(new);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["file"]);
        fs::create_dir(folder.path().join("folder")).unwrap();
        let error = write(&folder.path().join("folder"), b"", Access::Usual).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory);
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_a_running_one_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".ggrun-abcDEF012345.tmp"), "left").unwrap();
        let mut running = NewFile::beside(&folder.path().join("file"), Access::Owner).unwrap();
        sweep(folder.path());
        assert_eq!(names(folder.path()).len(), 1);
        running.write_all(b"new").unwrap();
        running.commit().unwrap();
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_device_is_written_and_not_replaced() {
        write(Path::new("/dev/null"), b"text", Access::Usual).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_folder_that_cannot_be_synced_is_no_error() {
        let folder = File::open("/proc/self").unwrap();
        assert_eq!(folder.sync_all().unwrap_err().kind(), ErrorKind::InvalidInput);
        sync_folder(Path::new("/proc/self/status")).unwrap();
        assert!(sync_folder(Path::new("/no/such/file")).is_err());
    }

    #[test]
    fn a_pipe_is_written_by_the_number_of_its_descriptor() {
        use std::os::fd::AsRawFd as _;
        let (mut reader, writer) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", writer.as_raw_fd());
        write(Path::new(&path), b"text", Access::Usual).unwrap();
        drop(writer);
        assert_eq!(io::read_to_string(&mut reader).unwrap(), "text");
    }
}
