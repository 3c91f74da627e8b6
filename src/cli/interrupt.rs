//! Ctrl-C as a value: the first asks the work to stop, the second ends the process.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// A flag that is set when the user or the system asks the process to stop.
pub(crate) fn flag() -> &'static AtomicBool {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let handler = || {
            if STOP.swap(true, Ordering::Relaxed) {
                #[expect(clippy::exit, clippy::disallowed_methods, reason = "the second Ctrl-C means now")]
                std::process::exit(130);
            }
        };
        // Without a handler Ctrl-C ends the process at once, which leaves nothing broken either.
        drop(ctrlc::set_handler(handler));
    });
    &STOP
}
