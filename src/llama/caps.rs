//! What llama.cpp was built with: release, patches, instruction sets, backends.
#![expect(unsafe_code, reason = "reads texts of llama.cpp")]

use std::ffi::CStr;
use std::sync::{Mutex, PoisonError};

use llama_cpp_sys_2 as sys;

use super::kernels::{Kernels, kernels};
use super::{backend, rpc};

/// The pinned release of llama.cpp.
const BUILD: &str = "b11434";

/// What llama.cpp was built with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineCaps {
    /// Its release.
    pub build: &'static str,
    /// Our patches in it, in order.
    pub patches: Vec<String>,
    /// Instruction sets and libraries it was compiled with, by its own names.
    pub features: Vec<String>,
    /// Its backends: `CPU`, `CUDA`, `RPC`.
    pub backends: Vec<String>,
    /// Its kernels for weights in the layout of the file.
    pub kernels: Option<Kernels>,
    /// Whether it has RPC, to use workers or to be one.
    pub rpc: bool,
}

/// What llama.cpp was built with.
#[must_use]
pub fn caps() -> EngineCaps {
    let names = rpc::procedure(c"ggrun_patches").map(|text| {
        // SAFETY: under this name our first patch returns a string literal.
        unsafe { CStr::from_ptr(text.cast_const().cast()) }.to_string_lossy()
    });
    let patches = names.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    EngineCaps {
        build: BUILD,
        patches,
        features: features(),
        backends: backends(),
        kernels: kernels(),
        rpc: rpc::is_built(),
    }
}

/// llama.cpp prints these as `CPU : AVX = 1 | AVX2 = 1 | ... |`.
fn features() -> Vec<String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    backend::backend();
    let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let registry = backend::registry();
    // SAFETY: llama.cpp fills a static string in this call and returns its text, which ends with a zero. The lock keeps
    // other calls away until it is copied; nothing else calls the function.
    let text = unsafe { CStr::from_ptr(sys::llama_print_system_info()) }.to_string_lossy().into_owned();
    drop((guard, registry));
    let on = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let name = name.rsplit(':').next()?.trim();
        (value.trim() != "0").then(|| name.to_owned())
    };
    text.split('|').filter_map(on).collect()
}

fn backends() -> Vec<String> {
    backend::backend();
    let _registry = backend::registry();
    // SAFETY: takes nothing, and `backend` has filled the registry.
    let count = unsafe { sys::ggml_backend_reg_count() };
    (0..count)
        .map(|index| {
            // SAFETY: the index is below the count, which the guard keeps, and names live as long as the process.
            let name =
                unsafe { CStr::from_ptr(sys::ggml_backend_reg_name(sys::ggml_backend_reg_get(index))) };
            name.to_string_lossy().into_owned()
        })
        .collect()
}
