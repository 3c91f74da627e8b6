//! Metadata in file order.

use std::sync::Arc;

use super::{Array, Value};

/// Keys and values in file order. Copies share the values, of which a tokenizer's take many megabytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    entries: Vec<(String, Arc<Value>)>,
}

impl Metadata {
    /// Empty metadata.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an entry. The key must be new: [`super::Header::layout`] refuses duplicates.
    pub fn push(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.entries.push((key.into(), Arc::new(value.into())));
    }

    /// Replaces the value of a key in place, or appends an entry.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        match self.entries.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = Arc::new(value.into()),
            None => self.push(key, value),
        }
    }

    /// Appends all entries of `other`.
    pub fn append(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(k, _)| k == key).map(|(_, v)| &**v)
    }

    /// A string; `None` if absent or of another type.
    #[must_use]
    pub fn str(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Str(v) => Some(v),
            _ => None,
        }
    }

    /// A non-negative integer of any integer type; `None` if absent, negative or of another type.
    #[must_use]
    pub fn u64(&self, key: &str) -> Option<u64> {
        self.get(key)?.as_u64()
    }

    /// An f32; `None` if absent or of another type.
    #[must_use]
    pub fn f32(&self, key: &str) -> Option<f32> {
        match self.get(key)? {
            Value::F32(v) => Some(*v),
            _ => None,
        }
    }

    /// A bool; `None` if absent or of another type.
    #[must_use]
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(v) => Some(*v),
            _ => None,
        }
    }

    /// An array; `None` if absent or of another type.
    #[must_use]
    pub fn array(&self, key: &str) -> Option<&Array> {
        match self.get(key)? {
            Value::Array(v) => Some(v),
            _ => None,
        }
    }

    /// An array of strings; `None` if absent or of another type.
    #[must_use]
    pub fn strings(&self, key: &str) -> Option<&[String]> {
        match self.array(key)? {
            Array::Str(v) => Some(v),
            _ => None,
        }
    }

    /// Entries in file order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(k, v)| (k.as_str(), &**v))
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns true if there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
