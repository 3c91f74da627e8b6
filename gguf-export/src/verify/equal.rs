//! Finds rows equal without writing out their values.
//!
//! A shortcut that only finds equality: the same integers or FP4 codes with the same scales, or floats with the same bits. Rows that it
//! does not find equal are compared value by value in `compare`, which alone reports differences.

use std::ops::Range;

use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::ggml::{self, GgmlType};
use crate::plan::Form;
use crate::quant::reference::Integers;
use crate::quant::{Coding, Element, Float, Global, Micro, MicroScale, Weight};

/// Rows of a weight, and the bytes that a tensor holds for them.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) weight: &'a Weight,
    /// The rows in the weight.
    pub(super) source: Range<u64>,
    /// Which of them count: all, or every second from the first.
    pub(super) every: usize,
    /// The first of them in the tensor.
    pub(super) first: u64,
    /// Distance in the tensor from each of them to the next.
    pub(super) step: usize,
    /// Whole rows in the tensor's type.
    pub(super) bytes: &'a [u8],
    /// Whether the bytes hold the values, or need a factor that is stored separately.
    pub(super) form: Form,
}

/// Returns true if the bytes have the values and scales of the weight, bit for bit. False means that they were not found
/// equal.
///
/// # Errors
/// [`crate::Error::Io`] if the data cannot be read, [`crate::Error::Tensor`] if it contradicts its format.
pub(super) fn rows(checkpoint: &Checkpoint, part: &Part<'_>, ty: GgmlType) -> Result<bool> {
    let rows = part.source.clone();
    match part.weight.coding {
        Coding::Plain { values, dtype } => {
            let Some(same) = float_comparison(dtype, ty).filter(|_| part.every == 1) else {
                return Ok(false);
            };
            let line = part.weight.columns * dtype.bytes();
            let mut expected = vec![0; at((rows.end - rows.start) * line)];
            checkpoint.read(values, rows.start * line, &mut expected)?;
            Ok(same(&expected, part.bytes))
        }
        Coding::Int(_) if part.every == 1 && ggml::has_integers(ty) => {
            let expected = Integers::read(checkpoint, part.weight, rows)?;
            Ok(expected.is_some_and(|expected| integers(&expected, ty, part.bytes)))
        }
        Coding::Micro(ref micro) => fp4(checkpoint, part, micro, ty),
        _ => Ok(false),
    }
}

/// Compares the integers and the scales of all rows.
///
/// An integer times a scale in F16 is exact in F32, and a scale in F32 times an integer in F64, so equal factors have
/// equal products. Both may have the opposite sign: a block can hold the negative integers with the negative scale.
fn integers(expected: &Integers, ty: GgmlType, bytes: &[u8]) -> bool {
    let length = at(ty.block_len());
    if !expected.group().is_multiple_of(length) {
        return false;
    }
    let row_bytes = at(ty.row_bytes(expected.columns() as u64).unwrap_or(u64::MAX));
    let mut found = vec![0; expected.columns()];
    let mut scales = Vec::new();
    expected.all_rows(|row, integers| {
        let bytes = bytes.get(row * row_bytes..(row + 1) * row_bytes).unwrap_or_default();
        if !ggml::decode_integers(ty, bytes, &mut found, &mut scales) {
            return false;
        }
        let groups = expected.scales(row).iter().zip(scales.chunks(expected.group() / length));
        let is_same = |(expected, found): (&f32, &[f32])| {
            expected.is_finite() && found.iter().all(|found| found.to_bits() == expected.to_bits())
        };
        (found == integers && groups.clone().all(is_same))
            || (is_negative(integers, &found)
                && groups.clone().all(|(expected, found)| is_same((&-expected, found))))
    })
}

fn is_negative(integers: &[i8], found: &[i8]) -> bool {
    integers.iter().zip(found).all(|(a, b)| a.checked_neg() == Some(*b))
}

/// Compares FP4 codes and one-byte scales, which have the same meaning in both files unless a factor is applied.
fn fp4(checkpoint: &Checkpoint, part: &Part<'_>, micro: &Micro, ty: GgmlType) -> Result<bool> {
    let (group, largest) = match (micro.element, micro.scale, ty) {
        // The largest scale with which no product overflows an F32.
        (Element::Fp4, MicroScale::E8M0, GgmlType::MXFP4) => (32, 252),
        // The next is NaN in the checkpoint; those above are negative.
        (Element::Fp4, MicroScale::E4M3, GgmlType::NVFP4) => (16, 0x7E),
        _ => return Ok(false),
    };
    let columns = part.weight.columns;
    let is_scaled = part.form == Form::Values && micro.global != Global::None;
    if is_scaled || micro.group != group || !columns.is_multiple_of(ty.block_len()) {
        return Ok(false);
    }
    let read = |id, line: u64| -> Result<Vec<u8>> {
        let mut bytes = vec![0; at((part.source.end - part.source.start) * line)];
        checkpoint.read(id, part.source.start * line, &mut bytes)?;
        Ok(bytes)
    };
    let (codes, scales) = (read(micro.codes, columns / 2)?, read(micro.scales, columns / group)?);
    let rows =
        codes.chunks_exact(at(columns / 2)).zip(scales.chunks_exact(at(columns / group))).step_by(part.every);
    let row_bytes = at(ty.row_bytes(columns).unwrap_or(u64::MAX));
    let (mut found, mut found_scales) = (vec![0; at(columns)], Vec::new());
    Ok(rows.zip(part.bytes.chunks_exact(row_bytes)).all(|((codes, scales), bytes)| {
        ggml::decode_fp4(ty, bytes, &mut found, &mut found_scales)
            && found_scales == scales
            && scales.iter().all(|scale| *scale <= largest)
            && found.as_chunks().0.iter().zip(codes).all(|(pair, byte)| *pair == [byte & 15, byte >> 4])
    }))
}

/// Compares floats with stored ones. True if all have the same bits and none is NaN.
type Comparison = fn(&[u8], &[u8]) -> bool;

fn float_comparison(dtype: Float, ty: GgmlType) -> Option<Comparison> {
    match (dtype, ty) {
        (Float::BF16, GgmlType::BF16) => Some(|a, b| a == b && all_pairs(a, |bits| bits & 0x7FFF <= 0x7F80)),
        (Float::F16, GgmlType::F16) => Some(|a, b| a == b && all_pairs(a, |bits| bits & 0x7FFF <= 0x7C00)),
        (Float::F32, GgmlType::F32) => {
            Some(|a, b| a == b && a.as_chunks().0.iter().all(|bytes| !f32::from_le_bytes(*bytes).is_nan()))
        }
        (Float::BF16, GgmlType::F32) => Some(|a, b| {
            let same = |(a, b): (&[u8; 2], &[u8; 4])| [0, 0, a[0], a[1]] == *b;
            a.len() * 2 == b.len()
                && a.as_chunks().0.iter().zip(b.as_chunks().0).all(same)
                && all_pairs(a, |bits| bits & 0x7FFF <= 0x7F80)
        }),
        _ => None,
    }
}

fn all_pairs(bytes: &[u8], is_number: impl Fn(u16) -> bool) -> bool {
    bytes.as_chunks().0.iter().all(|pair| is_number(u16::from_le_bytes(*pair)))
}

/// Converts an index. A value that does not fit `usize` becomes `usize::MAX`, which is out of bounds everywhere.
fn at(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::AtomicBool;

    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use testkit::{Awq, CtInt8, CtPacked, Encoding, Gptq, Group, Model, NvFp4, ScaleDtype};

    use super::super::compare;
    use super::super::opened::Opened;
    use super::super::report::Report;
    use super::*;
    use crate::arch::Map;
    use crate::gguf::{self, Header};
    use crate::plan::{Content, Plan, TensorPlan};
    use crate::quant::reference;
    use crate::{ExportOptions, PlanOptions, export, survey};

    static GO: AtomicBool = AtomicBool::new(false);

    struct Exported {
        _dir: tempfile::TempDir,
        checkpoint: Checkpoint,
        plan: Plan,
        files: Vec<(PathBuf, Header)>,
    }

    impl Exported {
        fn new(encoding: Encoding) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let (source, out) = (dir.path().join("source"), dir.path().join("out.gguf"));
            let linears = if matches!(encoding, Encoding::NvFp4(_)) { Encoding::Bf16 } else { encoding };
            let model = Model { vocab: 288, expert_count: 2, linears, ..Model::uniform(encoding) };
            model.write(&source);
            let checkpoint = Checkpoint::open(&source).unwrap();
            let options = PlanOptions { allow_rounding: true, ..PlanOptions::default() };
            let plan = survey(&checkpoint, &options, 1, &GO, &|_| {}).unwrap();
            export(&checkpoint, &plan, &out, &ExportOptions::default(), &GO, &|_| {}).unwrap();
            let files = gguf::open_all(&out).unwrap();
            Self { _dir: dir, checkpoint, plan, files }
        }

        /// Calls a function for each part of each tensor, with the bytes of the GGUF.
        fn each(&self, mut check: impl FnMut(&Opened<'_>, &TensorPlan, &Part<'_>)) {
            let file = Opened::new(&self.files).unwrap();
            let is_compared = |t: &&TensorPlan| t.map == Map::Identity && t.content == Content::Weights;
            for tensor in self.plan.tensors.iter().filter(is_compared) {
                let stored = compare::read(tensor, &file, &(0..tensor.rows())).unwrap();
                let mut first = 0;
                for piece in &tensor.pieces {
                    let bytes =
                        &stored[at(first * tensor.row_bytes())..][..at(piece.rows * tensor.row_bytes())];
                    let weight = &self.plan.weights[piece.weight as usize];
                    let source = piece.start..piece.start + piece.rows;
                    let form = tensor.candidates[0].form;
                    check(&file, tensor, &Part { weight, source, every: 1, first, step: 1, bytes, form });
                    first += piece.rows;
                }
            }
        }
    }

    fn encoding() -> impl Strategy<Value = Encoding> {
        let scale = select(vec![ScaleDtype::F16, ScaleDtype::Bf16, ScaleDtype::F32]);
        let group = select(vec![Group::Size(32), Group::Size(64), Group::PerRow]);
        prop_oneof![
            4 => (2..=8u32, group, any::<bool>()).prop_map(|(bits, group, sym)| Encoding::Gptq(Gptq { group, ..if sym { Gptq::sym(bits, 32) } else { Gptq::asym(bits, 32) } })),
            1 => (4..=7u32, any::<bool>()).prop_map(|(bits, sym)| Encoding::Awq(Awq { sym, ..Awq::asym(bits, 32) })),
            1 => (2..=8u32, any::<bool>(), scale.clone()).prop_map(|(bits, dense, scale)| Encoding::CtPacked(CtPacked { dense, scale, ..CtPacked::sym(bits, 32) })),
            1 => (any::<bool>(), any::<bool>(), scale).prop_map(|(per_tensor, zero_point, scale)| Encoding::CtInt8(CtInt8 { per_tensor, zero_point, scale })),
            1 => select(vec![Encoding::Bf16, Encoding::F16, Encoding::F32]),
            2 => (any::<bool>(), any::<bool>())
                .prop_map(|(modelopt, power_of_two)| Encoding::NvFp4(NvFp4 { modelopt, power_of_two })),
            2 => select(vec![Encoding::MxFp4, Encoding::MxInt4, Encoding::MxFp8, Encoding::NvFp4E5m3]),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        /// The naive version is the comparison value by value.
        #[test]
        fn rows_are_found_equal_only_if_every_value_and_scale_is(
            encoding in encoding(),
            damage in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        ) {
            let exported = Exported::new(encoding);
            exported.each(|file, tensor, part| {
                let mut bytes = part.bytes.to_vec();
                for (index, xor) in &damage {
                    bytes[index.index(part.bytes.len())] ^= xor;
                }
                let part = Part { bytes: &bytes, source: part.source.clone(), ..*part };
                let mut report = Report::default();
                compare::values(&exported.checkpoint, tensor, file, &part, &mut report).unwrap();
                let is_equal = rows(&exported.checkpoint, &part, tensor.ty()).unwrap();
                assert!(!is_equal || report.equal() && report.inexact == 0, "{}: {report:?}", tensor.name);
            });
        }

        #[test]
        fn integers_and_scales_have_the_values_of_the_definition(encoding in encoding()) {
            let exported = Exported::new(encoding);
            exported.each(|_, tensor, part| {
                let rows = part.source.start + 1.min(part.source.end - part.source.start - 1)..part.source.end;
                let Some(found) = Integers::read(&exported.checkpoint, part.weight, rows.clone()).unwrap() else { return };
                let expected = reference::decode(&exported.checkpoint, part.weight, rows.clone()).unwrap();
                let mut seen = 0;
                let all = found.all_rows(|row, integers| {
                    assert_eq!(row, seen);
                    seen += 1;
                    for (column, integer) in integers.iter().enumerate() {
                        let scale = found.scales(row)[column / found.group()];
                        let place = row * found.columns() + column;
                        assert_eq!(scale.to_bits(), expected.scales[place].to_bits(), "{}", tensor.name);
                        let value = f64::from(scale) * f64::from(*integer);
                        assert_eq!(value.to_bits(), expected.values[place].to_bits(), "{}", tensor.name);
                    }
                    true
                });
                assert!(all && seen as u64 == rows.end - rows.start, "{}", tensor.name);
            });
        }
    }

    #[test]
    fn exact_integers_and_floats_are_found_equal() {
        let nv = Encoding::NvFp4(NvFp4 { modelopt: false, power_of_two: false });
        for (encoding, all) in [
            (Encoding::Gptq(Gptq::sym(2, 64)), true),
            (Encoding::Gptq(Gptq::sym(3, 32)), true),
            (Encoding::Gptq(Gptq::sym(4, 32)), true),
            (Encoding::Gptq(Gptq::asym(4, 32)), true),
            (Encoding::Gptq(Gptq::sym(5, 32)), true),
            (Encoding::Gptq(Gptq::sym(8, 32)), true),
            (Encoding::Awq(Awq::asym(4, 32)), true),
            (Encoding::CtPacked(CtPacked::sym(4, 32)), true),
            (Encoding::Bf16, true),
            (Encoding::MxFp4, true),
            (nv, true),
            (Encoding::MxInt4, false),
        ] {
            let exported = Exported::new(encoding);
            let (mut equal, mut other) = (0, Vec::new());
            exported.each(|_, tensor, part| {
                if rows(&exported.checkpoint, part, tensor.ty()).unwrap() {
                    equal += 1;
                } else {
                    other.push(tensor.name.clone());
                }
            });
            assert!(equal > 0 && all == other.is_empty(), "{encoding:?}: {other:?}");
        }
    }

    #[test]
    fn each_byte_of_a_block_counts() {
        let nv = Encoding::NvFp4(NvFp4 { modelopt: false, power_of_two: false });
        let integers = [2, 4, 5, 8].map(|bits| Encoding::Gptq(Gptq::sym(bits, 64)));
        for encoding in integers.into_iter().chain([Encoding::Bf16, Encoding::MxFp4, nv]) {
            let exported = Exported::new(encoding);
            let mut seen = Vec::new();
            exported.each(|_, tensor, part| {
                if seen.contains(&tensor.ty()) {
                    return;
                }
                seen.push(tensor.ty());
                let (block, end) = (at(tensor.ty().block_bytes()), part.bytes.len());
                for byte in (0..block).chain(end - block..end) {
                    let mut bytes = part.bytes.to_vec();
                    bytes[byte] ^= 0x10;
                    let damaged = Part { bytes: &bytes, source: part.source.clone(), ..*part };
                    let found = rows(&exported.checkpoint, &damaged, tensor.ty()).unwrap();
                    assert!(!found, "byte {byte} of `{}`, {}", tensor.name, tensor.ty());
                }
            });
        }
    }

    #[test]
    fn a_factor_that_is_to_be_applied_is_left_to_the_comparison_by_value() {
        let exported = Exported::new(Encoding::NvFp4(NvFp4 { modelopt: false, power_of_two: false }));
        let mut seen = 0;
        exported.each(|_, tensor, part| {
            if tensor.ty() == GgmlType::NVFP4 {
                seen += 1;
                let part = Part { form: Form::Values, source: part.source.clone(), ..*part };
                assert!(!rows(&exported.checkpoint, &part, tensor.ty()).unwrap());
            }
        });
        assert!(seen > 0);
    }

    #[test]
    fn blocks_that_span_groups_are_left_to_the_comparison_by_value() {
        let exported = Exported::new(Encoding::Gptq(Gptq::sym(2, 32)));
        exported.each(|_, tensor, part| {
            let ty = GgmlType::Q2_0;
            let Some(row) = ty.row_bytes(part.weight.columns) else { return };
            let bytes = vec![0; at(row * (part.source.end - part.source.start))];
            let part = Part { bytes: &bytes, source: part.source.clone(), ..*part };
            assert!(!rows(&exported.checkpoint, &part, ty).unwrap(), "{}", tensor.name);
        });
    }

    #[test]
    fn the_least_integer_has_no_negative() {
        assert!(is_negative(&[-127, 0, 5], &[127, 0, -5]));
        assert!(!is_negative(&[-128], &[-128]) && !is_negative(&[1], &[1]));
    }

    #[test]
    fn numbers_that_are_not_finite_are_left_to_the_comparison_by_value() {
        let nan = |dtype, ty, bytes: &[u8]| float_comparison(dtype, ty).unwrap()(bytes, bytes);
        assert!(
            nan(Float::BF16, GgmlType::BF16, &[0x80, 0x7F]) && nan(Float::F16, GgmlType::F16, &[0, 0xFC])
        );
        assert!(
            !nan(Float::BF16, GgmlType::BF16, &[0x81, 0xFF]) && !nan(Float::F16, GgmlType::F16, &[1, 0x7C])
        );
        assert!(nan(Float::F32, GgmlType::F32, &[0, 0, 0x80, 0x7F]));
        assert!(!nan(Float::F32, GgmlType::F32, &[1, 0, 0x80, 0x7F]));
        let widened = float_comparison(Float::BF16, GgmlType::F32).unwrap();
        assert!(widened(&[0x80, 0xBF], &[0, 0, 0x80, 0xBF]) && widened(&[0, 0x80], &[0, 0, 0, 0x80]));
        assert!(!widened(&[0, 0x80], &[0; 4]) && !widened(&[0xC0, 0x7F], &[0, 0, 0xC0, 0x7F]));
        assert!(!widened(&[0x80, 0xBF], &[1, 0, 0x80, 0xBF]));
    }
}
