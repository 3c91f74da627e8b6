//! Whether llama.cpp computes now, and since which call: some devices cannot be aborted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Calls that began.
static BEGUN: AtomicU64 = AtomicU64::new(0);
/// Calls that ended.
static ENDED: AtomicU64 = AtomicU64::new(0);

/// The number of the last call into llama.cpp that loads or computes, if any has not returned. Once it returns, the number
/// is another or absent.
#[must_use]
pub fn busy() -> Option<u64> {
    let ended = ENDED.load(Ordering::Acquire);
    let begun = BEGUN.load(Ordering::Acquire);
    (begun != ended).then_some(begun)
}

/// Runs a call into llama.cpp.
pub(super) fn calling<T>(call: impl FnOnce() -> T) -> T {
    struct Call;
    impl Drop for Call {
        fn drop(&mut self) {
            ENDED.fetch_add(1, Ordering::AcqRel);
        }
    }
    BEGUN.fetch_add(1, Ordering::AcqRel);
    let _call = Call;
    call()
}
