//! What the engine was built with: code that relies on a patch asks here.
#![expect(unsafe_code, reason = "reads a text that a patch of ours lends")]

use std::ffi::CStr;

use super::rpc;

/// The release of llama.cpp that is pinned.
const BUILD: &str = "b11434";

/// What the engine was built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineCaps {
    /// The release of llama.cpp.
    pub build: &'static str,
    /// The patches of ours that it has, in order.
    pub patches: Vec<String>,
    /// Whether it can use workers and be one.
    pub rpc: bool,
}

/// What the engine was built with.
#[must_use]
pub fn caps() -> EngineCaps {
    let names = rpc::procedure(c"ggrun_patches").map(|text| {
        // SAFETY: under this name a patch of ours lends a text that ends with a zero and lives as long as the process.
        unsafe { CStr::from_ptr(text.cast_const().cast()) }.to_string_lossy()
    });
    let patches = names.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    EngineCaps { build: BUILD, patches, rpc: rpc::is_built() }
}
