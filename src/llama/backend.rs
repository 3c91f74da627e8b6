//! llama.cpp is started once per process and never stopped; NUMA is set up before its first compute thread.
#![expect(unsafe_code, reason = "calls C functions that the binding does not export")]

use std::ffi::{CStr, c_void};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_sys_2 as sys;

use super::{Numa, log};

/// The backend, started by the first call; its log goes to tracing from then on.
pub(super) fn backend() -> &'static LlamaBackend {
    static BACKEND: OnceLock<LlamaBackend> = OnceLock::new();
    BACKEND.get_or_init(|| {
        log::send();
        LlamaBackend::init().expect("only this function starts the backend, and only once")
    })
}

/// llama.cpp's lists of backends and devices have no lock, and grow when a worker is connected. This lock is held by
/// everything here that reads them, including loading a model and creating a context; never across a call that takes it
/// again.
static REGISTRY: RwLock<()> = RwLock::new(());

/// Keeps the lists of backends and devices from changing.
pub(super) fn registry() -> RwLockReadGuard<'static, ()> {
    REGISTRY.read().unwrap_or_else(PoisonError::into_inner)
}

/// Lets the lists of backends and devices grow.
pub(super) fn registry_mut() -> RwLockWriteGuard<'static, ()> {
    REGISTRY.write().unwrap_or_else(PoisonError::into_inner)
}

/// A function or text of a backend, by its name: what only some builds have, and the binding does not export.
pub(super) fn procedure(of: &CStr, name: &CStr) -> Option<*mut c_void> {
    backend();
    let _registry = registry();
    // SAFETY: the registry is filled and does not change meanwhile, and the names end with a zero.
    let found = unsafe {
        let registry = sys::ggml_backend_reg_by_name(of.as_ptr());
        if registry.is_null() {
            return None;
        }
        sys::ggml_backend_reg_get_proc_address(registry, name.as_ptr())
    };
    (!found.is_null()).then_some(found)
}

/// Why NUMA cannot be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumaError {
    /// Compute threads exist, and read the setting.
    #[error("NUMA must be set up before the first model of the process computes")]
    TooLate,
    /// llama.cpp takes one setting per process.
    #[error("NUMA is set to `{}` for this process already", set.name())]
    Other {
        /// The setting in force.
        set: Numa,
    },
}

/// Sets how threads and memory are distributed over NUMA nodes, once per process.
///
/// # Errors
///
/// When it was set to another value, or a context or a worker of this process may already have compute threads.
pub fn set_numa(numa: Numa) -> Result<(), NumaError> {
    backend();
    let mut state = numa_state();
    let set = state.allows(numa)?;
    if set {
        let _registry = registry();
        // SAFETY: the CPU backend is registered, since `backend` has run. llama.cpp writes a global here that compute
        // threads read without a lock. There is none: every call that makes such threads is behind `making_threads` or
        // `close_numa`, which take the lock held here and close the state before.
        unsafe { sys::llama_numa_init(numa.raw()) };
    }
    Ok(())
}

/// Runs a function that creates a context, one at a time: llama.cpp may write to the model meanwhile. From then on,
/// compute threads exist.
pub(super) fn making_threads<T>(action: impl FnOnce() -> T) -> T {
    let mut state = numa_state();
    state.closed = true;
    let _registry = registry();
    action()
}

/// Runs a function unless compute threads may exist.
pub(super) fn before_threads(action: impl FnOnce()) {
    let state = numa_state();
    if !state.closed {
        action();
    }
}

/// Records that compute threads are about to exist.
pub(super) fn close_numa() {
    numa_state().closed = true;
}

/// The NUMA setting of the process.
#[derive(Debug, Default)]
struct NumaState {
    set: Option<Numa>,
    /// Whether compute threads may exist.
    closed: bool,
}

impl NumaState {
    /// Whether the setting must be made now; it counts as made from then on.
    fn allows(&mut self, numa: Numa) -> Result<bool, NumaError> {
        match self.set {
            Some(set) if set == numa => Ok(false),
            Some(set) => Err(NumaError::Other { set }),
            None if self.closed => Err(NumaError::TooLate),
            None => {
                self.set = Some(numa);
                Ok(true)
            }
        }
    }
}

fn numa_state() -> MutexGuard<'static, NumaState> {
    static STATE: Mutex<NumaState> = Mutex::new(NumaState { set: None, closed: false });
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numa_is_set_once_and_before_the_first_compute_thread() {
        let mut state = NumaState::default();
        assert_eq!(state.allows(Numa::Isolate), Ok(true));
        assert_eq!(state.allows(Numa::Isolate), Ok(false), "llama.cpp is called once");
        assert_eq!(state.allows(Numa::Distribute), Err(NumaError::Other { set: Numa::Isolate }));
        state.closed = true;
        assert_eq!(state.allows(Numa::Isolate), Ok(false));
        let mut late = NumaState { set: None, closed: true };
        assert_eq!(late.allows(Numa::Isolate), Err(NumaError::TooLate));
    }

    #[test]
    fn after_a_context_was_made_numa_is_refused() {
        assert_eq!(making_threads(|| 7), 7);
        assert_eq!(set_numa(Numa::Isolate), Err(NumaError::TooLate));
    }
}
