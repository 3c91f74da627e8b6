//! Determines from the encoding of a weight which GGUF types hold it exactly.
//!
//! A block type holds `scale * integer` exactly if each block is within a group of the source, its scale type
//! holds the scale, and the integers (or all their negatives) are in its range. A product is exact in a float type whose
//! mantissa has the bits of both factors together: 11 for F16, 8 for BF16, 4 and 3 for the eight-bit floats, 2 for FP4.

use super::candidate::{Candidate, Certainty, Form};
use super::tensor::TensorPlan;
use crate::error::Inexact;
use crate::ggml::GgmlType;
use crate::quant::{Affine, Coding, Element, Float, Fp8, Global, Int, Micro, MicroScale, Weight, Zero};

use Certainty::{Always, IfData};
use GgmlType::{BF16, F16, F32, MXFP4, NVFP4, Q2_0, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, Q5_0, Q5_K, Q6_K, Q8_0};

/// Exact types of a tensor made of several weights, smallest first; of equal sizes, the one exact for more data.
pub(super) fn common(weights: &[&Weight], scaled: bool) -> Vec<Candidate> {
    let mut lists = weights.iter().map(|w| of(w, scaled));
    let mut common = lists.next().unwrap_or_default();
    for list in lists {
        common.retain_mut(|c| {
            let twin = list.iter().find(|o| o.ty == c.ty && o.form == c.form);
            twin.is_some_and(|o| {
                c.certainty = c.certainty.max(o.certainty);
                true
            })
        });
    }
    let columns = weights.first().map_or(0, |w| w.columns);
    common.retain(|c| c.ty.row_bytes(columns).is_some());
    common.sort_by_key(|c| (c.ty.row_bytes(columns), c.certainty));
    common
}

fn of(weight: &Weight, scaled: bool) -> Vec<Candidate> {
    let list: Vec<(GgmlType, Certainty)> = match &weight.coding {
        Coding::Plain { dtype: Float::BF16, .. } => vec![(BF16, Always), (F32, Always)],
        Coding::Plain { dtype: Float::F16, .. } => vec![(F16, Always), (F32, Always)],
        Coding::Plain { dtype: Float::F32, .. } => vec![(BF16, IfData), (F16, IfData), (F32, Always)],
        Coding::Plain { dtype: Float::E8M0, .. } => vec![(F32, IfData)],
        Coding::Int(int) => int_types(weight, int),
        Coding::Affine(affine) => affine_types(weight, affine),
        Coding::Fp8(fp8) => {
            let mut list =
                vec![(BF16, IfData), (F32, sure(!matches!(fp8.scale.1, Float::F32 | Float::E8M0)))];
            if scaled && per_tensor(weight, fp8) {
                return unscaled(BF16, &mut list);
            }
            list
        }
        Coding::Micro(micro) => {
            let mut list = micro_types(micro);
            let nv = micro.global != Global::None && micro.element == Element::Fp4;
            if nv && scaled && weight.columns.is_multiple_of(64) {
                return unscaled(NVFP4, &mut list);
            }
            list
        }
    };
    list.into_iter().map(|(ty, certainty)| Candidate { ty, form: Form::Values, certainty }).collect()
}

fn unscaled(ty: GgmlType, values: &mut Vec<(GgmlType, Certainty)>) -> Vec<Candidate> {
    let first = Candidate { ty, form: Form::Unscaled, certainty: Always };
    let rest = values.drain(..).map(|(ty, certainty)| Candidate { ty, form: Form::Values, certainty });
    std::iter::once(first).chain(rest).collect()
}

fn sure(sure: bool) -> Certainty {
    if sure { Always } else { IfData }
}

fn per_tensor(weight: &Weight, fp8: &Fp8) -> bool {
    fp8.block == (weight.rows, weight.columns)
}

fn micro_types(micro: &Micro) -> Vec<(GgmlType, Certainty)> {
    match (micro.element, micro.scale) {
        (Element::Fp4, MicroScale::E8M0) => vec![(MXFP4, Always), (BF16, IfData), (F32, IfData)],
        (Element::Int4, _) => vec![(Q4_0, IfData), (BF16, IfData), (F32, IfData)],
        (Element::Fp4, MicroScale::E5M3) => vec![(BF16, Always), (F32, Always)],
        (Element::Fp8, _) | (Element::Fp4, MicroScale::E4M3) => vec![(BF16, IfData), (F32, IfData)],
    }
}

/// A block of Q4_1 has a scale, a minimum and codes of four bits. Its decoder rounds once, like the definition of the
/// encoding.
fn affine_types(weight: &Weight, affine: &Affine) -> Vec<(GgmlType, Certainty)> {
    let block = Q4_1.block_len();
    let whole =
        weight.columns.is_multiple_of(block) && (affine.groups == 1 || affine.group.is_multiple_of(block));
    let halves = affine.scales.1 == Float::F16 && affine.biases.1 == Float::F16;
    let mut list = vec![(F32, Always)];
    if whole && affine.bits <= 4 {
        list.push((Q4_1, sure(halves)));
    }
    list
}

fn int_types(weight: &Weight, int: &Int) -> Vec<(GgmlType, Certainty)> {
    let mut list = vec![(F32, sure(int.scales.dtype != Float::F32))];
    if int.g_idx.is_some() {
        return list;
    }
    let whole =
        |block| weight.columns.is_multiple_of(block) && (int.groups == 1 || int.group.is_multiple_of(block));
    let scale = sure(int.scales.dtype == Float::F16);
    let half = 1i32 << (int.bits - 1);
    let sym = matches!(int.zero, Zero::Middle { .. });
    let range = if sym { (-half, half - 1) } else { (1 - 2 * half, 2 * half - 1) };
    for (ty, lo, hi) in [(Q2_0, -1, 2), (Q4_0, -8, 7), (Q5_0, -16, 15), (Q8_0, -128, 127)] {
        let inside = |(a, b): (i32, i32)| a >= lo && b <= hi;
        let fits = inside(range) || inside((-range.1, -range.0));
        // Types narrower than the codes would fit only unusual data; at equal width many asymmetric tensors fit.
        let may = !sym && hi - lo + 1 == (2 * half).max(4) || !sym && int.bits == 3 && ty == Q4_0;
        if whole(ty.block_len()) && (fits || may || ty == Q8_0) {
            list.push((ty, if fits { scale } else { IfData }));
        }
    }
    // Super-blocks whose sub-scales are 1 and whose sub-minima are the zero point.
    let supers: &[GgmlType] = match (int.bits, sym) {
        (2, false) => &[Q2_K],
        (3, true) => &[Q3_K],
        (3 | 4, false) => &[Q4_K],
        (5, false) => &[Q5_K],
        (6, true) => &[Q6_K],
        _ => &[],
    };
    list.extend(supers.iter().filter(|ty| whole(ty.block_len())).map(|&ty| (ty, scale)));
    list
}

/// The rounded type of a tensor that no type holds exactly.
pub(super) fn nearest(tensor: &TensorPlan, weights: &[Weight]) -> GgmlType {
    let codes = |w: &Weight| match &w.coding {
        Coding::Int(int) if int.g_idx.is_none() => {
            let sym = matches!(int.zero, Zero::Middle { .. });
            let block = Q8_0.block_len();
            let whole = int.groups == 1 || int.group.is_multiple_of(block);
            whole && w.columns.is_multiple_of(block) && (sym || int.bits < 8)
        }
        _ => false,
    };
    if tensor.is_by_value() {
        return F32;
    }
    // Q8_0 keeps the codes and rounds only the scales, where possible.
    let has_codes = tensor.pieces.iter().all(|p| codes(&weights[p.weight as usize]));
    if has_codes && tensor.order.keep_blocks(Q8_0.block_len()) { Q8_0 } else { BF16 }
}

/// The error entry of a tensor, with its size in each type that the user may choose instead.
pub(super) fn refusal(tensor: &TensorPlan, reason: String) -> Inexact {
    let size = |ty: GgmlType| Some((ty.name(), ty.row_bytes(tensor.columns())? * tensor.rows()));
    let choices = [Q8_0, BF16, F16, F32].into_iter().filter_map(size).collect();
    Inexact { tensor: tensor.name.clone(), reason, choices }
}
