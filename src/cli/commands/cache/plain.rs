//! Hashes of files that are not links to blobs, as on a file system without links. The cache does not record them, so
//! the hub is asked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use ggrun::hub::cache::{Cache, Entry, Repository, Snapshot, Target};
use ggrun::hub::{Error, Hub, Listing, Settings};

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
    /// Asks the hub for the hashes of all plain files, until it does not answer.
    pub(super) fn of(cache: &Cache, repositories: &[Repository], stop: &AtomicBool) -> Self {
        let mut known = Self::default();
        let mut hub = None;
        for (one, snapshot) in repositories.iter().flat_map(|one| one.snapshots.iter().map(move |s| (one, s)))
        {
            let files: Vec<_> = files(snapshot).collect();
            if files.is_empty() {
                continue;
            }
            let connected = hub.get_or_insert_with(|| connect(cache)).as_ref();
            let listing =
                connected.map_err(Clone::clone).and_then(|hub| listing_of(hub, one, snapshot, stop));
            for (name, file) in files {
                match listing.as_ref().map(|listing| listing.find(name)) {
                    Ok(Some(listed)) => drop(known.hashes.insert(file.path.clone(), listed.hash.clone())),
                    Ok(None) => known.miss("the repository does not list it"),
                    Err(Unlisted::Here(reason) | Unlisted::Everywhere(reason)) => known.miss(reason),
                }
            }
            if let Err(unlisted @ Unlisted::Everywhere(_)) = listing {
                // Each further request would end only after its own retries.
                hub = Some(Err(unlisted));
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

/// Why a snapshot has no listing.
#[derive(Debug, Clone)]
enum Unlisted {
    /// The hub answered, or was not asked about this one.
    Here(String),
    /// The hub does not answer, or is not asked.
    Everywhere(String),
}

fn connect(cache: &Cache) -> Result<Hub, Unlisted> {
    let settings = Settings::read().map(|settings| Settings { cache: cache.root().to_owned(), ..settings });
    settings.and_then(Hub::new).map_err(|error| Unlisted::Everywhere(error.to_string()))
}

fn listing_of(
    hub: &Hub,
    one: &Repository,
    snapshot: &Snapshot,
    stop: &AtomicBool,
) -> Result<Listing, Unlisted> {
    let name = format!("{}@{}", one.name, snapshot.commit);
    let repo = name.parse().map_err(|_| Unlisted::Here(format!("`{name}` is not a revision of a model")))?;
    match hub.listing(&repo, stop, &|_| {}) {
        Ok(Listing { only_cached: Some(reason), .. }) => Err(Unlisted::Everywhere(reason)),
        Ok(listing) => Ok(listing),
        Err(error @ (Error::Network { .. } | Error::RetryLater { .. })) => {
            Err(Unlisted::Everywhere(error.to_string()))
        }
        Err(error) => Err(Unlisted::Here(error.to_string())),
    }
}
