//! Determines the encoding of one module from its tensors. The configuration must agree where it applies to the module.

use super::request::Request;
use super::{Coding, Orders, QuantConfig, Weight, affine, float, int};
use crate::checkpoint::{Checkpoint, Dtype, TensorId};
use crate::{Error, Result};

/// Suffixes of the tensor with the codes or values; the first that exists is used.
const MAIN: [&str; 5] = [".qweight", ".weight_packed", ".weight", "", BLOCKS];
/// Stacked experts in MXFP4.
const BLOCKS: &str = "_blocks";
/// Suffixes of column orders, which [`resolve`] uses or refuses unless they are the natural one.
const ORDERS: [&str; 2] = [".g_idx", ".weight_g_idx"];

/// Resolves `module` (`model.layers.0.mlp.gate`, or the full name of a parameter without `.weight`), a matrix
/// of `rows` outputs and `columns` inputs. `None` if the checkpoint has none of its tensors.
///
/// # Errors
/// [`Error::Tensor`] for shapes that contradict the model or each other, [`Error::MissingTensor`] for a module that
/// lacks some of its tensors, [`Error::Unsupported`] for an encoding that is not supported.
pub fn resolve(
    checkpoint: &Checkpoint,
    config: &QuantConfig,
    orders: &Orders,
    module: &str,
    rows: u64,
    columns: u64,
) -> Result<Option<Weight>> {
    let request = Request { checkpoint, config, orders, module, rows, columns };
    let Some((suffix, id)) = MAIN.iter().find_map(|s| Some((*s, request.find(s)?))) else {
        return refuse_incomplete(&request);
    };
    let dtype = checkpoint.info(id).dtype;
    let coding = match (suffix, dtype) {
        (".qweight", _) => int::words(&request, id)?,
        (".weight_packed", Dtype::I32) => int::compressed(&request, id)?,
        (".weight", affine::WORDS) if affine::has_companions(&request) => affine::words(&request, id)?,
        (BLOCKS, _) => float::blocks(&request, id)?,
        (".weight_packed" | ".weight", Dtype::U8) => float::micro(&request, id)?,
        (_, Dtype::I8) => int::bytes(&request, id)?,
        (_, Dtype::F8E4M3 | Dtype::F8E5M2) => float::fp8(&request, id)?,
        _ => plain(&request, id)?,
    };
    let weight = Weight { rows, columns, coding };
    refuse_unused_order(&request, &weight)?;
    Ok(Some(weight))
}

/// Returns true if a tensor describes the layout of a weight and has no values of its own.
#[must_use]
pub fn is_layout(name: &str) -> bool {
    name.ends_with(".weight_shape") || ORDERS.iter().any(|suffix| name.ends_with(suffix))
}

/// Fails if the columns of a weight have an order that its encoding does not use, or if floats lack one that the
/// configuration declares.
fn refuse_unused_order(request: &Request<'_>, weight: &Weight) -> Result<()> {
    let used = weight.tensors();
    let group = weight.group();
    let unused = ORDERS.iter().filter_map(|suffix| request.find(suffix)).filter(|id| !used.contains(id));
    for id in unused {
        request.expect(id, Dtype::I32, &[request.columns], "(one group per column)")?;
        if !request.orders.of(request.checkpoint, id)?.is_natural(group) {
            let found = format!("it permutes the columns of a weight stored as {}", weight.describe());
            return Err(request.wrong(id, found, "the natural order of this encoding, `column / group`"));
        }
    }
    let (scheme, binding) = request.config.scheme(request.module);
    let is_grouped_float = matches!(weight.coding, Coding::Fp8(_) | Coding::Micro(_))
        && group.is_some_and(|group| group < weight.columns);
    if binding && scheme.ordered == Some(true) && is_grouped_float {
        request.need(".weight_g_idx")?;
    }
    Ok(())
}

/// Fails if the module has companions of a weight without the weight.
fn refuse_incomplete(request: &Request<'_>) -> Result<Option<Weight>> {
    for suffix in [".scales", ".biases", ".qzeros", ".weight_scale", ".weight_scale_inv", ".weight_shape"] {
        if request.find(suffix).is_some() {
            return Err(Error::MissingTensor {
                path: request.checkpoint.dir().to_owned(),
                tensor: format!("{}.qweight", request.module),
                needed_by: format!("`{}{suffix}` exists", request.module),
            });
        }
    }
    Ok(None)
}

fn plain(request: &Request<'_>, id: TensorId) -> Result<Coding> {
    let info = request.info(id);
    let (rows, columns) = (request.rows, request.columns);
    // Leading dimensions of fused experts count as rows; the middle one of a convolution is 1.
    let last = info.shape.last().copied().unwrap_or(1);
    let count = info.shape.iter().product::<u64>();
    if last != columns || count != rows * columns {
        return Err(request.wrong(
            id,
            format!("its shape is {:?}", info.shape),
            format!("{rows} rows of {columns} by `config.json`"),
        ));
    }
    Ok(Coding::Plain { values: id, dtype: request.float(id)? })
}
