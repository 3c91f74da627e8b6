//! MLX packing as written by AutoRound's MLX exporter: dense words along the inputs, a scale and a bias per group.

use super::request::Request;
use super::{Affine, Coding, group};
use crate::checkpoint::{Dtype, TensorId};
use crate::{Error, Result};

/// Widths whose codes do not cross words. The layout of the others is undocumented.
const WIDTHS: [u32; 3] = [2, 4, 8];

/// Resolves `weight` (words), `scales` and `biases`.
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
            format!("its shape fits {bits}-bit codes"),
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
    request.expect(biases, request.info(biases).dtype, &[rows, groups], "(one bias per scale)")?;
    let scales = (scales, request.float(scales)?);
    Ok(Coding::Affine(Affine { bits, codes, scales, biases: (biases, dtype), group, groups }))
}

/// Dtype of the words.
pub(super) const WORDS: Dtype = Dtype::U32;

/// Returns true if the module has the companions of packed codes.
pub(super) fn has_companions(request: &Request<'_>) -> bool {
    request.find(".scales").or_else(|| request.find(".biases")).is_some()
}
