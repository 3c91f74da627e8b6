//! From which batch on a GPU copies weights of main memory to compute with them, which our patch makes a setting.
#![expect(unsafe_code, reason = "calls a C function by name")]

use std::ffi::{c_int, c_void};

use super::backend;

/// Rows of a batch from which llama.cpp copies weights without our patch (`op_offload_min_batch_size`).
pub const COPIES_FROM: u32 = 32;

type SetRows = unsafe extern "C" fn(c_int);

/// Whether this build of llama.cpp can start at another batch than [`COPIES_FROM`].
#[must_use]
pub fn can_set_copies() -> bool {
    function().is_some()
}

/// Sets the rows for contexts that are created from now on.
pub(super) fn set_copies_from(rows: u32) {
    if let Some(function) = function() {
        // SAFETY: under this name our patch has a function of this type, which stores the number.
        unsafe { function(c_int::try_from(rows).unwrap_or(c_int::MAX)) };
    }
}

fn function() -> Option<SetRows> {
    let found = backend::procedure(c"CPU", c"ggrun_op_offload_rows")?;
    // SAFETY: under this name our patch has a function of this type.
    Some(unsafe { std::mem::transmute::<*mut c_void, SetRows>(found) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llama::caps;

    #[test]
    fn the_engine_starts_copies_at_any_batch() {
        let is_patched = caps().patches.iter().any(|name| name == "0013-offload-from-a-batch-size");
        assert_eq!(can_set_copies(), is_patched);
    }
}
