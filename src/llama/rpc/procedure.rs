//! Functions of llama.cpp's RPC. The binding lacks them; llama.cpp's registry has them by name.
#![expect(unsafe_code, reason = "calls C functions by name")]

use std::ffi::{CStr, c_void};

use llama_cpp_sys_2 as sys;

use crate::llama::backend;

/// Whether llama.cpp was built with RPC.
pub(in crate::llama) fn is_built() -> bool {
    procedure(c"ggml_backend_rpc_add_server").is_some()
}

/// A function of llama.cpp's RPC by its name.
pub(in crate::llama) fn procedure(name: &CStr) -> Option<*mut c_void> {
    backend::backend();
    let _registry = backend::registry();
    // SAFETY: the registry is filled and does not change meanwhile, and the names end with a zero.
    let found = unsafe {
        let registry = sys::ggml_backend_reg_by_name(c"RPC".as_ptr());
        if registry.is_null() {
            return None;
        }
        sys::ggml_backend_reg_get_proc_address(registry, name.as_ptr())
    };
    (!found.is_null()).then_some(found)
}
