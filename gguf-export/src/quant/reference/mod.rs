//! The reference decoder: decodes each element separately, by the definition of its format. `verify` compares a GGUF
//! with it. It shares no code with `transcode`.

mod affine;
mod float;
mod int;
mod integers;
mod rows;

use std::ops::Range;

pub use integers::Integers;
pub use rows::Decoded;

use rows::{at, floats, nearest, read_all, read_rows};

use super::{Coding, Weight};
use crate::Result;
use crate::checkpoint::Checkpoint;

/// Decodes `rows` of a weight. The global scale of a microscaled tensor is not applied; see [`global_factor`].
///
/// # Errors
/// [`crate::Error::Io`] if the data cannot be read, [`crate::Error::Tensor`] if it contradicts its format.
pub fn decode(checkpoint: &Checkpoint, weight: &Weight, rows: Range<u64>) -> Result<Decoded> {
    match &weight.coding {
        Coding::Plain { values, dtype } => {
            let bytes = read_rows(checkpoint, *values, weight.columns * dtype.bytes(), &rows)?;
            Ok(Decoded { values: floats(&bytes, *dtype), scales: Vec::new() })
        }
        Coding::Int(coding) => int::decode(checkpoint, weight, coding, rows),
        Coding::Affine(coding) => affine::decode(checkpoint, weight, coding, rows),
        Coding::Fp8(coding) => float::fp8(checkpoint, weight, coding, rows),
        Coding::Micro(coding) => float::micro(checkpoint, weight, coding, rows),
    }
}

/// Like [`decode`], of some columns only; of plain floats, no others are read.
///
/// # Errors
/// As [`decode`].
pub fn decode_columns(
    checkpoint: &Checkpoint,
    weight: &Weight,
    rows: Range<u64>,
    columns: Range<u64>,
) -> Result<Vec<f64>> {
    let mut values = Vec::new();
    if let Coding::Plain { values: id, dtype } = weight.coding {
        let mut bytes = vec![0; at((columns.end - columns.start) * dtype.bytes())];
        for row in rows {
            checkpoint.read(id, (row * weight.columns + columns.start) * dtype.bytes(), &mut bytes)?;
            values.extend(floats(&bytes, dtype));
        }
        return Ok(values);
    }
    let decoded = decode(checkpoint, weight, rows)?;
    for row in decoded.values.chunks_exact(at(weight.columns)) {
        values.extend_from_slice(&row[at(columns.start)..at(columns.end)]);
    }
    Ok(values)
}

/// Like [`decode`], without the tensor-wide scale of FP8, which a GGUF may store separately; see [`global_factor`].
///
/// # Errors
/// As [`decode`].
pub fn decode_unscaled(checkpoint: &Checkpoint, weight: &Weight, rows: Range<u64>) -> Result<Decoded> {
    match &weight.coding {
        Coding::Fp8(coding) => float::fp8_elements(checkpoint, weight, coding, &rows),
        _ => decode(checkpoint, weight, rows),
    }
}

/// The tensor-wide scale in the form of the GGUF: a factor in F32. For FP8, the first scale; `None` for encodings
/// without such a scale.
///
/// # Errors
/// [`crate::Error::Io`] if it cannot be read.
pub fn global_factor(checkpoint: &Checkpoint, weight: &Weight) -> Result<Option<f32>> {
    match &weight.coding {
        Coding::Micro(micro) => float::factor(checkpoint, micro.global),
        Coding::Fp8(fp8) => {
            Ok(floats(&read_all(checkpoint, fp8.scale.0)?, fp8.scale.1).first().map(|&s| nearest(s)))
        }
        Coding::Plain { .. } | Coding::Int(_) | Coding::Affine(_) => Ok(None),
    }
}
