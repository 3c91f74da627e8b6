//! Integer encodings: GPTQ and AWQ packing, and packed and plain integers of compressed-tensors.

use super::group;
use super::request::Request;
use super::{Coding, Int, Packing, ScaleOrder, Scales, Zero, ZeroRule};
use crate::Result;
use crate::checkpoint::{Dtype, TensorId};

const WIDTHS: std::ops::RangeInclusive<u64> = 2..=8;

/// Resolves `qweight`, `scales` and optional `qzeros` and `g_idx`. The number of columns distinguishes GPTQ from AWQ
/// packing.
pub(super) fn words(request: &Request<'_>, codes: TensorId) -> Result<Coding> {
    let scales = request.need(".scales")?;
    let (info, scale) = (request.info(codes), request.info(scales));
    let &[first, second] = info.shape.as_slice() else {
        return Err(request.wrong(codes, format!("its shape is {:?}", info.shape), "two dimensions"));
    };
    if info.dtype != Dtype::I32 {
        return Err(request.wrong(codes, format!("its dtype is {}", info.dtype), "I32 words"));
    }
    let &[groups, outputs] = scale.shape.as_slice() else {
        return Err(request.wrong(scales, format!("its shape is {:?}", scale.shape), "[groups, rows]"));
    };
    if outputs != request.rows {
        return Err(request.wrong(
            scales,
            format!("it has {outputs} columns"),
            format!("{}, one per output", request.rows),
        ));
    }
    let dtype = request.float(scales)?;
    let scales = Scales { tensor: scales, dtype, order: ScaleOrder::GroupMajor };
    if second == outputs {
        gptq(request, codes, first, scales, groups)
    } else {
        awq(request, codes, [first, second], scales, groups)
    }
}

fn gptq(request: &Request<'_>, codes: TensorId, words: u64, scales: Scales, groups: u64) -> Result<Coding> {
    let (scheme, binding) = request.config.scheme(request.module);
    let group = group::width(request, scales.tensor, groups, scheme.group, binding && !wide(scheme.bits))?;
    // AutoRound's packer for round-to-nearest tensors pads the columns to whole groups.
    let padded = groups.saturating_mul(group);
    let fits = |bits: &u64| {
        words == (request.columns * bits).div_ceil(32) || words == padded.saturating_mul(*bits).div_ceil(32)
    };
    let zeros = request.find(".qzeros");
    let fits_zeros = |bits: &u64| {
        zeros.is_none_or(|z| request.info(z).shape == [groups, (request.rows * bits).div_ceil(32)])
    };
    let fits = |bits: &u64| fits(bits) && fits_zeros(bits);
    // With padding two widths can fit; the stated one takes precedence.
    let stated = scheme.bits.filter(|b| WIDTHS.contains(b) && fits(b));
    let Some(bits) = stated.or_else(|| WIDTHS.clone().find(fits)) else {
        let zeros =
            zeros.map_or_else(String::new, |z| format!(" and its zero points {:?}", request.info(z).shape));
        return Err(request.wrong(
            codes,
            format!("its shape is {:?}{zeros}", request.info(codes).shape),
            format!("words of 2 to 8 bits for {} rows of {} columns", request.rows, request.columns),
        ));
    };
    agree(request, codes, bits, scheme.bits, binding)?;
    let zero = match scheme.sym {
        Some(false) => zero(request, zeros, false, request.config.zeros()?, codes)?,
        _ => Zero::Middle { stored: words_of(request, zeros)? },
    };
    let g_idx = order(request, ".g_idx", group)?;
    if binding && scheme.ordered == Some(true) && groups > 1 {
        request.need(".g_idx")?;
    }
    Ok(Coding::Int(Int {
        bits: narrow(bits),
        codes,
        packing: Packing::Gptq,
        scales,
        group,
        groups,
        zero,
        g_idx,
    }))
}

fn awq(
    request: &Request<'_>,
    codes: TensorId,
    [inputs, words]: [u64; 2],
    scales: Scales,
    groups: u64,
) -> Result<Coding> {
    let (scheme, binding) = request.config.scheme(request.module);
    // Each word interleaves eight outputs.
    let bits = WIDTHS.clone().find(|b| words.checked_mul(32) == Some(request.rows * b));
    let Some(bits) = bits.filter(|_| inputs == request.columns && request.rows.is_multiple_of(8)) else {
        return Err(request.wrong(
            codes,
            format!("its shape is {:?}", request.info(codes).shape),
            format!(
                "GPTQ words [{} * bits / 32, {}] or AWQ words [{}, {} * bits / 32]",
                request.columns, request.rows, request.columns, request.rows
            ),
        ));
    };
    agree(request, codes, bits, scheme.bits, binding)?;
    let group = group::width(request, scales.tensor, groups, scheme.group, binding && !wide(scheme.bits))?;
    let zeros = request.find(".qzeros");
    if let Some(z) = zeros {
        request.expect(z, Dtype::I32, &[groups, words], "(packed like the codes)")?;
    }
    let zero = zero(request, zeros, scheme.sym.unwrap_or(true), ZeroRule::Awq, codes)?;
    let packing = Packing::Awq;
    Ok(Coding::Int(Int { bits: narrow(bits), codes, packing, scales, group, groups, zero, g_idx: None }))
}

/// Resolves `weight_packed` and `weight_scale`: `pack-quantized` of compressed-tensors.
pub(super) fn compressed(request: &Request<'_>, codes: TensorId) -> Result<Coding> {
    let (rows, columns) = (request.rows, request.columns);
    let (scheme, binding) = request.config.scheme(request.module);
    let scales = request.need(".weight_scale")?;
    let (info, scale) = (request.info(codes), request.info(scales));
    let (&[r, words], &[scale_rows, groups]) = (info.shape.as_slice(), scale.shape.as_slice()) else {
        return Err(request.wrong(codes, format!("its shape is {:?}", info.shape), "two dimensions"));
    };
    if r != rows || scale_rows != rows {
        return Err(request.wrong(
            codes,
            format!("it has {r} rows, its scales {scale_rows}"),
            format!("{rows}"),
        ));
    }
    let dense = |bits: u64| words == (columns * bits).div_ceil(32);
    let sparse = |bits: u64| words == columns.div_ceil(32 / bits);
    let stated = scheme.bits.filter(|b| WIDTHS.contains(b) && (dense(*b) || sparse(*b)));
    let Some(bits) = stated.or_else(|| if binding { None } else { WIDTHS.clone().find(|b| dense(*b)) })
    else {
        return Err(request.wrong(
            codes,
            format!("its shape is {:?}", info.shape),
            format!(
                "{columns} columns of {} bits",
                scheme.bits.map_or("2 to 8".to_owned(), |b| b.to_string())
            ),
        ));
    };
    let per_word = (!dense(bits)).then_some(32 / narrow(bits));
    let group = group::width(request, scales, groups, scheme.group, binding)?;
    let zeros = request.find(".weight_zero_point");
    let zero = match zeros {
        Some(z) if request.info(z).dtype == Dtype::I8 => {
            request.expect(z, Dtype::I8, &[rows, groups], "(one zero point per group)")?;
            Zero::Stored { tensor: z, rule: ZeroRule::Bytes }
        }
        Some(z) => {
            let down = [(rows * bits).div_ceil(32), rows.div_ceil(32 / bits)];
            let found = &request.info(z).shape;
            let lines = down.into_iter().find(|&n| found.as_slice() == [n, groups]);
            let Some(lines) = lines.filter(|_| request.info(z).dtype == Dtype::I32) else {
                request.expect(z, Dtype::I32, &[down[0], groups], "(packed down the rows)")?;
                return Err(request.wrong(z, "its layout is unknown", "zero points packed down the rows"));
            };
            let per_word = (lines != down[0]).then_some(32 / narrow(bits));
            Zero::Stored { tensor: z, rule: ZeroRule::DownRows { per_word } }
        }
        None if scheme.sym == Some(false) => return Err(request.missing(".weight_zero_point")),
        None => Zero::Middle { stored: None },
    };
    let g_idx = order(request, ".weight_g_idx", group)?;
    if binding && scheme.ordered == Some(true) && groups > 1 {
        request.need(".weight_g_idx")?;
    }
    let scales = Scales { tensor: scales, dtype: request.float(scales)?, order: ScaleOrder::RowMajor };
    let packing = Packing::RowMajor { per_word };
    Ok(Coding::Int(Int { bits: narrow(bits), codes, packing, scales, group, groups, zero, g_idx }))
}

/// Resolves signed bytes with a scale per group, row or tensor: `int-quantized` of compressed-tensors.
pub(super) fn bytes(request: &Request<'_>, codes: TensorId) -> Result<Coding> {
    let (rows, columns) = (request.rows, request.columns);
    request.expect(codes, Dtype::I8, &[rows, columns], "by `config.json`")?;
    let scales = request.need(".weight_scale")?;
    let shape = &request.info(scales).shape;
    let count: u64 = shape.iter().product();
    if count == 0 || count != rows && count != 1 && !(shape.len() == 2 && shape[0] == rows) {
        return Err(request.wrong(scales, format!("its shape is {shape:?}"), format!("[{rows}, 1] or [1]")));
    }
    // A scale of the whole tensor is repeated for each row when it is read.
    let groups = (count / rows).max(1);
    let (scheme, binding) = request.config.scheme(request.module);
    let group = group::width(request, scales, groups, scheme.group, binding)?;
    let zero = match request.find(".weight_zero_point") {
        Some(tensor) => {
            let info = request.info(tensor);
            if info.dtype != Dtype::I8 || info.shape.iter().product::<u64>() != count {
                request.expect(tensor, Dtype::I8, shape, "(one zero point per scale)")?;
            }
            Zero::Stored { tensor, rule: ZeroRule::Bytes }
        }
        None if scheme.sym == Some(false) => return Err(request.missing(".weight_zero_point")),
        None => Zero::Middle { stored: None },
    };
    let g_idx = order(request, ".weight_g_idx", group)?;
    if binding && scheme.ordered == Some(true) && groups > 1 {
        request.need(".weight_g_idx")?;
    }
    let scales = Scales { tensor: scales, dtype: request.float(scales)?, order: ScaleOrder::RowMajor };
    let packing = Packing::Bytes;
    Ok(Coding::Int(Int { bits: 8, codes, packing, scales, group, groups, zero, g_idx }))
}

/// The column order, unless it is the natural one, `column / group`. Some writers store zeros for the natural order.
fn order(request: &Request<'_>, suffix: &str, group: u64) -> Result<Option<TensorId>> {
    let Some(id) = request.find(suffix) else { return Ok(None) };
    request.expect(id, Dtype::I32, &[request.columns], "(one group per column)")?;
    let columns = request.orders.of(request.checkpoint, id)?;
    Ok((!columns.is_trivial(group)).then_some(id))
}

/// The width as `u32`.
fn narrow(bits: u64) -> u32 {
    u32::try_from(bits).expect("WIDTHS ends at 8")
}

/// Returns true if the configuration declares the module unquantized; its other values then do not apply.
fn wide(bits: Option<u64>) -> bool {
    bits.is_some_and(|b| b >= 16)
}

fn agree(
    request: &Request<'_>,
    codes: TensorId,
    found: u64,
    stated: Option<u64>,
    binding: bool,
) -> Result<()> {
    match stated {
        Some(stated) if binding && !wide(Some(stated)) && stated != found => Err(request.wrong(
            codes,
            format!("its shape fits {found}-bit codes"),
            format!("{stated} bits by `quantization_config`"),
        )),
        _ => Ok(()),
    }
}

fn zero(
    request: &Request<'_>,
    zeros: Option<TensorId>,
    sym: bool,
    rule: ZeroRule,
    codes: TensorId,
) -> Result<Zero> {
    match (sym, words_of(request, zeros)?) {
        (true, stored) => Ok(Zero::Middle { stored }),
        (false, Some(tensor)) => Ok(Zero::Stored { tensor, rule }),
        (false, None) => {
            Err(request.wrong(codes, "it has no `qzeros`", "zero points of an asymmetric weight"))
        }
    }
}

/// Stored zero points, which must be words.
fn words_of(request: &Request<'_>, zeros: Option<TensorId>) -> Result<Option<TensorId>> {
    match zeros {
        Some(z) if request.info(z).dtype != Dtype::I32 => {
            Err(request.wrong(z, format!("its dtype is {}", request.info(z).dtype), "I32 words"))
        }
        zeros => Ok(zeros),
    }
}
