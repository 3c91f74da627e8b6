//! Scans a cache: repositories, their snapshots, the blobs that these refer to, and leftovers.
//!
//! The contents are not trusted: links in a repository's folder are not followed, only their targets' names are compared. A scan ends after a
//! number of entries, and its result is marked incomplete then. Nothing is changed here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use super::layout::read_ref;
use super::{Cache, Folder};

/// The largest number of entries that are scanned in a cache.
pub const MOST_ENTRIES: usize = 1_000_000;

/// The contents of a cache.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// The repositories, by name.
    pub repositories: Vec<Repository>,
    /// Whether everything was scanned.
    pub complete: bool,
}

/// The contents of a repository's folder.
#[derive(Debug, Clone)]
pub struct Repository {
    /// `ORG/NAME`; for datasets and Spaces with `datasets/` or `spaces/` before it.
    pub name: String,
    /// The folder.
    pub folder: Folder,
    /// Bytes of all files, each counted once.
    pub bytes: u64,
    /// The commits that have files, sorted.
    pub snapshots: Vec<Snapshot>,
    /// Branches and tags, and the commit that each last pointed to.
    pub refs: BTreeMap<String, String>,
    /// Complete files by hash.
    pub blobs: BTreeMap<String, Blob>,
    /// Partial files, by their name in the folder of blobs.
    pub unfinished: BTreeMap<String, Blob>,
    /// Whether everything was scanned, and nothing in the folder leads out of it. If not, any file may be needed.
    pub complete: bool,
}

/// The files of a commit.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The folder's name, which is the commit.
    pub commit: String,
    /// The folder.
    pub path: PathBuf,
    /// The files by their name in the repository.
    pub files: BTreeMap<String, Entry>,
    /// When one of them was last changed or created.
    pub modified: Option<SystemTime>,
}

/// A file of a commit.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The file's path.
    pub path: PathBuf,
    /// Where its bytes are.
    pub target: Target,
    /// Its size, 0 if the bytes are missing.
    pub bytes: u64,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// In the blob with this hash, by a symbolic or a hard link.
    Blob(String),
    /// In the file itself, on a file system without links.
    Itself,
    /// Missing: there is no blob with this hash.
    Missing(String),
    /// At another path, which is not examined.
    Elsewhere(PathBuf),
}

/// A file in the folder of blobs.
#[derive(Debug, Clone)]
pub struct Blob {
    /// The file's path.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was last written to.
    pub modified: Option<SystemTime>,
    /// When it was last read, if the system records that.
    pub used: Option<SystemTime>,
}

impl Repository {
    /// The branches and tags that point to a commit.
    pub fn refs_of<'a>(&'a self, commit: &'a str) -> impl Iterator<Item = &'a str> {
        self.refs.iter().filter(move |(_, at)| *at == commit).map(|(name, _)| name.as_str())
    }

    /// The hashes that the files of some snapshots refer to.
    pub fn needed(&self, by: impl Fn(&Snapshot) -> bool) -> BTreeSet<&str> {
        let files = self.snapshots.iter().filter(|snapshot| by(snapshot)).flat_map(|s| s.files.values());
        files
            .filter_map(|file| match &file.target {
                Target::Blob(hash) | Target::Missing(hash) => Some(hash.as_str()),
                Target::Itself | Target::Elsewhere(_) => None,
            })
            .collect()
    }

    /// Complete files that no snapshot refers to.
    pub fn unreferenced(&self) -> impl Iterator<Item = (&str, &Blob)> {
        let needed = self.needed(|_| true);
        self.blobs.iter().map(|(h, b)| (h.as_str(), b)).filter(move |(hash, _)| !needed.contains(hash))
    }
}

impl Snapshot {
    /// Bytes of its files, shared or not.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }
}

impl Cache {
    /// Scans the whole cache, up to `limit` entries.
    #[must_use]
    pub fn scan(&self, limit: usize) -> Scan {
        let mut walk = Walk::new(limit);
        let mut names: Vec<String> = walk
            .entries(self.root())
            .into_iter()
            // A repository's folder may be a link to another disk.
            .filter(|(path, meta)| meta.is_dir() || meta.is_symlink() && path.join("blobs").is_dir())
            .filter_map(|(path, _)| Some(path.file_name()?.to_str()?.to_owned()))
            .filter(|name| shown(name).is_some())
            .collect();
        names.sort();
        let mut scan = Scan { repositories: Vec::new(), complete: walk.complete };
        for name in names {
            let found = walk.repository(self.folder_of(&name), shown(&name).unwrap_or_default());
            scan.complete &= found.complete;
            scan.repositories.push(found);
        }
        scan
    }
}

impl Folder {
    /// Scans this repository, up to `limit` entries; `None` if it has no folder.
    #[must_use]
    pub fn scan(&self, limit: usize) -> Option<Repository> {
        fs::metadata(self.path()).ok().filter(Metadata::is_dir)?;
        let name = self.path().file_name()?.to_str().and_then(shown)?;
        Some(Walk::new(limit).repository(self.clone(), name))
    }
}

/// The repository's name by its folder: `models--a--b` is `a/b`.
fn shown(name: &str) -> Option<String> {
    let (kind, id) = name.split_once("--")?;
    let id = id.replacen("--", "/", 1);
    match kind {
        _ if id.is_empty() => None,
        "models" => Some(id),
        "datasets" | "spaces" => Some(format!("{kind}/{id}")),
        _ => None,
    }
}

struct Walk {
    left: usize,
    complete: bool,
    /// The hash of each blob of a repository, by the identity of the file.
    blobs: BTreeMap<(u64, u64), String>,
}

impl Walk {
    fn new(limit: usize) -> Self {
        Self { left: limit, complete: true, blobs: BTreeMap::new() }
    }

    fn repository(&mut self, folder: Folder, name: String) -> Repository {
        let before = std::mem::replace(&mut self.complete, true);
        let own = folder.path();
        let mut found = Repository {
            name,
            folder,
            bytes: 0,
            snapshots: Vec::new(),
            refs: BTreeMap::new(),
            blobs: BTreeMap::new(),
            unfinished: BTreeMap::new(),
            complete: true,
        };
        let mut seen = BTreeSet::new();
        for (path, meta) in self.entries(&own) {
            match path.file_name().and_then(|name| name.to_str()) {
                Some("blobs") if meta.is_dir() => self.blobs(&path, &mut found),
                Some("refs") if meta.is_dir() => {
                    for (name, at, meta) in self.files(&path) {
                        found.bytes = found.bytes.saturating_add(once(&meta, &mut seen));
                        found.refs.extend(read_ref(&at).map(|commit| (name, commit)));
                    }
                }
                Some("blobs" | "snapshots" | "refs") if !meta.is_dir() => self.complete = false,
                Some("snapshots") => {}
                _ if meta.is_dir() => {
                    let files = self.files(&path);
                    found.bytes += files.iter().map(|(_, _, meta)| once(meta, &mut seen)).sum::<u64>();
                }
                _ => found.bytes = found.bytes.saturating_add(once(&meta, &mut seen)),
            }
        }
        for blob in found.blobs.values().chain(found.unfinished.values()) {
            let meta = fs::symlink_metadata(&blob.path);
            found.bytes = found.bytes.saturating_add(meta.map_or(0, |meta| once(&meta, &mut seen)));
        }
        // After the blobs, which the snapshots refer to.
        for (path, meta) in self.entries(&own.join("snapshots")) {
            if meta.is_dir() {
                let snapshot = self.snapshot(path, &own, &mut found, &mut seen);
                found.snapshots.push(snapshot);
            } else {
                self.complete = false;
            }
        }
        found.snapshots.sort_by(|a, b| a.commit.cmp(&b.commit));
        found.complete = self.complete;
        self.complete &= before;
        found
    }

    fn blobs(&mut self, folder: &Path, found: &mut Repository) {
        for (path, meta) in self.entries(folder) {
            let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else {
                continue;
            };
            if !meta.is_file() {
                // Its purpose is unknown, and anything may refer to it.
                self.complete = false;
                continue;
            }
            let (bytes, modified, used) = (meta.len(), meta.modified().ok(), meta.accessed().ok());
            let is_complete = path.extension().is_none_or(|extension| extension != "incomplete");
            let blob = Blob { path, bytes, modified, used };
            if is_complete && let Some(id) = id(&meta) {
                self.blobs.insert(id, name.clone());
            }
            if is_complete { &mut found.blobs } else { &mut found.unfinished }.insert(name, blob);
        }
    }

    fn snapshot(
        &mut self,
        path: PathBuf,
        own: &Path,
        found: &mut Repository,
        seen: &mut BTreeSet<(u64, u64)>,
    ) -> Snapshot {
        let commit = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut snapshot = Snapshot { commit, files: BTreeMap::new(), modified: None, path };
        for (name, path, meta) in self.files(&snapshot.path) {
            let target = match id(&meta).and_then(|id| self.blobs.get(&id)) {
                _ if meta.is_symlink() => target(&path, own, &found.blobs),
                Some(hash) => Target::Blob(hash.clone()),
                None => Target::Itself,
            };
            let bytes = match &target {
                Target::Blob(hash) => found.blobs.get(hash).map_or(0, |blob| blob.bytes),
                Target::Itself => meta.len(),
                Target::Missing(_) | Target::Elsewhere(_) => 0,
            };
            if target == Target::Itself {
                found.bytes = found.bytes.saturating_add(once(&meta, seen));
            }
            snapshot.modified = snapshot.modified.max(meta.modified().ok());
            snapshot.files.insert(name, Entry { path, target, bytes });
        }
        snapshot
    }

    /// All files and links below a folder, with their path relative to it.
    fn files(&mut self, folder: &Path) -> Vec<(String, PathBuf, Metadata)> {
        let (mut open, mut files) = (vec![folder.to_owned()], Vec::new());
        while let Some(next) = open.pop() {
            for (path, meta) in self.entries(&next) {
                if meta.is_dir() {
                    open.push(path);
                } else {
                    let name =
                        path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                    files.push((name, path, meta));
                }
            }
        }
        files
    }

    /// The entries of a folder, which is not a link. An unreadable folder makes the scan incomplete.
    fn entries(&mut self, folder: &Path) -> Vec<(PathBuf, Metadata)> {
        let read = match fs::read_dir(folder) {
            Ok(read) => read,
            Err(error) => {
                self.complete &= error.kind() == std::io::ErrorKind::NotFound;
                return Vec::new();
            }
        };
        let mut found = Vec::new();
        for entry in read {
            if self.left == 0 {
                self.complete = false;
                break;
            }
            self.left -= 1;
            match entry.and_then(|entry| Ok((entry.path(), fs::symlink_metadata(entry.path())?))) {
                Ok(one) => found.push(one),
                Err(error) => self.complete &= error.kind() == std::io::ErrorKind::NotFound,
            }
        }
        found
    }
}

/// The size of a file; 0 if it was already counted under another name.
fn once(meta: &Metadata, seen: &mut BTreeSet<(u64, u64)>) -> u64 {
    if !meta.is_file() {
        return 0;
    }
    if id(meta).is_some_and(|id| !seen.insert(id)) { 0 } else { meta.len() }
}

/// The identity of a file, where the system has one.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn id(meta: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((meta.dev(), meta.ino()))
}

#[cfg(not(unix))]
fn id(_: &Metadata) -> Option<(u64, u64)> {
    None
}

/// The target of a link, by its text only.
fn target(link: &Path, own: &Path, blobs: &BTreeMap<String, Blob>) -> Target {
    let Ok(text) = fs::read_link(link) else { return Target::Elsewhere(PathBuf::new()) };
    let mut at = PathBuf::new();
    for part in link.parent().unwrap_or(own).join(&text).components() {
        match part {
            Component::ParentDir => drop(at.pop()),
            Component::CurDir => {}
            part => at.push(part),
        }
    }
    let folder = own.join("blobs");
    match at.strip_prefix(&folder).ok().and_then(Path::to_str) {
        Some(hash) if !hash.is_empty() && !hash.contains('/') => {
            let hash = hash.to_owned();
            if blobs.contains_key(&hash) { Target::Blob(hash) } else { Target::Missing(hash) }
        }
        _ => Target::Elsewhere(text),
    }
}

#[cfg(test)]
mod tests;
