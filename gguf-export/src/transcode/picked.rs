//! Makes rows from values that are not neighbors in the source: from its columns, or from every second value of a row.

use std::ops::Range;

use super::float;
use super::task::{Task, at};
use crate::checkpoint::TensorId;
use crate::ggml::GgmlType;
use crate::quant::{Coding, Float};
use crate::{Error, Result};

/// Values of neighboring columns, row-major.
#[derive(Debug)]
pub(super) struct Strip {
    /// The first column.
    first: u64,
    /// Number of columns.
    width: usize,
    values: Vec<f32>,
}

/// Reads the task's rows, as far as `columns` reach. Of plain floats, whose rows may be long, only that part is read;
/// `decode` decodes whole rows of other encodings.
pub(super) fn strip(
    task: &Task<'_>,
    columns: &[u64],
    decode: impl FnOnce(&Task<'_>, &mut [u8]) -> Result<()>,
) -> Result<Strip> {
    if let Coding::Plain { values, dtype } = task.weight.coding {
        let first = columns.iter().copied().min().unwrap_or(0);
        let end = columns.iter().copied().max().map_or(0, |last| last + 1);
        return part_of_rows(task, values, dtype, first..end);
    }
    whole_rows(task, decode)
}

fn part_of_rows(task: &Task<'_>, id: TensorId, dtype: Float, columns: Range<u64>) -> Result<Strip> {
    let width = at(columns.end - columns.start);
    let mut raw = vec![0; width * at(dtype.bytes())];
    let mut values = Vec::with_capacity(task.count() * width);
    for row in task.rows.clone() {
        let place = (row * task.weight.columns + columns.start) * dtype.bytes();
        task.checkpoint.read(id, place, &mut raw)?;
        values.extend((0..width).map(|i| float::value(&raw, dtype, i)));
    }
    Ok(Strip { first: columns.start, width, values })
}

fn whole_rows(task: &Task<'_>, decode: impl FnOnce(&Task<'_>, &mut [u8]) -> Result<()>) -> Result<Strip> {
    let mut bytes = vec![0; task.count() * task.columns() * 4];
    decode(task, &mut bytes)?;
    let values = bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
    Ok(Strip { first: 0, width: task.columns(), values })
}

/// Fills `out` with the columns of a strip of the task's rows, each as a row of a float type.
pub(super) fn transpose(
    task: &Task<'_>,
    ty: GgmlType,
    columns: &[u64],
    strip: &Strip,
    out: &mut [u8],
) -> Result<()> {
    let encoder = Task { ty, rows: task.rows.clone(), ..*task };
    let row_bytes = out.len() / columns.len().max(1);
    let mut values = Vec::with_capacity(task.count());
    for (&column, out) in columns.iter().zip(out.chunks_exact_mut(row_bytes)) {
        let picked = strip.values.iter().skip(at(column - strip.first)).step_by(strip.width);
        values.clear();
        values.extend(picked.map(|value| f64::from(*value)));
        if let Some(row) = values.iter().position(|value| !value.is_finite()) {
            return Err(task.not_finite(task.weight.main(), row, at(column)));
        }
        float::encode(&encoder, 0, &values, out).map_err(|error| turned(error, task.rows.start, column))?;
    }
    Ok(())
}

/// The error with the place in the source: its column there is a row of the source, and all are in one column.
fn turned(error: Error, start: u64, source: u64) -> Error {
    match error {
        Error::NotRepresentable { at, column, value, ty, .. } => {
            Error::NotRepresentable { at, row: start + column, column: source, value, ty }
        }
        Error::OutOfRange { at, column, value, ty, .. } => {
            Error::OutOfRange { at, row: start + column, column: source, value, ty }
        }
        other => other,
    }
}

/// Fills `out` with every second of the F32 values of each row, from the column `first`.
pub(super) fn entries(rows: &[u8], columns: usize, first: u64, out: &mut [u8]) {
    let values = rows.as_chunks::<4>().0.chunks_exact(columns);
    let picked = values.flat_map(|row| row.iter().skip(at(first)).step_by(2));
    for (out, value) in out.as_chunks_mut::<4>().0.iter_mut().zip(picked) {
        *out = *value;
    }
}

#[cfg(test)]
mod tests {
    use testkit::{Awq, CtPacked, Encoding, Fp8, Fp8Scale, Gptq, Model, NvFp4};

    use super::super::{Scratch, fill};
    use super::*;
    use crate::arch::Rows;
    use crate::checkpoint::Checkpoint;
    use crate::plan::{Candidate, Certainty, Form, Piece, Plan, TensorPlan};
    use crate::{PlanOptions, TensorRef};

    fn filled(checkpoint: &Checkpoint, plan: &Plan, tensor: &TensorPlan, rows: Range<u64>) -> Vec<[u8; 4]> {
        let mut out = vec![0; at((rows.end - rows.start) * tensor.row_bytes())];
        fill(checkpoint, plan, tensor, rows, &mut Scratch::default(), &mut out).unwrap();
        out.as_chunks().0.to_vec()
    }

    #[test]
    fn columns_of_every_encoding_become_rows_and_every_second_value_is_taken() {
        let nv = NvFp4 { modelopt: false, power_of_two: false };
        for encoding in [
            Encoding::Gptq(Gptq::sym(4, 32)),
            Encoding::Gptq(Gptq::asym(3, 32)),
            Encoding::Awq(Awq::asym(4, 32)),
            Encoding::CtPacked(CtPacked::sym(4, 32)),
            Encoding::Fp8(Fp8::scaled(Fp8Scale::Block(48, 96))),
            Encoding::NvFp4(nv),
            Encoding::MxFp4,
            Encoding::Bf16,
            Encoding::F16,
            Encoding::F32,
        ] {
            let dir = tempfile::tempdir().unwrap();
            Model::uniform(encoding).write(dir.path());
            let checkpoint = Checkpoint::open(dir.path()).unwrap();
            let options = PlanOptions { allow_rounding: true, ..PlanOptions::default() };
            let plan = Plan::draft(&checkpoint, &options).unwrap();
            let mut stored =
                plan.tensors.iter().find(|t| t.name == "blk.0.ffn_down_shexp.weight").unwrap().clone();
            let f32 = Candidate { ty: GgmlType::F32, form: Form::Values, certainty: Certainty::Rounded };
            stored.candidates = vec![f32];
            let (rows, columns) = (stored.rows(), at(stored.columns()));
            let source = filled(&checkpoint, &plan, &stored, 0..rows);
            for (start, height, first, step, count) in
                [(0, rows, 0, 1, 9), (5, 17, 1, 2, 12), (rows - 1, 1, 3, 1, 2)]
            {
                let order = Rows::Transposed { first, step };
                let weight = stored.pieces[0].weight;
                let piece = Piece { weight, start, rows: count, order };
                let turned = TensorPlan { dims: vec![height, count], pieces: vec![piece], ..stored.clone() };
                let from = count / 3;
                let found = filled(&checkpoint, &plan, &turned, from..count);
                let place = |row: u64, line: u64| at(start + line) * columns + at(first + row * step);
                let expected: Vec<[u8; 4]> = (from..count)
                    .flat_map(|row| (0..height).map(move |line| (row, line)))
                    .map(|(row, line)| source[place(row, line)])
                    .collect();
                assert!(found == expected, "{encoding:?}, from row {start}");
                let piece = Piece { rows: height, order: Rows::Entries { first: 1 }, ..piece };
                let half = columns as u64 / 2;
                let halved = TensorPlan { dims: vec![half, height], pieces: vec![piece], ..stored.clone() };
                let found = filled(&checkpoint, &plan, &halved, 0..height);
                let rows = &source[at(start) * columns..at(start + height) * columns];
                let expected: Vec<[u8; 4]> = rows.iter().skip(1).step_by(2).copied().collect();
                assert!(found == expected, "{encoding:?}, entries from row {start}");
            }
        }
    }

    #[test]
    fn an_error_names_the_place_in_the_source() {
        let name = TensorRef { file: "model.safetensors".into(), tensor: "stack".to_owned() };
        let error = Error::NotRepresentable { at: name, row: 0, column: 7, value: "1".to_owned(), ty: "F16" };
        let Error::NotRepresentable { row, column, .. } = turned(error, 100, 3) else { panic!() };
        assert_eq!((row, column), (107, 3));
    }
}
