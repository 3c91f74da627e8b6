//! What one request took: filled in while it is answered, read by the access log and the metrics.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::{FinishReason, Namespace, Timings};
use crate::session::{ChatEvent, ChatUsage};

/// What one request took so far. Clones share it; a request carries it as an extension.
#[derive(Debug, Clone)]
pub struct Tally(Arc<Mutex<Taken>>);

/// What a request took.
#[derive(Debug, Clone)]
pub struct Taken {
    /// When it arrived.
    pub arrived: Instant,
    /// Whether an answer has had a slot.
    pub begun: bool,
    /// From its arrival to the first text or call of an answer.
    pub first: Option<Duration>,
    /// Answers that ended, in the order of their ends.
    pub ended: Vec<Ended>,
    /// Answers that failed.
    pub failed: u32,
    /// Whose cached sequences it may reuse.
    pub namespace: Namespace,
}

/// An answer that ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// The tokens it took.
    pub usage: ChatUsage,
    /// The time it took.
    pub timings: Timings,
    /// Whether it ended with function calls.
    pub reason: Reason,
}

/// Why an answer ended, without the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The model or a stop text ended it.
    Stop,
    /// It reached a limit.
    Length,
    /// Its client went away.
    Cancelled,
}

impl Default for Tally {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Taken {
            arrived: Instant::now(),
            begun: false,
            first: None,
            ended: Vec::new(),
            failed: 0,
            namespace: Namespace::default(),
        })))
    }
}

impl Tally {
    /// A copy of what it took so far.
    #[must_use]
    pub fn taken(&self) -> Taken {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets the request reuse cached sequences of this namespace only.
    pub(super) fn isolate(&self, namespace: Namespace) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).namespace = namespace;
    }

    /// Whether an answer has had a slot.
    pub(super) fn has_begun(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).begun
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
            ChatEvent::Finished { reason, usage, timings } => {
                let reason = match reason {
                    FinishReason::Stop | FinishReason::StopString(_) => Reason::Stop,
                    FinishReason::Length | FinishReason::Context => Reason::Length,
                    FinishReason::Cancelled => Reason::Cancelled,
                };
                taken.ended.push(Ended { usage: *usage, timings: *timings, reason });
            }
            ChatEvent::Failed(_) => taken.failed += 1,
        }
    }
}
