//! Ends one request, or its reasoning, from any thread. Nothing here waits: the loop reads flags between two steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Abort, RequestId};

/// Ends one request, or its reasoning, from any thread, and never blocks. Clones end the same request.
#[derive(Debug, Clone)]
pub struct Canceller {
    id: RequestId,
    wishes: Arc<Wishes>,
    abort: Abort,
}

/// The actions that the client of one request has asked for.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    cancel: AtomicBool,
    end_reasoning: AtomicBool,
}

impl Canceller {
    pub(super) fn new(id: RequestId, abort: Abort) -> Self {
        Self { id, wishes: Arc::default(), abort }
    }

    /// Ends the reasoning, so that the answer begins; no effect once it has ended.
    pub fn end_reasoning(&self) {
        self.wishes.end_reasoning.store(true, Ordering::SeqCst);
    }

    /// Ends the request; no effect once it has ended.
    ///
    /// A step that serves only this request is aborted. If the step is shared, the request leaves when it ends.
    pub fn cancel(&self) {
        self.wishes.cancel.store(true, Ordering::SeqCst);
        self.abort.abort(self.id);
    }

    /// The request.
    #[must_use]
    pub fn id(&self) -> RequestId {
        self.id
    }

    pub(super) fn wishes(&self) -> Arc<Wishes> {
        Arc::clone(&self.wishes)
    }
}

impl Wishes {
    /// Whether the request is to end.
    pub(super) fn cancel(&self) -> bool {
        self.cancel.load(Ordering::SeqCst)
    }

    /// Whether the reasoning is to end; true once for each time it was asked for.
    pub(super) fn take_end_reasoning(&self) -> bool {
        self.end_reasoning.swap(false, Ordering::SeqCst)
    }
}
