//! The tensors of a model as placement sees them: their layer, their part, their bytes.

use gguf_export::ggml::GgmlType;

use super::PlaceError;
use crate::llama::Override;
use crate::model::{HParams, Header};

/// llama.cpp's own expression for routed experts, `LLM_FFN_EXPS_REGEX`.
pub(super) const EXPERTS: &str = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps";

/// Where a tensor belongs by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// Read at the beginning, always by the CPU.
    Input,
    /// A layer.
    Layer(u32),
    /// Norm and head at the end: one more layer.
    Output,
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Weight {
    pub(super) name: String,
    pub(super) home: Home,
    pub(super) experts: bool,
    pub(super) bytes: u64,
    /// Whether the CPU can have it reordered.
    pub(super) repackable: bool,
}

/// The tensors that llama.cpp loads: prediction layers stay in the file.
pub(super) fn weights(header: &Header, hparams: &HParams) -> Vec<Weight> {
    let trunk = hparams.layers - hparams.prediction_layers;
    let mut weights: Vec<Weight> = header
        .tensors
        .iter()
        .map(|tensor| Weight {
            home: home(&tensor.name),
            experts: tensor.name.contains("_exps"),
            bytes: tensor.bytes(),
            repackable: repackable(tensor.ty, &tensor.dims),
            name: tensor.name.clone(),
        })
        .filter(|weight| !matches!(weight.home, Home::Layer(layer) if layer >= trunk))
        .collect();
    // Without a head of its own, the embedding is loaded a second time as one.
    if header.tensor("output.weight").is_none()
        && let Some(embedding) = weights.iter().find(|w| w.name == "token_embd.weight").cloned()
    {
        weights.push(Weight { home: Home::Output, ..embedding });
    }
    weights
}

fn home(name: &str) -> Home {
    let layer =
        name.strip_prefix("blk.").and_then(|rest| rest.split('.').next()).and_then(|n| n.parse().ok());
    match layer {
        Some(layer) => Home::Layer(layer),
        None if name.starts_with("output") => Home::Output,
        None => Home::Input,
    }
}

/// Types that llama.cpp's CPU buffers reorder on x86 with AVX2 and on ARM (`repack.cpp`).
fn repackable(ty: GgmlType, dims: &[u64]) -> bool {
    use GgmlType::{IQ4_NL, MXFP4, Q2_K, Q4_0, Q4_K};
    dims.len() >= 2 && dims[1].is_multiple_of(8) && matches!(ty, Q4_0 | Q4_K | Q2_K | IQ4_NL | MXFP4)
}

/// An override that was understood: the expression, and the device its buffer is on.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pattern: fancy_regex::Regex,
    pub(super) device: usize,
}

impl Rule {
    /// Understands an override; `buffers` are names of buffer types by device.
    pub(super) fn parse(wanted: &Override, buffers: &[String]) -> Result<Self, PlaceError> {
        let pattern = fancy_regex::Regex::new(&wanted.pattern).map_err(|error| PlaceError::Pattern {
            pattern: wanted.pattern.clone(),
            reason: error.to_string(),
        })?;
        match buffers.iter().position(|buffer| *buffer == wanted.buffer) {
            Some(device) => Ok(Self { pattern, device }),
            None => Err(PlaceError::Buffer { buffer: wanted.buffer.clone(), known: buffers.to_vec() }),
        }
    }

    /// Whether it is about this tensor. An expression that takes too long to match is about none.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.pattern.is_match(name).unwrap_or(false)
    }
}

/// The overrides that keep the experts of the first layers in main memory, as llama.cpp's `-ncmoe` writes them.
pub(super) fn cpu_experts(layers: u32, all: u32) -> Vec<Override> {
    let on_cpu = |pattern: String| Override { pattern, buffer: "CPU".to_owned() };
    if layers >= all {
        return vec![on_cpu(EXPERTS.to_owned())];
    }
    (0..layers).map(|layer| on_cpu(format!(r"blk\.{layer}{EXPERTS}"))).collect()
}
