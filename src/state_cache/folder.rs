//! The folder of states: a file for each, mode 0600, in a folder of mode 0700 that several processes may share.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::blocks::Blocks;
use super::error::OpenError;
use super::index::Entry;
use super::name::is_name;
use super::room::{Room, Stored};
use crate::atomic;
use crate::engine::Saved;
use crate::state::{self, Identity, Refused};

/// Held while a file is written, so that processes together stay within the budget.
const LOCK: &str = "lock";
/// A change as young as this may have the time of the change before it.
const RECENT: Duration = Duration::from_secs(2);

/// A folder of states.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

/// A lock of the folder, which is released when it is dropped.
#[derive(Debug)]
pub(super) struct Locked {
    _file: File,
}

/// Makes a folder ready for states, before there is a model whose states are saved.
///
/// # Errors
///
/// When it cannot be created or read, or others may use it.
pub fn check_folder(path: &Path) -> Result<(), OpenError> {
    Folder::open(path).map(drop)
}

impl Folder {
    /// Creates the folder, or makes sure that only its owner may use it, and removes what killed processes left.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Folder { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let found = fs::metadata(path).map_err(failed)?;
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(OpenError::Owner { path: path.to_owned() });
        }
        let mode = found.mode() & 0o777;
        if mode & 0o077 != 0 {
            for entry in fs::read_dir(path).map_err(failed)? {
                let name = entry.map_err(failed)?.file_name();
                let is_stored = |name: &str| name == LOCK || is_name(name);
                if !atomic::is_ours(&name) && !name.to_str().is_some_and(is_stored) {
                    return Err(OpenError::Open { path: path.to_owned(), mode });
                }
            }
            fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed)?;
        }
        atomic::sweep(path);
        Ok(Self { path: path.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until no other process writes.
    pub(super) fn lock(&self) -> io::Result<Locked> {
        let file = File::options().create(true).truncate(false).write(true).open(self.path.join(LOCK))?;
        match file.lock() {
            // A file system without locks: then the budget may be exceeded by a file.
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            locked => locked?,
        }
        Ok(Locked { _file: file })
    }

    /// When files were last added or removed, unless that is so recent that a later change could have the same time.
    pub(super) fn changed(&self) -> Option<SystemTime> {
        let changed = fs::metadata(&self.path).ok()?.modified().ok()?;
        changed.elapsed().is_ok_and(|age| age > RECENT).then_some(changed)
    }

    /// The files with the name of a state.
    pub(super) fn list(&self) -> io::Result<Vec<Stored>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().filter(|name| is_name(name)).map(str::to_owned)
            else {
                continue;
            };
            // Another process may remove it at any time.
            let Ok(found) = entry.metadata() else { continue };
            if let Some(used) = found.modified().ok().filter(|_| found.is_file()) {
                files.push(Stored { name, bytes: found.len(), used });
            }
        }
        Ok(files)
    }

    /// The room for another file, if this percentage of the disk stays free.
    pub(super) fn room(&self, budget: u64, reserve: u8) -> io::Result<Room> {
        let (disk, free) = (fs4::total_space(&self.path)?, fs4::available_space(&self.path)?);
        Ok(Room { budget, reserve: disk.div_ceil(100).saturating_mul(reserve.into()), free })
    }

    /// Reads what a file is about: its identity and its tokens, which are verified only when the file is used; `None` if
    /// no namespace of this model and engine has a use for it.
    pub(super) fn entry(&self, name: &str, ours: &Identity, context: u32) -> Result<Option<Entry>, Refused> {
        let mut file = File::open(self.path.join(name))?;
        let bytes = file.metadata()?.len();
        let header = state::read_header(&mut file, bytes)?;
        let identity = header.identity;
        let is_foreign = (identity.model, identity.engine) != (ours.model, ours.engine);
        if is_foreign || header.tokens == 0 || header.tokens >= u64::from(context) {
            return Ok(None);
        }
        let tokens = state::read_tokens(&mut file, &header)?;
        Ok(Some(Entry { identity, blocks: Blocks::of(&tokens), bytes }))
    }

    /// Reads and verifies a state.
    pub(super) fn read(&self, name: &str, identity: &Identity) -> Result<Saved, Refused> {
        state::read(&self.path.join(name), identity)
    }

    pub(super) fn write(&self, name: &str, identity: &Identity, saved: &Saved) -> io::Result<()> {
        state::write(&self.path.join(name), identity, saved)
    }

    /// Removes a file, which another process may have done before.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes a file the most recently used one.
    pub(super) fn touch(&self, name: &str) -> io::Result<()> {
        File::options().append(true).open(self.path.join(name))?.set_modified(SystemTime::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn the_folder_is_for_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/states");
        Folder::open(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        // One that is empty or has states only is closed to others; one with other files is refused as it is.
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let names = ["lock", ".ggrun-abcDEF012345.tmp", "0123456789abcdef0123456789abcdef.state"];
        for name in names {
            fs::write(path.join(name), "").unwrap();
        }
        Folder::open(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert!(!path.join(names[1]).exists(), "what a killed process left is removed");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        fs::write(path.join("letter.txt"), "").unwrap();
        let error = Folder::open(&path).unwrap_err();
        assert!(matches!(error, OpenError::Open { mode: 0o755, .. }), "{error}");
        assert_eq!(mode(&path), 0o755);
        let file = path.join("letter.txt/states");
        assert!(matches!(Folder::open(&file), Err(OpenError::Folder { .. })));
    }

    #[test]
    fn links_folders_and_other_files_are_no_states() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open(&parent.path().join("states")).unwrap();
        let name = |digit: &str| format!("{}.state", digit.repeat(32));
        let at = |name: &str| folder.path().join(name);
        fs::write(at(&name("0")), "123").unwrap();
        fs::write(at("other.state"), "").unwrap();
        fs::create_dir(at(&name("1"))).unwrap();
        std::os::unix::fs::symlink(at(&name("0")), at(&name("2"))).unwrap();
        let listed = folder.list().unwrap();
        assert_eq!(
            listed.iter().map(|file| (&*file.name, file.bytes)).collect::<Vec<_>>(),
            [(&*name("0"), 3)]
        );
        folder.remove(&name("0")).unwrap();
        folder.remove(&name("0")).unwrap();
        assert_eq!(folder.list().unwrap(), []);
    }
}
