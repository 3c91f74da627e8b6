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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llama::caps;
    use crate::llama::kernel_tests::default_version;

    /// ggml's numbers of `Q4_0`, `Q4_1`, `Q5_0` and `Q8_0`, and the patches that have their kernels.
    const TYPES: [(u32, &str); 4] = [
        (2, "0005-multiply-on-the-file"),
        (3, "0010-multiply-q4-1-and-q5-0-on-the-file"),
        (6, "0010-multiply-q4-1-and-q5-0-on-the-file"),
        (8, "0005-multiply-on-the-file"),
    ];

    #[test]
    fn the_engine_has_the_kernels_of_its_patches() {
        let _version = default_version();
        let (patches, kernels) = (caps().patches, kernels());
        let has = |patch: &str| patches.iter().any(|name| name == patch);
        if !has(TYPES[0].1) {
            assert_eq!(kernels, None);
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512vnni") {
            let found = kernels.as_ref().expect("this processor has the instructions");
            for (ty, patch) in TYPES {
                assert_eq!(found.types.contains(&ty), has(patch), "{ty}: {found:?}");
            }
        }
        if let Some(Kernels { isa, types }) = kernels {
            assert!(!isa.is_empty() && types.iter().all(|ty| *ty < sys::GGML_TYPE_COUNT), "{isa} {types:?}");
        }
    }
}
