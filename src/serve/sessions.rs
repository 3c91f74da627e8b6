//! Where conversations are kept: in one folder, in a folder for each key, or nowhere.

use std::collections::BTreeMap;
use std::path::PathBuf;
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
        Self(Some(Kept::ByKey(folder, Arc::default())))
    }

    /// The conversations of the client of a request.
    pub(super) fn of(&self, extensions: &Extensions) -> Option<Arc<Store>> {
        match self.0.as_ref()? {
            Kept::Together(store) => Some(Arc::clone(store)),
            Kept::ByKey(folder, stores) => {
                let Some(&Client::Key(key)) = extensions.get() else { return None };
                let mut stores = stores.lock().unwrap_or_else(PoisonError::into_inner);
                let new = || Arc::new(Store::new(folder.join(format!("{:016x}", key.number()))));
                Some(Arc::clone(stores.entry(key).or_insert_with(new)))
            }
        }
    }
}
