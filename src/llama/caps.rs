//! What the engine was built with: code that relies on a patch asks here.
#![expect(unsafe_code, reason = "reads a text that a patch of ours lends")]

use std::ffi::CStr;

use llama_cpp_sys_2 as sys;

use super::{backend, rpc};

/// The release of llama.cpp that is pinned.
const BUILD: &str = "b11434";

/// What the engine was built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineCaps {
    /// The release of llama.cpp.
    pub build: &'static str,
    /// The patches of ours that it has, in order.
    pub patches: Vec<String>,
    /// Instruction sets and libraries it was compiled with, in its own words.
    pub features: Vec<String>,
    /// What it can compute with: `CPU`, `CUDA`, `RPC`.
    pub backends: Vec<String>,
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
    EngineCaps { build: BUILD, patches, features: features(), backends: backends(), rpc: rpc::is_built() }
}

/// llama.cpp tells these as `CPU : AVX = 1 | AVX2 = 1 | ... |`.
fn features() -> Vec<String> {
    backend::backend();
    // SAFETY: the text ends with a zero; it is llama.cpp's own until the next such call, and copied before.
    let text = unsafe { CStr::from_ptr(sys::llama_print_system_info()) }.to_string_lossy().into_owned();
    let on = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let name = name.rsplit(':').next()?.trim();
        (value.trim() != "0").then(|| name.to_owned())
    };
    text.split('|').filter_map(on).collect()
}

fn backends() -> Vec<String> {
    backend::backend();
    // SAFETY: takes nothing.
    let count = unsafe { sys::ggml_backend_reg_count() };
    (0..count)
        .map(|index| {
            // SAFETY: the index is below the count, and names end with a zero and live as long as the process.
            let name =
                unsafe { CStr::from_ptr(sys::ggml_backend_reg_name(sys::ggml_backend_reg_get(index))) };
            name.to_string_lossy().into_owned()
        })
        .collect()
}
