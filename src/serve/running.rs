//! The answers that are being written, by their ids, so that another request can end their reasoning.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Canceller;

/// The answers that are being written. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers(Arc<Mutex<HashMap<String, Vec<Canceller>>>>);

/// An entry, removed when it is dropped.
#[derive(Debug)]
pub(super) struct Listed {
    answers: Answers,
    id: String,
}

impl Answers {
    /// Adds the answers of a request under its id.
    pub(super) fn add(&self, id: &str, cancellers: Vec<Canceller>) -> Listed {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), cancellers);
        Listed { answers: self.clone(), id: id.to_owned() }
    }

    /// Ends the reasoning of the answers of a request; false if there is no such request.
    pub(super) fn end_reasoning(&self, id: &str) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(id);
        found.into_iter().flatten().for_each(Canceller::end_reasoning);
        found.is_some()
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.answers.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
