//! Asks a device whether it multiplies by a matrix, as llama.cpp does before it places one there.
#![expect(unsafe_code, reason = "builds a node of ggml, which the binding does not export")]

use llama_cpp_sys_2 as sys;

use super::crash::InUse;
use super::{busy, devices, probe};

/// Columns of the other factor, as llama.cpp asks: the tokens of its default micro-batch.
const TOKENS: i64 = 512;

/// A matrix, or several of one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Matrix {
    /// ggml's number of the type.
    pub ty: u32,
    /// Values of a row.
    pub columns: u64,
    /// Rows of a matrix.
    pub rows: u64,
    /// The number of matrices.
    pub count: u64,
    /// The number of experts of a token, if the matrices are experts.
    pub experts_used: Option<u32>,
}

/// Whether a device multiplies by a matrix. llama.cpp leaves other matrices in main memory, without a message. It assumes
/// that workers multiply by every matrix. True for a device that does not exist, and false for a matrix that cannot exist.
#[must_use]
pub fn multiplies(device: &str, matrix: &Matrix) -> bool {
    devices::find(device).is_none_or(|device| {
        let _in_use = InUse::these(&[devices::label(device)]);
        busy::calling(|| asked(device, matrix)).unwrap_or(false)
    })
}

/// `None` if there is no memory, or no such matrix.
fn asked(device: sys::ggml_backend_dev_t, matrix: &Matrix) -> Option<bool> {
    let Matrix { ty, experts_used, .. } = *matrix;
    let positive = |size: u64| i64::try_from(size).ok().filter(|size| *size > 0);
    let (columns, rows, count) = (positive(matrix.columns)?, positive(matrix.rows)?, positive(matrix.count)?);
    if ty >= sys::GGML_TYPE_COUNT {
        return None;
    }
    // The other factor and the result have this many vectors. ggml ends the process if a size overflows.
    let used = i64::from(experts_used.unwrap_or(1).max(1));
    let vectors = used.checked_mul(TOKENS)?.checked_mul(count)?;
    columns.max(rows).checked_mul(vectors)?.checked_mul(4)?;
    columns.checked_mul(rows)?.checked_mul(count)?.checked_mul(4)?;
    // SAFETY: the type is one of ggml's.
    let block = unsafe { sys::ggml_blck_size(ty) };
    if block < 1 || columns % block != 0 {
        return None;
    }
    // SAFETY: the device comes from the registry.
    let buffer = unsafe { sys::ggml_backend_dev_buffer_type(device) };
    if buffer.is_null() {
        return None;
    }
    let context = probe::context(4);
    if context.is_null() {
        return None;
    }
    // SAFETY: the context is valid and has room for these four tensors, which have no data. The sizes are positive, a row is
    // of whole blocks, and the factors have as many columns and matrices as the operation requires. The buffer of no bytes
    // is freed before the context, and the device only reads the node.
    unsafe {
        let matrices = sys::ggml_new_tensor_3d(context, ty, columns, rows, count);
        (*matrices).buffer = sys::ggml_backend_buft_alloc_buffer(buffer, 0);
        let node = if experts_used.is_some() {
            let other = sys::ggml_new_tensor_3d(context, sys::GGML_TYPE_F32, columns, used, TOKENS);
            let chosen = sys::ggml_new_tensor_2d(context, sys::GGML_TYPE_I32, used, TOKENS);
            sys::ggml_mul_mat_id(context, matrices, other, chosen)
        } else {
            let other = sys::ggml_new_tensor_3d(context, sys::GGML_TYPE_F32, columns, TOKENS, count);
            sys::ggml_mul_mat(context, matrices, other)
        };
        let can = sys::ggml_backend_dev_supports_op(device, node);
        sys::ggml_backend_buffer_free((*matrices).buffer);
        sys::ggml_free(context);
        Some(can)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ggml's number of the type.
    const Q4_0: u32 = 2;

    #[test]
    fn the_cpu_multiplies_by_weights() {
        let dense = Matrix { ty: Q4_0, columns: 2048, rows: 512, count: 1, experts_used: None };
        assert!(multiplies("CPU", &dense));
        assert!(multiplies("CPU", &Matrix { count: 512, experts_used: Some(10), ..dense }));
        assert!(multiplies("CPU", &Matrix { columns: 1 << 20, rows: 1 << 20, ..dense }));
        assert!(multiplies("CUDA99", &Matrix { ty: u32::MAX, ..dense }), "not there");
    }

    #[test]
    fn impossible_matrices_are_not_multiplied_by() {
        let some = Matrix { ty: Q4_0, columns: 2048, rows: 512, count: 1, experts_used: None };
        for matrix in [
            Matrix { ty: u32::MAX, ..some },
            Matrix { ty: 4, ..some },
            Matrix { columns: 2047, ..some },
            Matrix { columns: 0, ..some },
            Matrix { rows: 0, ..some },
            Matrix { rows: u64::MAX, ..some },
            Matrix { rows: 1 << 62, ..some },
            Matrix { rows: 1 << 50, count: 32, ..some },
            Matrix { count: 1 << 62, experts_used: Some(u32::MAX), ..some },
        ] {
            assert!(!multiplies("CPU", &matrix), "{matrix:?}");
        }
    }
}
