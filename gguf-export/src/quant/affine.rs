//! MLX's packing, as AutoRound's exporter for it writes it: dense words along the inputs, a scale and a bias a group.

use super::resolve::Request;
use super::{Affine, Coding, group};
use crate::checkpoint::{Dtype, TensorId};
use crate::{Error, Result};

/// Widths whose codes do not cross words. How the others lie in theirs is written down nowhere.
const WIDTHS: [u32; 3] = [2, 4, 8];

/// `weight` of words, `scales`, `biases`.
pub(super) fn words(request: &Request<'_>, codes: TensorId) -> Result<Coding> {
    let (rows, columns) = (request.rows, request.columns);
    let (scales, biases) = (request.need(".scales")?, request.need(".biases")?);
    let (scheme, binding) = request.config.scheme(request.module);
    let found = &request.info(codes).shape;
    let words = |bits: u32| (columns * u64::from(bits)).div_ceil(32);
    let bits = WIDTHS.into_iter().find(|&bits| found.as_slice() == [rows, words(bits)]);
    let Some(bits) = bits else {
        if let Some(odd) = [3, 5, 6].into_iter().find(|&bits| found.as_slice() == [rows, words(bits)]) {
            let what = format!("MLX packing of {odd} bits (`{}`)", request.module);
            return Err(Error::Unsupported { path: request.checkpoint.dir().to_owned(), what });
        }
        return Err(request.wrong(
            codes,
            format!("its shape is {found:?}"),
            format!("MLX words of 2, 4 or 8 bits for {rows} rows of {columns} columns"),
        ));
    };
    if let Some(stated) = scheme.bits.filter(|&stated| binding && stated < 16 && stated != u64::from(bits)) {
        return Err(request.wrong(
            codes,
            format!("its shape is that of {bits}-bit codes"),
            format!("{stated} bits by `quantization_config`"),
        ));
    }
    let &[scale_rows, groups] = request.info(scales).shape.as_slice() else {
        return Err(request.wrong(
            scales,
            format!("its shape is {:?}", request.info(scales).shape),
            "[rows, groups]",
        ));
    };
    if scale_rows != rows {
        return Err(request.wrong(scales, format!("it has {scale_rows} rows"), format!("{rows}")));
    }
    let group = group::width(request, scales, groups, scheme.group, binding)?;
    let dtype = request.float(biases)?;
    request.expect(biases, request.info(biases).dtype, &[rows, groups], "(a bias for each scale)")?;
    let scales = (scales, request.float(scales)?);
    Ok(Coding::Affine(Affine { bits, codes, scales, biases: (biases, dtype), group, groups }))
}

/// The type of the words.
pub(super) const WORDS: Dtype = Dtype::U32;

/// Whether words have the companions that make them codes.
pub(super) fn is_it(request: &Request<'_>) -> bool {
    request.find(".scales").or_else(|| request.find(".biases")).is_some()
}
