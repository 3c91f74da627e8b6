//! Ctrl-C and termination ask for an orderly end: a load stops, an answer is cancelled. Asked a second time the
//! process ends at once.
//!
//! Not here: SIGHUP. Its default ends the process when its terminal closes, and `nohup` must be able to prevent that.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ggrun::engine::Canceller;
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

/// The exit code after Ctrl-C: 128 and the signal's number, as shells count. 143 after SIGTERM.
const INTERRUPTED: u8 = 130;

static INTERRUPT: OnceLock<Interrupt> = OnceLock::new();

/// The exit code of a process that was asked to end.
pub(crate) fn exit_code() -> ExitCode {
    ExitCode::from(code())
}

/// The same as a number.
pub(crate) fn code() -> u8 {
    let code = INTERRUPT.get().map_or(0, |interrupt| interrupt.code.load(Ordering::Relaxed));
    if code == 0 { INTERRUPTED } else { code }
}

/// Whether the user asked for an end, and what is to be cancelled then. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    hit: Arc<AtomicBool>,
    /// The exit code that the first signal asks for; 0 before.
    code: Arc<AtomicU8>,
    target: Arc<Mutex<Option<Canceller>>>,
}

impl Interrupt {
    /// The process's own, listening from the first call on.
    pub(crate) fn listen() -> Self {
        let start = || {
            let interrupt = Self::default();
            let heard = interrupt.clone();
            // SIGXFSZ would end the process; once heard, a file that the system finds too large is an error.
            match Signals::new([SIGINT, SIGTERM, SIGXFSZ]) {
                Ok(mut signals) => drop(std::thread::spawn(move || {
                    signals
                        .forever()
                        .filter(|signal| *signal != SIGXFSZ)
                        .for_each(|signal| heard.raise(signal));
                })),
                Err(error) => tracing::warn!(%error, "cannot listen for Ctrl-C"),
            }
            interrupt
        };
        INTERRUPT.get_or_init(start).clone()
    }

    /// The same as a flag, for work that looks at one.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.hit
    }

    /// The same, for work that keeps it.
    pub(crate) fn shared(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.hit)
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

    /// Whether it was more than Ctrl-C: the process is to end, whatever it is doing.
    pub(crate) fn is_final(&self) -> bool {
        self.is_raised() && self.code.load(Ordering::Relaxed) != INTERRUPTED
    }

    /// Forgets that the user asked: what was to end has ended, and something else goes on.
    pub(crate) fn clear(&self) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.hit.store(false, Ordering::Relaxed);
    }

    fn raise(&self, signal: i32) {
        let target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        let code = 128 + u8::try_from(signal).unwrap_or(0);
        if !self.is_raised() {
            self.code.store(code, Ordering::Relaxed);
        }
        if self.hit.swap(true, Ordering::Relaxed) {
            // Asked a second time: now. Without the destructors of C++, under which the engine may still be at work.
            signal_hook::low_level::exit(code.into());
        }
        if let Some(canceller) = target.as_ref() {
            canceller.cancel();
        }
    }
}
