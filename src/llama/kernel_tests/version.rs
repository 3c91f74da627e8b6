//! The versions of the matrix products of our patch, one for each instruction set.
#![expect(unsafe_code, reason = "calls C functions by name")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::{mem, ptr};

use gguf_export::ggml::GgmlType;

use crate::llama::backend;

/// Calls a function with each version that this CPU can use, while it is in use; with `upstream` if the engine lacks
/// the patch.
pub(super) fn each_version(mut test: impl FnMut(&str)) {
    let _alone = LOCK.write().unwrap_or_else(PoisonError::into_inner);
    if !is_patched() {
        return test("upstream");
    }
    let versions = versions();
    assert!(versions.iter().any(|name| name == "portable"), "{versions:?}");
    for name in versions {
        let _reset = Reset;
        assert!(choose(Some(&name)), "{name}");
        test(&name);
    }
}

/// Keeps the version from changing. Every test that computes a matrix product and does not choose the version holds
/// this.
pub(crate) fn default_version() -> RwLockReadGuard<'static, ()> {
    LOCK.read().unwrap_or_else(PoisonError::into_inner)
}

static LOCK: RwLock<()> = RwLock::new(());

/// Whether the engine has our matrix products.
pub(super) fn is_patched() -> bool {
    procedure(c"ggrun_mul_mat_set_isa").is_some()
}

/// Whether the version in use computes products of weights of this type.
pub(super) fn computes(ty: GgmlType) -> bool {
    let Some(function) = procedure(c"ggrun_mul_mat_can") else { return false };
    // SAFETY: the patch has this function under this name.
    unsafe {
        let function: unsafe extern "C" fn(c_int) -> bool = mem::transmute(function);
        function(c_int::try_from(ty.id()).expect("types have small numbers"))
    }
}

fn versions() -> Vec<String> {
    let Some(function) = procedure(c"ggrun_mul_mat_isas") else { return Vec::new() };
    // SAFETY: the patch has this function under this name. It returns string literals, and null past the last.
    unsafe {
        let function: unsafe extern "C" fn(c_int) -> *const c_char = mem::transmute(function);
        let names = (0..).map(|index| function(index)).take_while(|name| !name.is_null());
        names.map(|name| CStr::from_ptr(name).to_string_lossy().into_owned()).collect()
    }
}

/// Goes back to the default version, also when a test fails.
struct Reset;

impl Drop for Reset {
    fn drop(&mut self) {
        choose(None);
    }
}

fn choose(name: Option<&str>) -> bool {
    let name = name.map(|name| CString::new(name).expect("names have no zeros"));
    let Some(function) = procedure(c"ggrun_mul_mat_set_isa") else { return false };
    // SAFETY: the patch has this function under this name. It reads the text and keeps nothing of it, and the caller
    // holds the lock, so that nothing is computed meanwhile.
    unsafe {
        let function: unsafe extern "C" fn(*const c_char) -> bool = mem::transmute(function);
        function(name.as_ref().map_or(ptr::null(), |name| name.as_ptr()))
    }
}

/// A function that a patch adds to the CPU backend.
fn procedure(name: &CStr) -> Option<*mut c_void> {
    backend::procedure(c"CPU", name)
}
