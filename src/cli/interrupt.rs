//! Ctrl-C and SIGTERM end a command cleanly: a load stops, an answer is cancelled. A second signal ends the process at
//! once, and so does the first where the engine does not return: no device can be made to stop compiling or computing.
//!
//! Not here: SIGHUP. By default it ends the process when the terminal closes, and `nohup` must be able to prevent that.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ggrun::engine::Canceller;
use ggrun::model::busy;
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

/// The exit code after Ctrl-C, which is 128 plus the signal's number; 143 after SIGTERM.
const INTERRUPTED: u8 = 130;

/// Time that a call into llama.cpp has to return after an interrupt. A step on the CPU is aborted within milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);
/// Interval at which it is checked.
const POLL: Duration = Duration::from_millis(20);

static INTERRUPT: OnceLock<Interrupt> = OnceLock::new();

/// The exit code of an interrupted process.
pub(crate) fn exit_code() -> ExitCode {
    ExitCode::from(code())
}

/// [`exit_code`] as a number.
pub(crate) fn code() -> u8 {
    let code = INTERRUPT.get().map_or(0, |interrupt| interrupt.code.load(Ordering::Relaxed));
    if code == 0 { INTERRUPTED } else { code }
}

/// The interrupt of the process and the request to cancel when it is raised. Clones share their state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    hit: Arc<AtomicBool>,
    /// The exit code of the first signal; 0 before it.
    code: Arc<AtomicU8>,
    target: Arc<Mutex<Option<Canceller>>>,
    /// Whether the command continues after Ctrl-C.
    continues: Arc<AtomicBool>,
    /// Whether the command ends by itself after a signal.
    drains: Arc<AtomicBool>,
}

impl Interrupt {
    /// The interrupt of this process. The first call installs the signal handlers.
    pub(crate) fn listen() -> Self {
        let start = || {
            let interrupt = Self::default();
            let shared = interrupt.clone();
            // SIGXFSZ would end the process; when handled, a write beyond the file size limit is an error instead.
            match Signals::new([SIGINT, SIGTERM, SIGXFSZ]) {
                Ok(mut signals) => drop(thread::spawn(move || {
                    signals
                        .forever()
                        .filter(|signal| *signal != SIGXFSZ)
                        .for_each(|signal| shared.raise(signal));
                })),
                Err(error) => tracing::warn!(%error, "cannot listen for Ctrl-C"),
            }
            interrupt
        };
        INTERRUPT.get_or_init(start).clone()
    }

    /// The flag that is set when the interrupt is raised.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.hit
    }

    /// The flag, shared.
    pub(crate) fn shared(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.hit)
    }

    /// Whether a signal arrived.
    pub(crate) fn is_raised(&self) -> bool {
        self.hit.load(Ordering::Relaxed)
    }

    /// Sets the request to cancel, and cancels it at once if the interrupt is raised already.
    pub(crate) fn aim(&self, canceller: Canceller) {
        let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_raised() {
            canceller.cancel();
        }
        *target = Some(canceller);
    }

    /// Lets the command continue after Ctrl-C: calls into llama.cpp then have any time.
    pub(crate) fn continue_after_ctrl_c(&self) {
        self.continues.store(true, Ordering::Relaxed);
    }

    /// Lets the command end by itself after a signal: calls into llama.cpp then have any time. A second signal still ends
    /// the process. With `false`, they have [`PATIENCE`] again, from now on.
    pub(crate) fn drain_after_signals(&self, drains: bool) {
        self.drains.store(drains, Ordering::Relaxed);
        if !drains && self.is_raised() {
            self.watch();
        }
    }

    /// Whether the process must end, because the signal was SIGTERM and not Ctrl-C.
    pub(crate) fn is_final(&self) -> bool {
        self.is_raised() && self.code.load(Ordering::Relaxed) != INTERRUPTED
    }

    /// Resets the interrupt after the cancelled work ended, so that the command can continue.
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
            // The second signal skips C++ destructors, because the engine may still be running.
            signal_hook::low_level::exit(code.into());
        }
        if let Some(canceller) = target.as_ref() {
            canceller.cancel();
        }
        let continues = self.continues.load(Ordering::Relaxed) && !self.is_final();
        if !continues && !self.drains.load(Ordering::Relaxed) {
            self.watch();
        }
    }

    fn watch(&self) {
        let watched = self.clone();
        // Without the thread, a second signal still ends the process.
        drop(thread::Builder::new().name("interrupt".to_owned()).spawn(move || watched.end_if_stuck()));
    }

    /// Ends the process once a call into llama.cpp has not returned for [`PATIENCE`]. Files get their names only when they
    /// are complete, and journals can end anywhere.
    fn end_if_stuck(&self) {
        let mut since = (busy(), Instant::now());
        while self.is_raised() && !self.drains.load(Ordering::Relaxed) {
            thread::sleep(POLL);
            let call = busy();
            if call.is_none() || call != since.0 {
                since = (call, Instant::now());
            } else if since.1.elapsed() >= PATIENCE {
                signal_hook::low_level::exit(code().into());
            }
        }
    }
}
