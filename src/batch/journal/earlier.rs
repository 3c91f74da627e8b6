//! The rows of earlier runs, read without changing or locking a file.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::scan::scan;
use super::types::{Entry, Place, Standing, State, Targets, part_of};
use super::wrong::wrong;
use crate::atomic;
use crate::batch::error::Error;
use crate::batch::hash::{RequestHash, key};

/// The rows of earlier runs.
#[derive(Debug, Default)]
pub struct Earlier {
    rows: HashMap<u128, Entry>,
}

impl Earlier {
    /// Reads the files of a batch, as far as they exist.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, has other contents, or has answers of another model without `any_model`.
    pub fn read(targets: &Targets, model: &str, any_model: bool) -> Result<Self, Error> {
        let mut earlier = Self::default();
        let model = (!any_model).then_some(model);
        let part = part_of(&atomic::resolve(&targets.out).map_err(wrong("read", &targets.out))?);
        // Failed rows first, so that an answer replaces a failure.
        for path in targets.errors.iter().chain([&targets.out, &part]) {
            if path.is_file() {
                let file = File::open(path).map_err(wrong("read", path))?;
                let length = file.metadata().map_err(wrong("examine", path))?.len();
                earlier.read_rows(file, length, path, model)?;
            }
        }
        Ok(earlier)
    }

    /// Reads the rows of one file of `length` bytes. `path` is for messages.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_rows(
        &mut self,
        input: impl Read,
        length: u64,
        path: &Path,
        model: Option<&str>,
    ) -> Result<(), Error> {
        scan(input, length, path, &mut |row| {
            if let Some(model) = model.filter(|model| *model != row.model) {
                return Err(Error::OtherModel {
                    path: path.to_owned(),
                    found: row.model.to_owned(),
                    expected: model.to_owned(),
                });
            }
            let (hash, state) = (row.hash.short(), State::of(row.status));
            let entry = Entry { hash, line: 0, place: Place::Out, state, seen: false };
            self.rows.insert(key(row.id), entry);
            Ok(())
        })
        .map(drop)
    }

    /// The number of rows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// The standing of a row of the input.
    pub(in crate::batch) fn standing(&self, id: &str, hash: RequestHash, retry_refused: bool) -> Standing {
        self.rows.get(&key(id)).map_or(Standing::New, |entry| entry.standing(hash, retry_refused))
    }
}
