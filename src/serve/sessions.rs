//! Where conversations are kept: in one folder, in a folder for each key, or nowhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use http::Extensions;

use super::security::{Client, KeyId};
use crate::conversations::Store;

/// Where conversations are kept.
#[derive(Debug, Clone, Default)]
pub struct Sessions(Option<Kept>);

#[derive(Debug, Clone)]
enum Kept {
    /// For all clients.
    Together(Arc<Store>),
    /// In a folder for each key, under this one.
    ByKey(PathBuf, Arc<Mutex<BTreeMap<KeyId, Arc<Store>>>>),
}

impl Sessions {
    /// In one folder for all clients.
    #[must_use]
    pub fn together(folder: PathBuf) -> Self {
        let store = Store::new(folder);
        store.sweep();
        Self(Some(Kept::Together(Arc::new(store))))
    }

    /// In a folder for each key, under this one. A client without a key has none.
    #[must_use]
    pub fn by_key(folder: PathBuf) -> Self {
        // A folder that cannot be read has nothing to remove yet.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(is_of_key) {
                Store::new(entry.path()).sweep();
            }
        }
        Self(Some(Kept::ByKey(folder, Arc::default())))
    }

    /// The folder, if conversations are kept.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.0.as_ref().map(|kept| match kept {
            Kept::Together(store) => store.folder(),
            Kept::ByKey(folder, _) => folder,
        })
    }

    /// The conversations of the client of a request.
    pub(super) fn of(&self, extensions: &Extensions) -> Option<Arc<Store>> {
        match self.0.as_ref()? {
            Kept::Together(store) => Some(Arc::clone(store)),
            Kept::ByKey(folder, stores) => {
                let Some(&Client::Key(key)) = extensions.get() else { return None };
                let mut stores = stores.lock().unwrap_or_else(PoisonError::into_inner);
                let new = || Arc::new(Store::new(folder.join(name(key))));
                Some(Arc::clone(stores.entry(key).or_insert_with(new)))
            }
        }
    }
}

/// The name of a key's folder.
fn name(key: KeyId) -> String {
    format!("{:016x}", key.number())
}

fn is_of_key(name: &str) -> bool {
    name.len() == 16 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_server_left_is_removed_from_the_folders_of_keys() {
        let folder = tempfile::tempdir().unwrap();
        let left = |name: &str| {
            let path = folder.path().join(name).join(".ggrun-AbCdEf012345.tmp");
            fs::create_dir(path.parent().unwrap()).unwrap();
            fs::write(&path, "x").unwrap();
            path
        };
        let (of_key, of_other) = (left(&name(KeyId::with(7))), left("notes"));
        let sessions = Sessions::by_key(folder.path().to_owned());
        assert_eq!(sessions.folder(), Some(folder.path()));
        assert!(!of_key.exists() && of_other.exists());
    }
}
