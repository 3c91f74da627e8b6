//! How llama.cpp's threads share the work of an operation.
#![expect(unsafe_code, reason = "calls a C function by name")]

use std::ffi::c_void;
use std::mem;

use llama_cpp_sys_2 as sys;

use super::backend;

/// Tells llama.cpp whether cores differ in speed. Threads then take small pieces of work one after another; equal shares
/// would make fast cores wait for slow ones. Does nothing in an engine without our patch.
pub fn set_uneven_cores(uneven: bool) {
    let Some(found) = procedure() else { return };
    // SAFETY: under this name our patch returns a function of this type; the program has it as long as it runs.
    let set = unsafe { mem::transmute::<*mut c_void, unsafe extern "C" fn(bool)>(found) };
    // SAFETY: it stores the value in an atomic, which compute threads may read meanwhile.
    unsafe { set(uneven) };
}

fn procedure() -> Option<*mut c_void> {
    backend::backend();
    let _registry = backend::registry();
    // SAFETY: the registry is filled and does not change meanwhile, and the names end with a zero.
    let found = unsafe {
        let registry = sys::ggml_backend_reg_by_name(c"CPU".as_ptr());
        if registry.is_null() {
            return None;
        }
        sys::ggml_backend_reg_get_proc_address(registry, c"ggrun_threads_set_uneven".as_ptr())
    };
    (!found.is_null()).then_some(found)
}
