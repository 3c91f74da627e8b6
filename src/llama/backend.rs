//! llama.cpp is started once per process and never stopped.
#![expect(unsafe_code, reason = "calls C functions that the binding keeps to itself")]

use std::sync::{Mutex, MutexGuard, Once, OnceLock, PoisonError};

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::{LogOptions, send_logs_to_tracing};

use super::Numa;

/// The backend, started by whoever asks first; its log goes to tracing from then on.
pub(super) fn backend() -> &'static LlamaBackend {
    static BACKEND: OnceLock<LlamaBackend> = OnceLock::new();
    BACKEND.get_or_init(|| {
        send_logs_to_tracing(LogOptions::default());
        LlamaBackend::init().expect("only this function starts the backend, and only once")
    })
}

/// Says how threads and memory are shared out between nodes. The first call counts: llama.cpp takes it once.
pub fn share_out(numa: Numa) {
    static DONE: Once = Once::new();
    backend();
    // SAFETY: the backend is there; called once, and before any thread of ggml is.
    DONE.call_once(|| unsafe { llama_cpp_sys_2::llama_numa_init(numa.raw()) });
}

/// Held while a context is made: llama.cpp may write to the model then.
pub(super) fn one_context_at_a_time() -> MutexGuard<'static, ()> {
    static MAKING: Mutex<()> = Mutex::new(());
    MAKING.lock().unwrap_or_else(PoisonError::into_inner)
}
