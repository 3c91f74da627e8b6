//! Totals of a state cache, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since the state cache was opened. They are read from any thread.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) saved: AtomicU64,
    pub(super) restored: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) bytes: AtomicU64,
}

/// A snapshot of [`Counters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// States that were written.
    pub states_saved: u64,
    /// States that were restored.
    pub states_restored: u64,
    /// Files that were refused as damaged.
    pub states_refused: u64,
    /// Bytes of all files in the folder, as of the last look.
    pub bytes: u64,
}

impl Counters {
    /// The present totals.
    #[must_use]
    pub fn get(&self) -> Counted {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            states_saved: of(&self.saved),
            states_restored: of(&self.restored),
            states_refused: of(&self.refused),
            bytes: of(&self.bytes),
        }
    }
}
