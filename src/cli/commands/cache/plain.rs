//! Hashes of files that are not links to blobs, as on a file system without links. The cache does not record them, so
//! the hub is asked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use ggrun::hub::cache::{Cache, Entry, Repository, Snapshot, Target};
use ggrun::hub::{Hub, Listing, Settings};

/// What is known of plain files.
#[derive(Debug, Default)]
pub(super) struct Plain {
    /// The hash of each file, by its path.
    pub(super) hashes: BTreeMap<PathBuf, String>,
    /// The number of files without a hash.
    pub(super) unknown: u64,
    /// Why the hash of the first of them is unknown.
    pub(super) reason: Option<String>,
}

impl Plain {
    /// Asks the hub for the hashes of all plain files.
    pub(super) fn of(cache: &Cache, repositories: &[Repository], stop: &AtomicBool) -> Self {
        let mut known = Self::default();
        let mut hub = None;
        for (one, snapshot) in repositories.iter().flat_map(|one| one.snapshots.iter().map(move |s| (one, s)))
        {
            let files: Vec<_> = files(snapshot).collect();
            if files.is_empty() {
                continue;
            }
            let listing = hub.get_or_insert_with(|| connect(cache)).as_ref().map_err(Clone::clone);
            let listing = listing.and_then(|hub| listing_of(hub, one, snapshot, stop));
            for (name, file) in files {
                match listing.as_ref().map(|listing| listing.find(name)) {
                    Ok(Some(listed)) => drop(known.hashes.insert(file.path.clone(), listed.hash.clone())),
                    Ok(None) => known.miss("the repository does not list it"),
                    Err(reason) => known.miss(reason),
                }
            }
        }
        known
    }

    fn miss(&mut self, reason: &str) {
        self.unknown += 1;
        self.reason.get_or_insert_with(|| reason.to_owned());
    }
}

/// The files of a commit that are not links, by name.
pub(super) fn files(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &Entry)> {
    snapshot
        .files
        .iter()
        .filter(|(_, file)| file.target == Target::Itself)
        .map(|(name, file)| (name.as_str(), file))
}

fn connect(cache: &Cache) -> Result<Hub, String> {
    let settings = Settings::read().map(|settings| Settings { cache: cache.root().to_owned(), ..settings });
    settings.and_then(Hub::new).map_err(|error| error.to_string())
}

fn listing_of(
    hub: &Hub,
    one: &Repository,
    snapshot: &Snapshot,
    stop: &AtomicBool,
) -> Result<Listing, String> {
    let name = format!("{}@{}", one.name, snapshot.commit);
    let repo = name.parse().map_err(|_| format!("`{name}` is not a revision of a model"))?;
    let listing = hub.listing(&repo, stop, &|_| {}).map_err(|error| error.to_string())?;
    match &listing.only_cached {
        Some(reason) => Err(reason.clone()),
        None => Ok(listing),
    }
}
