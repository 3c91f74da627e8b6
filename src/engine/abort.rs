//! Aborts a step while it is computed: any step, or only one that serves a given request and no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::RequestId;

/// Aborts a step while it is computed, from any thread. Clones share their state.
///
/// The step fails with [`DecodeError::Aborted`](super::DecodeError::Aborted). A decoder looks at this between two of
/// its operations.
#[derive(Debug, Clone, Default)]
pub struct Abort(Arc<Signal>);

/// The shared state of an [`Abort`], for a decoder that polls it through a pointer.
#[derive(Debug, Default)]
pub struct Signal {
    /// Aborts every step.
    raised: Arc<AtomicBool>,
    /// The only request that the running step serves; [`NONE`] while no step runs, or one that is shared.
    running: AtomicU64,
    /// The request whose step is aborted.
    aborted: AtomicU64,
}

/// Stands for no request; others are stored plus one.
const NONE: u64 = 0;

impl Signal {
    /// Whether the running step must end.
    ///
    /// The request that a step serves and the request to abort are compared here, at the moment of the decision: an
    /// abort that comes too late for its own step never affects the next one.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        let running = self.running.load(Ordering::SeqCst);
        self.raised.load(Ordering::Relaxed)
            || (running != NONE && running == self.aborted.load(Ordering::SeqCst))
    }
}

impl Abort {
    /// An abort that a flag can also raise and lower.
    #[must_use]
    pub fn of(flag: Arc<AtomicBool>) -> Self {
        Self(Arc::new(Signal { raised: flag, ..Signal::default() }))
    }

    /// Aborts the running step and every later one, until [`lower`](Self::lower).
    pub fn raise(&self) {
        self.0.raised.store(true, Ordering::Relaxed);
    }

    /// Lets steps run again.
    pub fn lower(&self) {
        self.0.raised.store(false, Ordering::Relaxed);
    }

    /// Whether the running step must end.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.is_raised()
    }

    /// The shared state, which lives as long as any clone.
    #[must_use]
    pub fn signal(&self) -> &Signal {
        &self.0
    }

    /// Records that a step begins; `lone` is the only request that it serves.
    pub(super) fn begin(&self, lone: Option<RequestId>) {
        self.0.running.store(lone.map_or(NONE, stored), Ordering::SeqCst);
    }

    /// Records that no step runs.
    pub(super) fn end(&self) {
        self.0.running.store(NONE, Ordering::SeqCst);
    }

    /// Aborts the running step if it serves this request and no other.
    pub(super) fn abort(&self, id: RequestId) {
        let id = stored(id);
        if self.0.running.load(Ordering::SeqCst) == id {
            self.0.aborted.store(id, Ordering::SeqCst);
        }
    }
}

fn stored(id: RequestId) -> u64 {
    id.0.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_aborts_only_a_step_that_serves_it_alone() {
        let abort = Abort::default();
        let (one, other) = (RequestId(0), RequestId(1));
        abort.abort(one);
        assert!(!abort.is_raised(), "no step runs");
        abort.begin(None);
        abort.abort(one);
        assert!(!abort.is_raised(), "the step is shared");
        abort.begin(Some(other));
        abort.abort(one);
        assert!(!abort.is_raised(), "the step serves another request");
        abort.begin(Some(one));
        assert!(!abort.is_raised(), "what came too early is forgotten");
        abort.abort(one);
        assert!(abort.is_raised());
        abort.begin(Some(other));
        assert!(!abort.is_raised(), "the abort was for the step before");
        abort.begin(None);
        assert!(!abort.is_raised());
    }

    #[test]
    fn raising_aborts_every_step_until_it_is_lowered() {
        let flag = Arc::new(AtomicBool::new(false));
        let abort = Abort::of(Arc::clone(&flag));
        abort.begin(None);
        flag.store(true, Ordering::Relaxed);
        assert!(abort.is_raised());
        abort.lower();
        assert!(!abort.is_raised() && !flag.load(Ordering::Relaxed));
        abort.raise();
        assert!(abort.clone().is_raised() && abort.signal().is_raised());
    }
}
