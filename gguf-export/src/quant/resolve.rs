//! Finds how one module is stored. The tensors decide; the configuration must agree where it speaks.

use super::{Coding, Float, Orders, QuantConfig, Weight, affine, float, int};
use crate::checkpoint::{Checkpoint, Dtype, TensorId, TensorInfo};
use crate::{Error, Result};

/// Suffixes that tell that a module is quantised; the first that is there decides.
const MAIN: [&str; 4] = [".qweight", ".weight_packed", ".weight", ""];
/// Tensors that accompany a weight without changing its values: activation scales of static schemes, shapes, and
/// orders of columns, which [`resolve`] has looked at.
const IGNORED: [&str; 11] = [
    ".weight_shape",
    ".g_idx",
    ".weight_g_idx",
    ".input_scale",
    ".input_global_scale",
    ".act_scales",
    ".w_bf16_to_fp8_scale",
    ".k_scale",
    ".v_scale",
    ".q_scale",
    ".output_scale",
];

/// Resolves `module` (`model.layers.0.mlp.gate`, or the full name of a parameter without `.weight`), a matrix
/// of `rows` outputs and `columns` inputs. `None` if none of its tensors is there.
///
/// # Errors
/// [`Error::Tensor`] for shapes that contradict the model or each other, [`Error::MissingTensor`] for a module
/// with half its tensors, [`Error::Unsupported`] for an encoding that is refused.
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
        return request.refuse_half();
    };
    let dtype = checkpoint.info(id).dtype;
    let coding = match (suffix, dtype) {
        (".qweight", _) => int::words(&request, id)?,
        (".weight_packed", Dtype::I32) => int::compressed(&request, id)?,
        (".weight", affine::WORDS) if affine::is_it(&request) => affine::words(&request, id)?,
        (".weight_packed" | ".weight", Dtype::U8) => float::micro(&request, id)?,
        (_, Dtype::I8) => int::bytes(&request, id)?,
        (_, Dtype::F8E4M3 | Dtype::F8E5M2) => float::fp8(&request, id)?,
        _ => plain(&request, id)?,
    };
    Ok(Some(Weight { rows, columns, coding }))
}

/// Whether a tensor may be left unused: it accompanies a weight, or is made anew by every runtime.
#[must_use]
pub fn excused(name: &str) -> bool {
    IGNORED.iter().any(|s| name.ends_with(s)) || name.ends_with("rotary_emb.inv_freq")
}

/// What is asked for, with the means to answer.
pub(super) struct Request<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) config: &'a QuantConfig,
    pub(super) orders: &'a Orders,
    pub(super) module: &'a str,
    pub(super) rows: u64,
    pub(super) columns: u64,
}

impl Request<'_> {
    pub(super) fn find(&self, suffix: &str) -> Option<TensorId> {
        self.checkpoint.find(&format!("{}{suffix}", self.module))
    }

    pub(super) fn info(&self, id: TensorId) -> &TensorInfo {
        self.checkpoint.info(id)
    }

    /// A companion that must be there.
    pub(super) fn need(&self, suffix: &str) -> Result<TensorId> {
        self.find(suffix).ok_or_else(|| self.missing(suffix))
    }

    pub(super) fn missing(&self, suffix: &str) -> Error {
        Error::MissingTensor {
            path: self.checkpoint.dir().to_owned(),
            tensor: format!("{}{suffix}", self.module),
            needed_by: "other tensors of this module are there".to_owned(),
        }
    }

    pub(super) fn wrong(&self, id: TensorId, found: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::Tensor { at: self.checkpoint.locate(id), found: found.into(), expected: expected.into() }
    }

    /// Checks type and shape.
    pub(super) fn expect(&self, id: TensorId, dtype: Dtype, shape: &[u64], why: &str) -> Result<()> {
        let info = self.info(id);
        if info.dtype == dtype && info.shape == shape {
            return Ok(());
        }
        let expected = format!("{dtype} {shape:?} {why}");
        Err(self.wrong(id, format!("it is {} {:?}", info.dtype, info.shape), expected))
    }

    /// The type of a tensor of floats.
    pub(super) fn float(&self, id: TensorId) -> Result<Float> {
        match self.info(id).dtype {
            Dtype::F16 => Ok(Float::F16),
            Dtype::BF16 => Ok(Float::BF16),
            Dtype::F32 => Ok(Float::F32),
            other => Err(self.wrong(id, format!("its type is {other}"), "F16, BF16 or F32")),
        }
    }

    fn refuse_half(&self) -> Result<Option<Weight>> {
        for suffix in [".scales", ".biases", ".qzeros", ".weight_scale", ".weight_scale_inv", ".weight_shape"]
        {
            if self.find(suffix).is_some() {
                return Err(Error::MissingTensor {
                    path: self.checkpoint.dir().to_owned(),
                    tensor: format!("{}.qweight", self.module),
                    needed_by: format!("`{}{suffix}` is there", self.module),
                });
            }
        }
        Ok(None)
    }
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
            format!("{rows} rows of {columns} by the model's configuration"),
        ));
    }
    Ok(Coding::Plain { values: id, dtype: request.float(id)? })
}
