//! What one request took: filled in while it is answered, read by the access log and at the request's end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::Timings;
use crate::session::{ChatEvent, ChatUsage};

/// What one request took so far. Clones share it; a request carries it as an extension.
#[derive(Debug, Clone)]
pub(super) struct Tally(Arc<Mutex<Taken>>);

/// What a request took.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    /// When it arrived.
    pub(super) arrived: Instant,
    /// Whether an answer has had a slot.
    begun: bool,
    /// From its arrival to the first text or call of an answer.
    pub(super) first: Option<Duration>,
    /// Answers that ended, in the order of their ends.
    pub(super) ended: Vec<Ended>,
    /// Whether an answer failed.
    failed: bool,
}

/// An answer that ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// The tokens it took.
    pub(super) usage: ChatUsage,
    /// The time it took.
    pub(super) timings: Timings,
}

impl Default for Tally {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Taken {
            arrived: Instant::now(),
            begun: false,
            first: None,
            ended: Vec::new(),
            failed: false,
        })))
    }
}

impl Tally {
    /// A copy of what it took so far.
    #[must_use]
    pub(super) fn taken(&self) -> Taken {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether an answer has had a slot.
    pub(super) fn has_begun(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).begun
    }

    /// Whether an answer failed.
    pub(super) fn has_failed(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failed
    }

    /// Takes an event of an answer into account.
    pub(super) fn event(&self, event: &ChatEvent) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            ChatEvent::Progress { .. } => taken.begun = true,
            ChatEvent::Reasoning(_) | ChatEvent::Content(_) | ChatEvent::ToolCall(_) => {
                let since = taken.arrived.elapsed();
                taken.first.get_or_insert(since);
            }
            ChatEvent::Finished { usage, timings, .. } => {
                taken.ended.push(Ended { usage: *usage, timings: *timings });
            }
            ChatEvent::Failed(_) => taken.failed = true,
        }
    }
}
