//! What is printed when a fault ends the process: the devices in use, whose drivers run in this process.
#![expect(unsafe_code, reason = "handles signals of faults, which the safe interface refuses")]

use std::os::fd::BorrowedFd;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Once, OnceLock};

use signal_hook::consts::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
use signal_hook::low_level::emulate_default_handler;

/// Makes the text for some devices; for none, their drivers are being started.
static TEXT: OnceLock<fn(&[String]) -> String> = OnceLock::new();

/// The text of the devices in use; null without any. Texts are leaked: a handler may read one at any time.
static CURRENT: AtomicPtr<String> = AtomicPtr::new(ptr::null_mut());

/// Calls a function for the text to print if a fault ends the process while devices besides the CPU are in use. It gets
/// their names, or none while their drivers are started.
///
/// Does nothing after the first call. Handlers are installed only when the first driver is started, because they replace
/// Rust's handler for stack overflows.
pub fn on_crash(text: fn(&[String]) -> String) {
    TEXT.get_or_init(|| text);
}

/// Installs the handlers, once.
fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        for signal in [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV] {
            // SAFETY: the action only loads an atomic, writes to a file descriptor and restores the default action, which
            // are all safe in a handler. Handlers that were installed before are called first.
            let registered =
                unsafe { signal_hook_registry::register_unchecked(signal, move |_| crashed(signal)) };
            if let Err(error) = registered {
                tracing::warn!(%error, "cannot handle faults");
            }
        }
    });
}

/// Devices in use until it is dropped.
#[derive(Debug)]
pub(super) struct InUse(*mut String);

impl InUse {
    /// Replaces the devices in use.
    pub(super) fn these(devices: &[String]) -> Self {
        Self(set(devices))
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        CURRENT.store(self.0, Ordering::Release);
    }
}

/// Sets the devices in use, for good.
pub(super) fn uses(devices: &[String]) {
    set(devices);
}

fn set(devices: &[String]) -> *mut String {
    match TEXT.get() {
        Some(text) => {
            install();
            CURRENT.swap(Box::into_raw(Box::new(text(devices))), Ordering::AcqRel)
        }
        None => CURRENT.load(Ordering::Acquire),
    }
}

fn crashed(signal: i32) {
    let text = CURRENT.load(Ordering::Acquire);
    if !text.is_null() {
        // SAFETY: texts are leaked and never changed.
        let text = unsafe { &*text };
        // SAFETY: nothing closes standard error.
        let stderr = unsafe { BorrowedFd::borrow_raw(2) };
        #[expect(clippy::let_underscore_must_use, reason = "there is nowhere to report a failure")]
        let _ = rustix::io::write(stderr, text.as_bytes());
        CURRENT.store(ptr::null_mut(), Ordering::Release);
    }
    // Ends the process, so nothing is left of an error.
    drop(emulate_default_handler(signal));
}
