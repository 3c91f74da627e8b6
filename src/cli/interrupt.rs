//! Ctrl-C and termination ask for an orderly end: a load stops, an answer is cancelled. Asked a second time the
//! process ends at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ggrun::engine::Canceller;

/// The user stopped it; the exit code is 130.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// Whether the user asked for an end, and what is to be cancelled then. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    hit: Arc<AtomicBool>,
    target: Arc<Mutex<Option<Canceller>>>,
}

impl Interrupt {
    /// The process's own, listening from the first call on.
    pub(crate) fn listen() -> Self {
        static INTERRUPT: OnceLock<Interrupt> = OnceLock::new();
        INTERRUPT
            .get_or_init(|| {
                let interrupt = Self::default();
                let heard = interrupt.clone();
                if let Err(error) = ctrlc::set_handler(move || heard.raise()) {
                    tracing::warn!(%error, "cannot listen for Ctrl-C");
                }
                interrupt
            })
            .clone()
    }

    /// The same as a flag, for work that looks at one.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.hit
    }

    /// Whether the user asked for an end.
    pub(crate) fn is_raised(&self) -> bool {
        self.hit.load(Ordering::Relaxed)
    }

    /// Cancels this from now on; at once if the user asked before.
    pub(crate) fn aim(&self, canceller: Canceller) {
        let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_raised() {
            canceller.cancel();
        }
        *target = Some(canceller);
    }

    fn raise(&self) {
        let target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        if self.hit.swap(true, Ordering::Relaxed) {
            #[expect(clippy::exit, clippy::disallowed_methods, reason = "asked a second time: now")]
            std::process::exit(130);
        }
        if let Some(canceller) = target.as_ref() {
            canceller.cancel();
        }
    }
}
