//! Plain floats.

use half::{bf16, f16};

use crate::safetensors::Dtype;

/// Rounds `values` to a float dtype. Returns the bytes and the rounded values.
pub fn plain(dtype: Dtype, values: &[f64]) -> (Vec<u8>, Vec<f32>) {
    let mut data = Vec::with_capacity(values.len() * dtype.size());
    let mut exact = Vec::with_capacity(values.len());
    for &value in values {
        match dtype {
            Dtype::Bf16 => {
                let value = bf16::from_f64(value);
                data.extend(value.to_le_bytes());
                exact.push(value.to_f32());
            }
            Dtype::F16 => {
                let value = f16::from_f64(value);
                data.extend(value.to_le_bytes());
                exact.push(value.to_f32());
            }
            Dtype::F32 => {
                data.extend((value as f32).to_le_bytes());
                exact.push(value as f32);
            }
            other => panic!("{} is not a float dtype", other.name()),
        }
    }
    (data, exact)
}
