//! The tensors of a model, with what placement needs: the layer, the kind and the size of each.

use std::collections::BTreeMap;

use gguf_export::ggml::GgmlType;
use gguf_export::gguf::TensorInfo;

use super::error::PlaceError;
use super::machine::{Gpu, Machine};
use super::pattern::Pattern;
use crate::llama::{Kernels, Matrix, Override};
use crate::model::{HParams, Header};

/// llama.cpp's pattern for routed experts, `LLM_FFN_EXPS_REGEX`.
pub(super) const EXPERTS: &str = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps";

/// The size above which llama.cpp reads an embedding of each layer as it is needed.
const LAZY: u64 = 4 << 30;

/// The part of the model that a tensor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// The embeddings, always on the CPU.
    Input,
    /// A layer.
    Layer(u32),
    /// The final norm and the heads, which count as one more layer.
    Output,
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Weight {
    pub(super) name: String,
    pub(super) home: Home,
    pub(super) experts: bool,
    pub(super) bytes: u64,
    /// Values of a row.
    pub(super) columns: u64,
    pub(super) ty: GgmlType,
    /// Whether it can be repacked for the CPU.
    pub(super) repackable: bool,
    /// Whether the CPU has a kernel for it in the layout of the file.
    pub(super) has_kernel: bool,
    /// The GPUs that cannot compute with it, as devices of a placement.
    pub(super) refused_by: Vec<usize>,
}

impl Weight {
    /// Whether it is a table of which a token reads one row.
    pub(super) fn is_lookup(&self) -> bool {
        let is_table = matches!(self.name.as_str(), "token_embd.weight" | "per_layer_token_embd.weight");
        is_table && self.home == Home::Input
    }

    /// Whether it is read as experts are chosen, if the load mode says so. Biases and factors of experts are not.
    pub(super) fn is_streamed(&self) -> bool {
        self.experts && self.name.contains("_exps.weight")
    }

    /// Whether it is the embedding as the head.
    pub(super) fn is_tied(&self) -> bool {
        self.home == Home::Output && self.name == "token_embd.weight"
    }

    /// Whether llama.cpp maps it whatever the load mode, and reads rows as they are needed.
    pub(super) fn is_lazy(&self) -> bool {
        self.name == "per_layer_token_embd.weight" && self.bytes > LAZY
    }

    /// Whether it is the matrix that makes logits.
    pub(super) fn is_head(&self) -> bool {
        self.home == Home::Output && matches!(self.name.as_str(), "output.weight" | "token_embd.weight")
    }

    /// Bytes that are read for one token.
    pub(super) fn bytes_per_token(&self, hparams: &HParams) -> u64 {
        match self.home {
            Home::Input => 0,
            Home::Layer(_) | Home::Output if self.experts => {
                self.bytes / u64::from(hparams.experts.max(1)) * u64::from(hparams.experts_used)
            }
            Home::Layer(_) | Home::Output => self.bytes,
        }
    }
}

/// Says whether a GPU multiplies by a matrix.
pub(super) type Multiplies<'a> = &'a dyn Fn(&Gpu, &Matrix) -> bool;

/// The tensors that llama.cpp loads: all except those of MTP layers.
pub(super) fn weights(
    header: &Header,
    hparams: &HParams,
    machine: &Machine,
    multiplies: Multiplies<'_>,
) -> Vec<Weight> {
    let trunk = hparams.layers - hparams.mtp_layers;
    let kernels = machine.kernels.as_ref();
    // Layers have matrices of the same shapes.
    let mut known: BTreeMap<Matrix, Vec<usize>> = BTreeMap::new();
    let mut refused_by = |matrix: Matrix| {
        let ask = || {
            let gpus = machine.gpus.iter().enumerate();
            gpus.filter(|(_, gpu)| !multiplies(gpu, &matrix)).map(|(index, _)| index + 1).collect()
        };
        known.entry(matrix).or_insert_with(ask).clone()
    };
    let mut weights: Vec<Weight> = header
        .tensors
        .iter()
        .map(|tensor| Weight {
            home: home(&tensor.name),
            experts: tensor.name.contains("_exps"),
            bytes: tensor.bytes(),
            columns: tensor.dims.first().copied().unwrap_or(0),
            ty: tensor.ty,
            repackable: repackable(tensor.ty, &tensor.dims),
            has_kernel: kernels.is_some_and(|kernels| has_kernel(kernels, tensor.ty, &tensor.dims)),
            refused_by: matrix(tensor, hparams).map_or_else(Vec::new, &mut refused_by),
            name: tensor.name.clone(),
        })
        .filter(|weight| !matches!(weight.home, Home::Layer(layer) if layer >= trunk))
        .collect();
    // A model without a separate head takes the embedding.
    if header.tensor("output.weight").is_none()
        && let Some(embedding) = weights.iter().find(|w| w.name == "token_embd.weight").cloned()
    {
        weights.push(Weight { home: Home::Output, ..embedding });
    }
    weights
}

/// The part of the model by the list that llama.cpp takes buffers from, `LLM_TENSOR_INFOS`. Tensors of the layers that
/// exist once belong to the first layer.
fn home(name: &str) -> Home {
    let mut parts = name.split('.');
    match (parts.next().unwrap_or_default(), parts.next().map(str::parse)) {
        ("blk", Some(Ok(layer))) => Home::Layer(layer),
        ("token_embd" | "position_embd" | "token_types" | "per_layer_token_embd", _) => Home::Input,
        ("cls" | "altup_proj" | "altup_unembd_proj", _) => Home::Output,
        (first, _) if first.starts_with("output") => Home::Output,
        _ => Home::Layer(0),
    }
}

/// The matrix of a product with a tensor; `None` for a vector and for a convolution, which are in no such product.
fn matrix(tensor: &TensorInfo, hparams: &HParams) -> Option<Matrix> {
    let TensorInfo { name, dims, ty, .. } = tensor;
    if !name.ends_with(".weight") || name.ends_with(".ssm_conv1d.weight") {
        return None;
    }
    let [columns, rows, ref rest @ ..] = dims[..] else { return None };
    Some(Matrix {
        ty: ty.id(),
        columns,
        rows,
        count: rest.iter().try_fold(1, |count: u64, dim| count.checked_mul(*dim))?,
        experts_used: name.contains("_exps").then_some(hparams.experts_used),
    })
}

/// Whether llama.cpp repacks a type for the CPU, on x86 with AVX2 and on ARM (`repack.cpp`).
fn repackable(ty: GgmlType, dims: &[u64]) -> bool {
    use GgmlType::{IQ4_NL, MXFP4, Q2_K, Q4_0, Q4_K};
    dims.len() >= 2 && dims[1].is_multiple_of(8) && matches!(ty, Q4_0 | Q4_K | Q2_K | IQ4_NL | MXFP4)
}

/// Whether the kernels take a tensor: whole panels of 16 rows and 256 columns.
fn has_kernel(kernels: &Kernels, ty: GgmlType, dims: &[u64]) -> bool {
    matches!(*dims, [columns, rows, ..] if columns.is_multiple_of(256) && rows.is_multiple_of(16))
        && kernels.types.contains(&ty.id())
}

/// Bytes of the largest layer's experts on the CPU: a step of many tokens reads them one layer after the other.
pub(super) fn largest_layer(weights: &[Weight], is_on_cpu: impl Fn(&Weight) -> bool) -> u64 {
    let mut layers = BTreeMap::new();
    for weight in weights.iter().filter(|weight| weight.experts && is_on_cpu(weight)) {
        if let Home::Layer(layer) = weight.home {
            *layers.entry(layer).or_insert(0u64) += weight.bytes;
        }
    }
    layers.into_values().max().unwrap_or(0)
}

/// A parsed override: the pattern, and the device of the buffer.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pattern: Pattern,
    pub(super) device: usize,
}

impl Rule {
    /// Parses an override; `buffers` are the names of buffer types by device.
    pub(super) fn parse(over: &Override, buffers: &[String]) -> Result<Self, PlaceError> {
        let pattern = Pattern::parse(&over.pattern)
            .map_err(|reason| PlaceError::Pattern { pattern: over.pattern.clone(), reason })?;
        match buffers.iter().position(|buffer| *buffer == over.buffer) {
            Some(device) => Ok(Self { pattern, device }),
            None => Err(PlaceError::Buffer { buffer: over.buffer.clone(), known: buffers.to_vec() }),
        }
    }

    /// Whether the pattern matches a tensor's name.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.pattern.matches(name)
    }
}

/// The overrides that keep the experts of the first layers in main memory, like llama.cpp's `-ncmoe`.
pub(super) fn cpu_experts(layers: u32, all: u32) -> Vec<Override> {
    let on_cpu = |pattern: String| Override { pattern, buffer: "CPU".to_owned() };
    if layers >= all {
        return vec![on_cpu(EXPERTS.to_owned())];
    }
    (0..layers).map(|layer| on_cpu(format!(r"blk\.{layer}{EXPERTS}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_without_a_layer_are_where_llama_cpp_places_them() {
        for (name, expected) in [
            ("token_embd.weight", Home::Input),
            ("per_layer_token_embd.weight", Home::Input),
            ("per_layer_model_proj.weight", Home::Layer(0)),
            ("per_layer_proj_norm.weight", Home::Layer(0)),
            ("rope_freqs.weight", Home::Layer(0)),
            ("token_embd_norm.weight", Home::Layer(0)),
            ("output.weight", Home::Output),
            ("output_norm.weight", Home::Output),
            ("cls.output.weight", Home::Output),
            ("altup_proj.weight", Home::Output),
            ("blk.7.ffn_up_exps.weight", Home::Layer(7)),
            ("blk.x.ffn_up.weight", Home::Layer(0)),
        ] {
            assert_eq!(home(name), expected, "{name}");
        }
    }
}
