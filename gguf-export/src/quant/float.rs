//! Float encodings: FP8 with a scale per tensor, row, group or block; MX and NV formats.

use super::request::Request;
use super::{Coding, Element, Float, Fp8, Fp8Format, Global, Micro, MicroScale};
use crate::Result;
use crate::checkpoint::{Dtype, TensorId};

/// Columns per scale of MX formats.
const MX_GROUP: u64 = 32;

/// Resolves FP8 codes. The shape of the scale tensor determines the block that shares a scale.
pub(super) fn fp8(request: &Request<'_>, codes: TensorId) -> Result<Coding> {
    let (rows, columns) = (request.rows, request.columns);
    let info = request.info(codes);
    if info.shape.last() != Some(&columns) || info.shape.iter().product::<u64>() != rows * columns {
        return Err(request.wrong(
            codes,
            format!("its shape is {:?}", info.shape),
            format!("{rows} rows of {columns} by `config.json`"),
        ));
    }
    if let Some(zero) = request.find(".weight_zp") {
        return Err(request.wrong(zero, "it is a zero point of an FP8 weight", "no zero points"));
    }
    // Fused experts are parameters without `.weight`; their scales have the bare name plus a suffix.
    let names = [".weight_scale_inv", ".weight_scale", "_scale_inv", "_scale"];
    let Some(scale) = names.iter().find_map(|s| request.find(s)) else {
        return Err(request.missing(".weight_scale"));
    };
    let shape = request.info(scale).shape.clone();
    let kind = request.info(scale).dtype;
    if kind == Dtype::U8 || kind == Dtype::F8E8M0 && is_micro(request, &shape) {
        return micro_fp8(request, codes, scale, &shape);
    }
    let format = if info.dtype == Dtype::F8E4M3 { Fp8Format::E4M3 } else { Fp8Format::E5M2 };
    let experts = if info.shape.len() == 3 { info.shape[0] } else { 1 };
    let Some(block) = stacked(request, &shape, experts).or_else(|| block(request, &shape)) else {
        return Err(request.wrong(
            scale,
            format!("its shape is {shape:?}"),
            format!("one scale per tensor, row, group or block of {rows} rows of {columns}"),
        ));
    };
    let dtype = if kind == Dtype::F8E8M0 { Float::E8M0 } else { request.float(scale)? };
    Ok(Coding::Fp8(Fp8 { codes, format, scale: (scale, dtype), block }))
}

/// Returns true for the scales of MXFP8: one per [`MX_GROUP`] columns.
fn is_micro(request: &Request<'_>, shape: &[u64]) -> bool {
    let across = request.columns.div_ceil(MX_GROUP);
    shape.last() == Some(&across) && shape.iter().product::<u64>() == request.rows * across
}

/// Rows and columns that share a scale in stacked experts with a scale per expert or per row: `[experts]` or
/// `[experts, rows]`, with optional trailing ones.
fn stacked(request: &Request<'_>, shape: &[u64], experts: u64) -> Option<(u64, u64)> {
    let (rows, columns) = (request.rows, request.columns);
    if experts < 2 || shape.first() != Some(&experts) || !rows.is_multiple_of(experts) {
        return None;
    }
    let each = rows / experts;
    match shape[1..].split_last() {
        None | Some((1, [] | [1])) => Some((each, columns)),
        Some((&last, [])) if last == each => Some((1, columns)),
        _ => None,
    }
}

/// Rows and columns that share a scale, given the shape of the scale tensor.
fn block(request: &Request<'_>, shape: &[u64]) -> Option<(u64, u64)> {
    let (rows, columns) = (request.rows, request.columns);
    let count: u64 = shape.iter().product();
    if count == 1 {
        return Some((rows, columns));
    }
    let (scheme, _) = request.config.scheme(request.module);
    if let (Some((r, c)), true) = (scheme.block, shape.len() >= 2) {
        // Stacked experts must have whole blocks each, so that the flattened rows keep the grid.
        let (lines, across) = (count / shape[shape.len() - 1].max(1), shape[shape.len() - 1]);
        let whole = shape.len() == 2 || (rows / shape[0].max(1)).is_multiple_of(r);
        if whole && lines == rows.div_ceil(r) && across == columns.div_ceil(c) {
            return Some((r, c));
        }
    }
    if count == rows && (shape.len() == 1 || shape.last() == Some(&1)) {
        return Some((1, columns));
    }
    let groups = count / rows.max(1);
    let stated = scheme.group.and_then(|g| u64::try_from(g).ok()).filter(|&g| g > 0);
    let width = stated.filter(|g| columns.div_ceil(*g) == groups).or_else(|| columns.checked_div(groups))?;
    if width == 0 {
        return None;
    }
    (count == groups * rows && groups == columns.div_ceil(width)).then_some((1, width))
}

fn micro_fp8(request: &Request<'_>, codes: TensorId, scales: TensorId, shape: &[u64]) -> Result<Coding> {
    let (rows, columns) = (request.rows, request.columns);
    if !is_micro(request, shape) {
        let expected = format!("[{rows}, {}], one scale per {MX_GROUP} columns", columns.div_ceil(MX_GROUP));
        return Err(request.wrong(scales, format!("its shape is {shape:?}"), expected));
    }
    if request.info(codes).dtype != Dtype::F8E4M3 {
        return Err(request.wrong(codes, format!("its dtype is {}", request.info(codes).dtype), "F8_E4M3"));
    }
    Ok(Coding::Micro(Micro {
        codes,
        element: Element::Fp8,
        scales,
        scale: MicroScale::E8M0,
        group: MX_GROUP,
        global: Global::None,
    }))
}

/// Resolves four-bit elements, two per byte. Dtype and number of the scales distinguish MXFP4, MXINT4 and the NV
/// formats.
pub(super) fn micro(request: &Request<'_>, codes: TensorId) -> Result<Coding> {
    let (rows, columns) = (request.rows, request.columns);
    if !columns.is_multiple_of(2) {
        return Err(request.wrong(codes, format!("rows of {columns} elements"), "an even number"));
    }
    request.expect(codes, Dtype::U8, &[rows, columns / 2], "(two elements per byte)")?;
    let scales = request.need(".weight_scale")?;
    let info = request.info(scales);
    let groups = info.shape.last().copied().unwrap_or(0);
    let group = columns.checked_div(groups).unwrap_or(0);
    let (scheme, _) = request.config.scheme(request.module);
    let int = scheme.is_mx_int();
    let (element, scale, global) = match (info.dtype, group) {
        (Dtype::U8 | Dtype::F8E8M0, 32) if int => (Element::Int4, MicroScale::E8M0, Global::None),
        (Dtype::U8 | Dtype::F8E8M0, 32) => (Element::Fp4, MicroScale::E8M0, Global::None),
        (Dtype::U8, 16) => (Element::Fp4, MicroScale::E5M3, Global::None),
        (Dtype::F8E4M3, 16) => (Element::Fp4, MicroScale::E4M3, global(request)?),
        (dtype, _) => {
            return Err(request.wrong(
                scales,
                format!("it is {dtype} {:?}", info.shape),
                format!(
                    "U8 [{rows}, {}] or [{rows}, {}], or F8_E4M3 of the latter",
                    columns / 32,
                    columns / 16
                ),
            ));
        }
    };
    request.expect(scales, info.dtype, &[rows, columns.div_ceil(group)], "(one scale per group)")?;
    Ok(Coding::Micro(Micro { codes, element, scales, scale, group, global }))
}

/// Resolves the MXFP4 of stacked experts: a dimension for the experts, one for their rows, one for the groups.
pub(super) fn blocks(request: &Request<'_>, codes: TensorId) -> Result<Coding> {
    let (rows, groups) = (request.rows, request.columns / MX_GROUP);
    let shape = &request.info(codes).shape;
    let experts = shape.first().copied().filter(|experts| rows.is_multiple_of(*experts)).unwrap_or(1);
    if !request.columns.is_multiple_of(MX_GROUP) {
        let found = format!("rows of {} elements", request.columns);
        return Err(request.wrong(codes, found, format!("a multiple of {MX_GROUP}")));
    }
    let each = rows / experts.max(1);
    request.expect(codes, Dtype::U8, &[experts, each, groups, MX_GROUP / 2], "(two elements per byte)")?;
    let scales = request.need("_scales")?;
    request.expect(scales, Dtype::U8, &[experts, each, groups], "(one scale per group)")?;
    Ok(Coding::Micro(Micro {
        codes,
        element: Element::Fp4,
        scales,
        scale: MicroScale::E8M0,
        group: MX_GROUP,
        global: Global::None,
    }))
}

fn global(request: &Request<'_>) -> Result<Global> {
    let (id, global) = if let Some(id) = request.find(".weight_scale_2") {
        (id, Global::Multiply(id))
    } else {
        let id = request.need(".weight_global_scale")?;
        (id, Global::Divide(id))
    };
    let info = request.info(id);
    if info.dtype == Dtype::F32 && info.shape.iter().product::<u64>() == 1 {
        Ok(global)
    } else {
        Err(request.wrong(id, format!("it is {} {:?}", info.dtype, info.shape), "F32 [1]"))
    }
}
