//! Kernels of our patches that multiply weights in the layout of the file: nothing is repacked for them.
#![expect(unsafe_code, reason = "calls C functions by name")]

use std::ffi::{CStr, c_char, c_int, c_void};

use llama_cpp_sys_2 as sys;

use super::backend;

/// The weights that the CPU multiplies fast in the layout of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernels {
    /// The version in use, by the instruction set that it needs, such as `avx512-vnni`.
    pub isa: String,
    /// ggml's numbers of the types that it takes.
    pub types: Vec<u32>,
}

type Isa = unsafe extern "C" fn() -> *const c_char;
type Can = unsafe extern "C" fn(c_int) -> bool;

/// The kernels of this build on this processor; `None` without our patch, or if the processor lacks every instruction set
/// that they are written for.
#[must_use]
pub fn kernels() -> Option<Kernels> {
    let isa = backend::procedure(c"CPU", c"ggrun_mul_mat_isa")?;
    let can = backend::procedure(c"CPU", c"ggrun_mul_mat_can")?;
    // SAFETY: under these names our patch returns functions of these types.
    let (isa, can) = unsafe {
        (std::mem::transmute::<*mut c_void, Isa>(isa), std::mem::transmute::<*mut c_void, Can>(can))
    };
    // SAFETY: takes nothing, and returns null or a string literal.
    let name = unsafe { isa() };
    if name.is_null() {
        return None;
    }
    // SAFETY: see above.
    let isa = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
    let takes = |ty: &u32| {
        // SAFETY: the number is below that of types, and the function only compares it.
        c_int::try_from(*ty).is_ok_and(|ty| unsafe { can(ty) })
    };
    let types: Vec<u32> = (0..sys::GGML_TYPE_COUNT).filter(takes).collect();
    (!types.is_empty()).then_some(Kernels { isa, types })
}
