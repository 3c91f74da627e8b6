//! Converts integer codes to integer blocks or floats.

use super::blocks::Group;
use super::kernels::{BadScale, Strip, gptq4_to_q4_0, gptq8_to_q8_0};
use super::task::{Rows, Scratch, Task, at, read_rows};
use super::unpack::{AWQ_ORDER, stream, word};
use super::{blocks, float, superblocks, zeros};
use crate::checkpoint::TensorId;
use crate::ggml::GgmlType;
use crate::quant::{Float, Int, Packing, ScaleOrder, Zero};
use crate::{Error, Result};

pub(super) fn transcode(task: &Task<'_>, int: &Int, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    if let Some(kernel) = kernel(task, int) {
        return straight(task, int, kernel, scratch, out);
    }
    read(task, int, scratch)?;
    let Scratch { ints, values, .. } = scratch;
    let row_bytes = out.len() / task.count().max(1);
    let groups = at(int.groups);
    for (row, out) in out.chunks_exact_mut(row_bytes).enumerate() {
        if int.g_idx.is_none() && task.ty.block_len() > 1 {
            match ints.encode(task, int, row, out) {
                Ok(()) => continue,
                Err(column) if !task.rounding => {
                    let scale = ints.scales[row * groups + column / at(int.group)];
                    return Err(task.misfit(row, column, f64::from(scale)));
                }
                Err(_) => {}
            }
        }
        values.clear();
        values.extend((0..task.columns()).map(|column| {
            let group = ints.order.get(column).map_or(column / at(int.group), |&g| g as usize);
            let place = row * groups + group;
            let zero = ints.zeros.get(place).copied().unwrap_or(1 << (int.bits - 1));
            let code = i16::from(ints.codes[row * task.columns() + column]);
            f64::from(ints.scales[place]) * f64::from(code - zero)
        }));
        float::encode(task, row, values, out)?;
    }
    Ok(())
}

impl Rows {
    /// Encodes a row of integer blocks. The error is the first column of a block that does not fit.
    fn encode(&self, task: &Task<'_>, int: &Int, row: usize, out: &mut [u8]) -> Result<(), usize> {
        let (length, bytes) = (at(task.ty.block_len()), at(task.ty.block_bytes()));
        let codes = &self.codes[row * task.columns()..][..task.columns()];
        for (block, (codes, out)) in codes.chunks_exact(length).zip(out.chunks_exact_mut(bytes)).enumerate() {
            let place = row * at(int.groups) + block * length / at(int.group);
            let zero = self.zeros.get(place).copied().unwrap_or(1 << (int.bits - 1));
            let group = Group { codes, zero, scale: self.scales[place] };
            let done = match task.ty {
                GgmlType::Q2_K | GgmlType::Q3_K | GgmlType::Q4_K | GgmlType::Q5_K | GgmlType::Q6_K => {
                    superblocks::encode(task.ty, &group, task.rounding, out)
                }
                _ => blocks::encode(task.ty, &group, task.rounding, out),
            };
            done.ok_or(block * length)?;
        }
        Ok(())
    }
}

type Kernel = fn(&Strip<'_>, &mut [u8]) -> Result<(), BadScale>;

fn kernel(task: &Task<'_>, int: &Int) -> Option<Kernel> {
    let plain = int.packing == Packing::Gptq
        && int.g_idx.is_none()
        && int.scales.dtype == Float::F16
        && matches!(int.zero, Zero::Middle { .. });
    match (int.bits, task.ty) {
        (4, GgmlType::Q4_0) if plain => Some(gptq4_to_q4_0),
        (8, GgmlType::Q8_0) if plain => Some(gptq8_to_q8_0),
        _ => None,
    }
}

fn straight(task: &Task<'_>, int: &Int, kernel: Kernel, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    zeros::read(task, int, &mut scratch.zeros, &mut scratch.ints.zeros)?;
    strip(task, int.codes, 4, &mut scratch.codes)?;
    strip(task, int.scales.tensor, 2, &mut scratch.scales)?;
    let strip = Strip {
        words: &scratch.codes,
        scales: &scratch.scales,
        outputs: task.count(),
        columns: task.columns(),
        group: at(int.group),
    };
    kernel(&strip, out)
        .map_err(|bad| task.not_finite(int.scales.tensor, bad.output, bad.group * at(int.group)))
}

/// Reads the columns of a transposed tensor that correspond to the task's rows.
fn strip(task: &Task<'_>, id: TensorId, bytes: u64, buffer: &mut Vec<u8>) -> Result<()> {
    let columns = task.rows.start * bytes..task.rows.end * bytes;
    task.checkpoint.read_strip(id, task.weight.rows * bytes, columns, buffer)
}

fn read(task: &Task<'_>, int: &Int, scratch: &mut Scratch) -> Result<()> {
    let Scratch { codes, scales, zeros, ints, .. } = scratch;
    let stored = zeros::read(task, int, zeros, &mut ints.zeros)?;
    if !stored {
        ints.zeros.clear();
    }
    read_scales(task, int, scales, &mut ints.scales)?;
    read_order(task, int, codes, &mut ints.order)?;
    read_codes(task, int, codes, &mut ints.codes)
}

#[expect(clippy::cast_possible_truncation, reason = "codes have at most eight bits")]
fn read_codes(task: &Task<'_>, int: &Int, raw: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<()> {
    let (count, columns) = (task.count(), task.columns());
    out.clear();
    out.resize(count * columns, 0);
    match int.packing {
        Packing::Gptq => {
            strip(task, int.codes, 4, raw)?;
            for (row, out) in out.chunks_exact_mut(columns).enumerate() {
                stream(int.bits, None, columns, |w| word(raw, w * count + row), |i, q| out[i] = q as u8);
            }
        }
        Packing::Awq => {
            // Read whole runs of 32 outputs around those of the task, since only runs start at word boundaries.
            let (first, last) = (task.rows.start / 32 * 32, task.rows.end.next_multiple_of(32));
            let last = last.min(task.weight.rows);
            let bits = u64::from(int.bits);
            let line = task.weight.rows * bits / 8;
            task.checkpoint.read_strip(int.codes, line, first * bits / 8..last * bits / 8, raw)?;
            let lanes = at(last - first);
            let stride = lanes * int.bits as usize / 32;
            let skip = at(task.rows.start - first);
            let mut codes = vec![0; lanes];
            for column in 0..columns {
                stream(int.bits, None, lanes, |w| word(raw, column * stride + w), |i, q| codes[i] = q as u8);
                for row in 0..count {
                    let place = row + skip;
                    out[row * columns + column] = codes[place / 8 * 8 + AWQ_ORDER[place % 8]];
                }
            }
        }
        Packing::RowMajor { per_word } => {
            let stride = task.checkpoint.info(int.codes).bytes / task.weight.rows;
            read_rows(task, int.codes, stride, raw)?;
            for (line, out) in raw.chunks_exact(at(stride)).zip(out.chunks_exact_mut(columns)) {
                stream(int.bits, per_word, columns, |w| word(line, w), |i, q| out[i] = q as u8);
            }
        }
        Packing::Bytes => {
            read_rows(task, int.codes, task.weight.columns, out)?;
            for byte in out.iter_mut() {
                *byte ^= 0x80;
            }
        }
    }
    Ok(())
}

fn read_scales(task: &Task<'_>, int: &Int, raw: &mut Vec<u8>, out: &mut Vec<f32>) -> Result<()> {
    let (count, groups) = (task.count(), at(int.groups));
    let bytes = int.scales.dtype.bytes();
    let value = |raw: &[u8], i: usize| float::value(raw, int.scales.dtype, i);
    out.clear();
    let single = task.checkpoint.info(int.scales.tensor).bytes == bytes;
    match int.scales.order {
        _ if single => {
            task.checkpoint.read_all(int.scales.tensor, raw)?;
            out.resize(count * groups, value(raw, 0));
        }
        ScaleOrder::RowMajor => {
            read_rows(task, int.scales.tensor, int.groups * bytes, raw)?;
            out.extend((0..count * groups).map(|i| value(raw, i)));
        }
        ScaleOrder::GroupMajor => {
            strip(task, int.scales.tensor, bytes, raw)?;
            for row in 0..count {
                out.extend((0..groups).map(|group| value(raw, group * count + row)));
            }
        }
    }
    match out.iter().position(|s| !s.is_finite()) {
        None => Ok(()),
        Some(i) => Err(task.not_finite(int.scales.tensor, i / groups, i % groups * at(int.group))),
    }
}

fn read_order(task: &Task<'_>, int: &Int, raw: &mut Vec<u8>, out: &mut Vec<u32>) -> Result<()> {
    out.clear();
    let Some(id) = int.g_idx else { return Ok(()) };
    task.checkpoint.read_all(id, raw)?;
    out.extend((0..task.columns()).map(|i| word(raw, i)));
    match out.iter().find(|&&g| u64::from(g) >= int.groups) {
        None => Ok(()),
        Some(g) => Err(Error::Tensor {
            at: task.checkpoint.locate(id),
            found: format!("it contains group {}", g.cast_signed()),
            expected: format!("0 to {}", int.groups - 1),
        }),
    }
}
