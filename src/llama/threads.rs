//! How llama.cpp's threads share the work of an operation.
#![expect(unsafe_code, reason = "calls C functions by name")]

use std::ffi::{CStr, c_void};
use std::mem;

use super::backend;

/// The functions of our patches that set it: for the operations of llama.cpp, and for the kernels of matrix products.
const SETTERS: [&CStr; 2] = [c"ggrun_threads_set_uneven", c"ggrun_mul_mat_draw_shares"];

/// Makes threads take small pieces of work one after another, for cores that differ in speed: equal shares would make fast
/// cores wait for slow ones. Does nothing once compute threads may exist, or in an engine without our patches.
pub fn share_by_pieces() {
    for name in SETTERS {
        let Some(found) = backend::procedure(c"CPU", name) else { continue };
        // SAFETY: under these names our patches return functions of this type; the program has them as long as it runs.
        let set = unsafe { mem::transmute::<*mut c_void, unsafe extern "C" fn(bool)>(found) };
        // SAFETY: it stores the value. Threads that compute an operation must agree on it: none exists yet, and every
        // call that makes them waits for this one.
        backend::before_threads(|| unsafe { set(true) });
    }
}
