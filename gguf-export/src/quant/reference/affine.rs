//! Integer codes with a bias: `scale * code + bias`, rounded once to F32. MLX's own reader also rounds.

use std::ops::Range;

use super::rows::{Decoded, at, floats, nearest, read_rows};
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::quant::{Affine, Weight};

pub(super) fn decode(
    checkpoint: &Checkpoint,
    weight: &Weight,
    affine: &Affine,
    rows: Range<u64>,
) -> Result<Decoded> {
    let line = |(id, dtype): (_, crate::quant::Float)| -> Result<Vec<f64>> {
        Ok(floats(&read_rows(checkpoint, id, affine.groups * dtype.bytes(), &rows)?, dtype))
    };
    let (scales, biases) = (line(affine.scales)?, line(affine.biases)?);
    let bits = affine.bits as usize;
    let stride = checkpoint.info(affine.codes).bytes / weight.rows;
    let bytes = read_rows(checkpoint, affine.codes, stride, &rows)?;
    let mut out = Decoded::default();
    for (row, codes) in bytes.chunks_exact(at(stride)).enumerate() {
        for column in 0..at(weight.columns) {
            // Codes are 2, 4 or 8 bits wide and do not cross bytes.
            let byte = codes[column * bits / 8] >> (column * bits % 8);
            let code = f64::from(byte & u8::MAX.unbounded_shr(8 - affine.bits));
            let place = row * at(affine.groups) + column / at(affine.group);
            out.values.push(f64::from(nearest(scales[place] * code + biases[place])));
            out.scales.push(nearest(scales[place]));
        }
    }
    Ok(out)
}
