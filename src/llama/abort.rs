//! What happens when llama.cpp aborts the process: its message goes to a function of the caller, and no debugger is started.
#![expect(unsafe_code, reason = "sets a variable of the environment and a callback of ggml")]

use std::ffi::{CStr, c_char};
use std::sync::OnceLock;

use llama_cpp_sys_2 as sys;

/// Called with ggml's message.
static HANDLER: OnceLock<fn(&str)> = OnceLock::new();

/// Calls a function with ggml's message before ggml aborts the process; it may end the process itself. By default ggml
/// prints the message and starts a debugger for a backtrace, which takes long and may hang.
///
/// Does nothing after the first call, or if the process has several threads: call it before any are started.
pub fn on_abort(handler: fn(&str)) {
    if threads() != Some(1) || HANDLER.set(handler).is_err() {
        return;
    }
    // SAFETY: no other thread exists that could read the environment meanwhile.
    unsafe { std::env::set_var("GGML_NO_BACKTRACE", "1") };
    // SAFETY: ggml keeps the pointer of a function that lives as long as the process. It is written to a global without a
    // lock, and no other thread exists that could read it meanwhile.
    unsafe { sys::ggml_set_abort_callback(Some(report)) };
}

/// The threads of this process; `None` if the system does not say.
fn threads() -> Option<usize> {
    std::fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}

/// ggml calls this with a text of its own. It aborts the process afterwards, and a panic in here does so too.
unsafe extern "C" fn report(message: *const c_char) {
    if let Some(handler) = HANDLER.get()
        && !message.is_null()
    {
        // SAFETY: ggml passes a buffer that it filled by `snprintf`, which ends the text with a zero.
        let message = unsafe { CStr::from_ptr(message) };
        handler(&message.to_string_lossy());
    }
}
