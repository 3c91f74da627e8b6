//! Functions of llama.cpp's RPC, by name.

use std::ffi::{CStr, c_void};

use crate::llama::backend;

/// Whether llama.cpp was built with RPC.
pub(in crate::llama) fn is_built() -> bool {
    procedure(c"ggml_backend_rpc_add_server").is_some()
}

/// A function of llama.cpp's RPC by its name.
pub(in crate::llama) fn procedure(name: &CStr) -> Option<*mut c_void> {
    backend::procedure(c"RPC", name)
}
