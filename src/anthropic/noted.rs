//! The names of fields that are ignored, each once.

use std::collections::BTreeSet;

use crate::openai::{Fields, UnknownField};

/// The names of fields within lists, each once however often it occurs.
#[derive(Debug, Default)]
pub(super) struct Noted(BTreeSet<String>);

impl Noted {
    /// Notes a field, or something else that is ignored.
    pub(super) fn add(&mut self, name: impl Into<String>) {
        self.0.insert(name.into());
    }

    /// Notes the fields of an object that were not taken, under the name of the object.
    pub(super) fn within(&mut self, object: &str, fields: Fields) {
        self.0.extend(fields.left().map(|name| format!("{object}.{name}")));
    }

    /// The noted fields, in order of their names.
    pub(super) fn fields(self) -> impl Iterator<Item = UnknownField> {
        self.0.into_iter().map(|name| UnknownField { name, closest: None })
    }
}
