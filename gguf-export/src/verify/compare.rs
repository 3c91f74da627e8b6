//! Compares tiles and metadata of a GGUF with the checkpoint.

use std::ops::Range;

use super::columns::Moved;
use super::equal::{self, Part};
use super::opened::Opened;
use super::picked;
use super::report::{Difference, Report};
use crate::arch::{Map, Rows};
use crate::checkpoint::Checkpoint;
use crate::ggml::{self, GgmlType};
use crate::gguf::{Header, Value, keys};
use crate::io::ByteSource;
use crate::plan::{Content, Fidelity, Form, Plan, TensorPlan};
use crate::quant::{Coding, Global, Weight, reference};
use crate::{Error, Result};

/// Values that are decoded at once; each takes twelve bytes.
const VALUES: u64 = 1 << 19;
/// Decoded rows are a multiple of this, so that few packed words are read twice.
const ROWS: u64 = 32;

/// Compares rows of a tensor.
pub(super) fn rows(
    checkpoint: &Checkpoint,
    plan: &Plan,
    tensor: &TensorPlan,
    file: &Opened<'_>,
    rows: Range<u64>,
) -> Result<Report> {
    let mut report = Report::default();
    let mut stored = read(tensor, file, &rows)?;
    match tensor.content {
        Content::Weights => {}
        Content::Factors => {
            factors(checkpoint, plan, tensor, &stored, &mut report)?;
            return Ok(report);
        }
        Content::RopeFactors => {
            rope_factors(plan, tensor, &stored, &mut report);
            return Ok(report);
        }
    }
    let row_bytes = at(tensor.row_bytes());
    let moved = Moved::of(tensor);
    if let Some(moved) = &moved {
        moved.undo(&mut stored);
    }
    let mut line = 0;
    let mut first = 0;
    for piece in &tensor.pieces {
        let last = first + piece.rows;
        let (from, to) = (rows.start.max(first), rows.end.min(last));
        if from < to {
            let count = at(to - from);
            let bytes = &stored[line * row_bytes..][..count * row_bytes];
            let weight = &plan.weights[piece.weight as usize];
            let form = tensor.candidates[0].form;
            let mut compare = |part: &Part<'_>| {
                if tensor.map != Map::Identity || !equal::rows(checkpoint, part, tensor.ty())? {
                    values(checkpoint, tensor, file, part, &mut report)?;
                }
                Ok::<_, Error>(())
            };
            match piece.order {
                Rows::AsStored => {
                    let source = piece.start + from - first..piece.start + to - first;
                    compare(&Part { weight, source, every: 1, first: from, step: 1, bytes, form })?;
                }
                Rows::Alternate => {
                    let source = piece.start + 2 * (from - first)..piece.start + 2 * (to - first) - 1;
                    compare(&Part { weight, source, every: 2, first: from, step: 1, bytes, form })?;
                }
                Rows::Transposed { first: column, step } => {
                    let source = piece.start..piece.start + tensor.columns();
                    let run = (column + (from - first) * step, step, to - from);
                    let expected = picked::columns(checkpoint, weight, source, run)?;
                    each_row(checkpoint, tensor, file, weight, (from, bytes), expected, &mut report)?;
                }
                Rows::Entries { first: column } => {
                    let source = piece.start + from - first..piece.start + to - first;
                    let expected = picked::entries(checkpoint, weight, source, column)?;
                    each_row(checkpoint, tensor, file, weight, (from, bytes), expected, &mut report)?;
                }
                Rows::Interleaved => {
                    // Every other stored row is of the first half of the piece, the rest of the second.
                    for parity in [0, 1] {
                        let is_own = |row: &u64| (row - first) % 2 == parity;
                        let Some(start) = (from..to).find(is_own) else { continue };
                        let lines = bytes.chunks_exact(row_bytes).skip(at(start - from)).step_by(2);
                        let half: Vec<u8> = lines.flatten().copied().collect();
                        let count = (half.len() / row_bytes) as u64;
                        let begin = piece.start + (start - first) / 2 + parity * (piece.rows / 2);
                        let source = begin..begin + count;
                        compare(&Part {
                            weight,
                            source,
                            every: 1,
                            first: start,
                            step: 2,
                            bytes: &half,
                            form,
                        })?;
                    }
                }
            }
            line += count;
        }
        first = last;
    }
    if let Some(moved) = &moved {
        report.differences.iter_mut().for_each(|difference| moved.place(difference));
    }
    Ok(report)
}

/// Compares rows of a weight value by value.
pub(super) fn values(
    checkpoint: &Checkpoint,
    tensor: &TensorPlan,
    file: &Opened<'_>,
    part: &Part<'_>,
    report: &mut Report,
) -> Result<()> {
    let Part { weight, source, .. } = part;
    let mut values = vec![0f32; at(tensor.columns())];
    let most = (VALUES / tensor.columns().max(1)).max(ROWS) / ROWS * ROWS;
    let mut stored = (part.first..).step_by(part.step).zip(part.bytes.chunks_exact(at(tensor.row_bytes())));
    let mut from = source.start;
    while from < source.end {
        let until = source.end.min(from + most);
        let decoded = if part.form == Form::Values {
            let mut decoded = reference::decode(checkpoint, weight, from..until)?;
            apply_global(checkpoint, &weight.coding, &mut decoded.values)?;
            decoded
        } else {
            reference::decode_unscaled(checkpoint, weight, from..until)?
        };
        let mut scales = decoded.scales.chunks_exact(values.len()).step_by(part.every);
        let expected = decoded.values.chunks_exact(values.len()).step_by(part.every);
        for (expected, (row, bytes)) in expected.zip(&mut stored) {
            ggml::decode_row(tensor.ty(), bytes, &mut values).map_err(|_| no_decoder(tensor, file))?;
            compare_row(tensor, row, expected, &values, report);
            if let Some(scales) = scales.next() {
                compare_scales(tensor, row, scales, bytes, report);
            }
        }
        from = until;
    }
    Ok(())
}

/// Compares rows, the first of which is `first`, with the values of `weight` that they should have, before its tensor-wide
/// scale.
fn each_row(
    checkpoint: &Checkpoint,
    tensor: &TensorPlan,
    file: &Opened<'_>,
    weight: &Weight,
    (first, stored): (u64, &[u8]),
    mut expected: Vec<f64>,
    report: &mut Report,
) -> Result<()> {
    apply_global(checkpoint, &weight.coding, &mut expected)?;
    let mut values = vec![0f32; at(tensor.columns())];
    let lines = stored.chunks_exact(at(tensor.row_bytes()));
    assert_eq!(expected.len(), lines.len() * values.len(), "each stored row has its values");
    for (row, (bytes, expected)) in (first..).zip(lines.zip(expected.chunks_exact(values.len()))) {
        ggml::decode_row(tensor.ty(), bytes, &mut values).map_err(|_| no_decoder(tensor, file))?;
        compare_row(tensor, row, expected, &values, report);
    }
    Ok(())
}

pub(super) fn read(tensor: &TensorPlan, file: &Opened<'_>, rows: &Range<u64>) -> Result<Vec<u8>> {
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
    let length = at(tensor.ty().block_len()).max(1);
    let bounds = |block: &[f64]| if rounded { rounding(tensor.ty(), block) } else { 0.0 };
    let bounds: Vec<f64> = expected.chunks(length).map(bounds).collect();
    for (column, (&expected, &found)) in expected.iter().zip(found).enumerate() {
        let expected = match tensor.map {
            Map::Identity => expected,
            map => f64::from(map.apply(nearest(expected))),
        };
        let found = f64::from(found);
        let bound = bounds[column / length];
        // Zeros of integer types have the sign of the scale, which does not matter. All other values must be equal bit
        // for bit, or within the rounding error if they are rounded.
        let same = found.to_bits() == expected.to_bits() || (integers && found == expected);
        if !same && rounded && (found - expected).abs() <= bound.max(expected.abs() * relative(tensor, bound))
        {
            report.inexact += 1;
        } else if !same {
            let (tensor, column) = (tensor.name.clone(), column as u64);
            report.push(Difference::Value { tensor, row, column, expected, found });
        }
    }
}

/// Converts an index. A value that does not fit `usize` becomes `usize::MAX`, which is out of bounds everywhere.
fn at(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "`Map` is defined in F32")]
fn nearest(x: f64) -> f32 {
    x as f32
}

/// Largest absolute error of rounding a block to a type, in addition to the relative error.
fn rounding(ty: GgmlType, block: &[f64]) -> f64 {
    let largest = block.iter().fold(0f64, |m, v| m.max(v.abs()));
    match ty {
        // Half a step, the rounding of the scale to F16, and for tiny scales half of F16's smallest number per step.
        GgmlType::Q8_0 => largest / 127.0 * 0.75 + 127.0 * 2f64.powi(-25),
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

/// Compares scales, since a wrong scale of an all-zero block does not change any value.
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

fn rope_factors(plan: &Plan, tensor: &TensorPlan, stored: &[u8], report: &mut Report) {
    let expected = plan.hparams.rope.factors().unwrap_or_default();
    for (column, (expected, bytes)) in (0..).zip(expected.iter().zip(stored.as_chunks::<4>().0)) {
        let found = f32::from_le_bytes(*bytes);
        if expected.to_bits() != found.to_bits() {
            let (tensor, row) = (tensor.name.clone(), 0);
            let (expected, found) = (f64::from(*expected), f64::from(found));
            report.push(Difference::Value { tensor, row, column, expected, found });
        }
    }
}

/// Compares the metadata with that expected for the checkpoint, and reports additional keys.
pub(super) fn metadata(
    checkpoint: &Checkpoint,
    plan: &mut Plan,
    header: &Header,
    report: &mut Report,
) -> Result<()> {
    plan.complete_like(checkpoint, &header.metadata)?;
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

/// Keys that are not compared: the caller may choose their values, they depend on the types, or the report has them.
const FREE: [&str; 6] =
    [keys::NAME, keys::ALIGNMENT, keys::ROUNDED, keys::LEFT_OUT, keys::IGNORED_KEYS, keys::ZERO_POINTS];

/// Returns true for keys about the origin of a checkpoint, which are missing if the GGUF was made from a copied folder.
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
