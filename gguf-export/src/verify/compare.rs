//! One tile, or the metadata, of both ends side by side.

use std::fmt;
use std::ops::Range;

use super::{Opened, Report};
use crate::arch::Map;
use crate::checkpoint::Checkpoint;
use crate::ggml::{self, GgmlType};
use crate::gguf::{Header, Value, keys};
use crate::io::ByteSource;
use crate::plan::{Content, Fidelity, Form, Plan, TensorPlan};
use crate::quant::{Coding, Global, reference};
use crate::{Error, Result};

/// Something that is not as the checkpoint says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Difference {
    /// A value.
    Value {
        /// The tensor's GGUF name.
        tensor: String,
        /// Row over all but the fastest dimension.
        row: u64,
        /// Place in the row.
        column: u64,
        /// What the checkpoint says.
        expected: f64,
        /// What the GGUF says.
        found: f64,
    },
    /// The scale of a block whose values are all zero either way.
    Scale {
        /// The tensor's GGUF name.
        tensor: String,
        /// Row over all but the fastest dimension.
        row: u64,
        /// First place of the block in the row.
        column: u64,
        /// What the checkpoint says.
        expected: f32,
        /// What the GGUF says.
        found: f32,
    },
    /// A tensor as a whole.
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// A metadata key.
    Key {
        /// The key.
        key: String,
        /// What the checkpoint says.
        expected: String,
        /// What the GGUF says.
        found: String,
    },
}

impl Difference {
    /// The tensor or the key.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Value { tensor: name, .. }
            | Self::Scale { tensor: name, .. }
            | Self::Tensor { name, .. } => name,
            Self::Key { key, .. } => key,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { tensor, row, column, expected, found } => {
                write!(
                    f,
                    "tensor `{tensor}`, row {row}, column {column}: checkpoint {expected:e}, GGUF {found:e}"
                )
            }
            Self::Scale { tensor, row, column, expected, found } => write!(
                f,
                "tensor `{tensor}`, row {row}, column {column}: scale in the checkpoint {expected:e}, in the GGUF {found:e}"
            ),
            Self::Tensor { name, what } => write!(f, "tensor `{name}`: {what}"),
            Self::Key { key, expected, found } => {
                write!(f, "metadata `{key}`: checkpoint {expected}, GGUF {found}")
            }
        }
    }
}

/// Compares some rows of a tensor.
pub(super) fn rows(
    checkpoint: &Checkpoint,
    plan: &Plan,
    tensor: &TensorPlan,
    file: &Opened<'_>,
    rows: Range<u64>,
) -> Result<Report> {
    let mut report = Report::default();
    let stored = read(tensor, file, &rows)?;
    if tensor.content == Content::Factors {
        factors(checkpoint, plan, tensor, &stored, &mut report)?;
        return Ok(report);
    }
    let row_bytes = at(tensor.row_bytes());
    let mut line = 0;
    let mut first = 0;
    let mut values = vec![0f32; at(tensor.columns())];
    for piece in &tensor.pieces {
        let last = first + piece.rows;
        let (from, to) = (rows.start.max(first), rows.end.min(last));
        if from < to {
            let weight = &plan.weights[piece.weight as usize];
            let source = piece.start + from - first..piece.start + to - first;
            let decoded = if tensor.candidates[0].form == Form::Values {
                let mut decoded = reference::decode(checkpoint, weight, source)?;
                apply_global(checkpoint, &weight.coding, &mut decoded.values)?;
                decoded
            } else {
                reference::decode_unscaled(checkpoint, weight, source)?
            };
            for (row, expected) in (from..to).zip(decoded.values.chunks_exact(values.len())) {
                let bytes = &stored[line * row_bytes..][..row_bytes];
                ggml::decode_row(tensor.ty(), bytes, &mut values).map_err(|_| no_decoder(tensor, file))?;
                compare_row(tensor, row, expected, &values, &mut report);
                if !decoded.scales.is_empty() {
                    let width = values.len();
                    let scales = &decoded.scales[at(row - from) * width..][..width];
                    compare_scales(tensor, row, scales, bytes, &mut report);
                }
                line += 1;
            }
        }
        first = last;
    }
    Ok(report)
}

fn read(tensor: &TensorPlan, file: &Opened<'_>, rows: &Range<u64>) -> Result<Vec<u8>> {
    let (shard, index) = file.places[tensor.name.as_str()];
    let (_, header) = &file.shards[shard];
    let start = header.data_offset + header.tensors[index].offset + rows.start * tensor.row_bytes();
    let mut bytes = vec![0; at((rows.end - rows.start) * tensor.row_bytes())];
    file.sources[shard].read_at(start, &mut bytes)?;
    Ok(bytes)
}

fn no_decoder(tensor: &TensorPlan, file: &Opened<'_>) -> Error {
    Error::Unsupported {
        path: file.shards[0].0.clone(),
        what: format!("type {} of tensor `{}`", tensor.ty().name(), tensor.name),
    }
}

#[expect(clippy::float_cmp, reason = "equality is the claim")]
fn compare_row(tensor: &TensorPlan, row: u64, expected: &[f64], found: &[f32], report: &mut Report) {
    let integers = !matches!(
        tensor.ty(),
        GgmlType::F32 | GgmlType::F16 | GgmlType::BF16 | GgmlType::MXFP4 | GgmlType::NVFP4
    );
    let rounded = tensor.fidelity == Some(Fidelity::Rounded);
    let bound = if rounded { rounding(tensor.ty(), expected) } else { 0.0 };
    for (column, (&expected, &found)) in expected.iter().zip(found).enumerate() {
        let expected = match tensor.map {
            Map::Identity => expected,
            map => f64::from(map.apply(nearest(expected))),
        };
        let found = f64::from(found);
        // Integers know no negative zero: a scale of either sign makes one or the other. Elsewhere only rounding
        // excuses anything, and zeros of either sign are within it.
        let same = found.to_bits() == expected.to_bits()
            || (integers && found == expected)
            || (rounded && (found - expected).abs() <= bound.max(expected.abs() * relative(tensor, bound)));
        if !same {
            let (tensor, column) = (tensor.name.clone(), column as u64);
            report.push(Difference::Value { tensor, row, column, expected, found });
        }
    }
}

/// An index. What does not fit is no index of anything in memory, and is refused as such.
fn at(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "functions of values are defined in F32")]
fn nearest(x: f64) -> f32 {
    x as f32
}

/// The largest error that rounding a row to a type makes, apart from the relative one.
fn rounding(ty: GgmlType, row: &[f64]) -> f64 {
    let largest = row.iter().fold(0f64, |m, v| m.max(v.abs()));
    match ty {
        GgmlType::Q8_0 => largest / 127.0 * 0.75,
        GgmlType::F16 => 2f64.powi(-25),
        _ => f64::from(f32::MIN_POSITIVE) * 2f64.powi(-7),
    }
}

fn relative(tensor: &TensorPlan, bound: f64) -> f64 {
    match tensor.ty() {
        _ if bound == 0.0 => 0.0,
        GgmlType::BF16 => 2f64.powi(-8),
        GgmlType::F16 => 2f64.powi(-11),
        GgmlType::F32 => 2f64.powi(-24),
        _ => 2f64.powi(-10),
    }
}

/// A scale can be wrong where all its integers are zero and no value shows it.
fn compare_scales(tensor: &TensorPlan, row: u64, scales: &[f32], bytes: &[u8], report: &mut Report) {
    if tensor.fidelity == Some(Fidelity::Rounded) {
        return;
    }
    let (length, block_bytes) = (at(tensor.ty().block_len()), at(tensor.ty().block_bytes()));
    for (block, bytes) in bytes.chunks_exact(block_bytes).enumerate() {
        let Some(found) = ggml::block_scale(tensor.ty(), bytes) else { return };
        let expected = scales[block * length];
        if found.abs().to_bits() != expected.abs().to_bits() {
            let (tensor, column) = (tensor.name.clone(), (block * length) as u64);
            report.push(Difference::Scale { tensor, row, column, expected, found });
        }
    }
}

fn apply_global(checkpoint: &Checkpoint, coding: &Coding, values: &mut [f64]) -> Result<()> {
    let Coding::Micro(micro) = coding else { return Ok(()) };
    let read = |id| {
        let mut bytes = [0; 4];
        checkpoint.read(id, 0, &mut bytes).map(|()| f64::from(f32::from_le_bytes(bytes)))
    };
    match micro.global {
        Global::None => {}
        Global::Multiply(id) => {
            let factor = read(id)?;
            for value in values {
                *value *= factor;
            }
        }
        Global::Divide(id) => {
            let factor = read(id)?;
            for value in values {
                *value /= factor;
            }
        }
    }
    Ok(())
}

fn factors(
    checkpoint: &Checkpoint,
    plan: &Plan,
    tensor: &TensorPlan,
    stored: &[u8],
    report: &mut Report,
) -> Result<()> {
    for (column, (piece, bytes)) in tensor.pieces.iter().zip(stored.as_chunks::<4>().0).enumerate() {
        let weight = &plan.weights[piece.weight as usize];
        let expected = reference::global_factor(checkpoint, weight)?.unwrap_or(1.0);
        let found = f32::from_le_bytes(*bytes);
        if expected.to_bits() != found.to_bits() {
            report.push(Difference::Value {
                tensor: tensor.name.clone(),
                row: 0,
                column: column as u64,
                expected: f64::from(expected),
                found: f64::from(found),
            });
        }
    }
    Ok(())
}

/// Compares every key that the checkpoint calls for, and looks for keys that it does not.
pub(super) fn metadata(
    checkpoint: &Checkpoint,
    plan: &mut Plan,
    header: &Header,
    report: &mut Report,
) -> Result<()> {
    plan.adopt_source(checkpoint, &header.metadata);
    plan.complete(checkpoint)?;
    let expected = &plan.metadata;
    let free = |key: &str| FREE.contains(&key) || key.starts_with("split.");
    for (key, value) in expected.iter().filter(|(key, _)| !free(key)) {
        let found = header.metadata.get(key);
        report.keys += 1;
        if found != Some(value) && !(found.is_none() && is_origin(key)) {
            let found = found.map_or_else(|| "nothing".to_owned(), brief);
            report.push(Difference::Key { key: key.to_owned(), expected: brief(value), found });
        }
    }
    for (key, value) in header.metadata.iter().filter(|(key, _)| !free(key)) {
        if expected.get(key).is_none() {
            let (expected, found) = ("nothing".to_owned(), brief(value));
            report.push(Difference::Key { key: key.to_owned(), expected, found });
        }
    }
    Ok(())
}

/// Keys that the caller may choose, or that say how the file is cut.
const FREE: [&str; 3] = [keys::NAME, keys::ALIGNMENT, keys::ROUNDED];

/// Whether a key says where a checkpoint is from, which a file made of a copy of its folder does not know.
fn is_origin(key: &str) -> bool {
    key == "general.organization"
        || key.starts_with("general.source.")
        || key.starts_with("general.base_model.")
}

fn brief(value: &Value) -> String {
    let text = match value {
        Value::Array(a) => format!("{} of {}", a.len(), a.element_type_name()),
        other => format!("{other:?}"),
    };
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
