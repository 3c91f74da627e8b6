//! The checkpoint to write: dimensions of a Qwen3-Next model, and encodings of its parts.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::encode::{self, Encoding, Site, Weight};
use crate::layout::{self, Part, Role, Slot};
use crate::rng::Rng;
use crate::safetensors::{Dtype, Tensor};
use crate::{config, tokenizer};

/// Attention type of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// Gated delta net.
    Linear,
    /// Softmax attention.
    Full,
}

/// The MTP layer of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mtp {
    /// None.
    None,
    /// Complete, not quantized.
    Bf16,
    /// Its Linears in the model's main encoding, except `mtp.fc` and the gates.
    Quantized,
    /// As `Quantized`, with a quantized `mtp.fc` that the configuration does not mention.
    QuantizedFc,
    /// Not quantized, without `mtp.fc` and one expert.
    Partial,
}

/// The tool whose configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `auto-round`.
    AutoRound,
    /// `gptq`.
    Gptq,
    /// `gptq` or `awq` as written by GPTQModel, which repeats the format under several keys.
    GptqModel,
    /// `awq`.
    Awq,
    /// `fp8`, as released by model authors.
    Fp8,
    /// `fp8`, as written by AutoRound: with additional keys.
    Fp8AutoRound,
    /// `compressed-tensors`.
    CompressedTensors,
    /// `modelopt`.
    ModelOpt,
}

/// A change to the finished `config.json`, by JSON pointer.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Sets a key of an existing object.
    Set(&'static str, Value),
    /// Removes a key.
    Remove(&'static str),
}

/// A Qwen3-Next checkpoint to be written. Start from [`Model::tiny`].
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent properties of a file")]
pub struct Model {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Rows of the embedding, at least the number of tokens.
    pub vocab: usize,
    /// The layers in order.
    pub layers: Vec<LayerKind>,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Key heads of linear attention.
    pub key_heads: usize,
    /// Value heads of linear attention.
    pub value_heads: usize,
    /// Width of a key head.
    pub key_head_dim: usize,
    /// Width of a value head.
    pub value_head_dim: usize,
    /// Kernel size of the convolution.
    pub conv_kernel: usize,
    /// Routed experts per layer.
    pub expert_count: usize,
    /// Experts used per token.
    pub expert_used: usize,
    /// Inner width of an expert.
    pub expert_dim: usize,
    /// Inner width of the shared expert.
    pub shared_expert_dim: usize,
    /// True if the head shares the embedding's weights.
    pub tied: bool,

    /// Encoding of the routed experts.
    pub experts: Encoding,
    /// Encoding of attention, linear attention and the shared expert.
    pub linears: Encoding,
    /// Encoding of `in_proj_ba`.
    pub in_proj_ba: Encoding,
    /// Encoding of `mlp.gate`.
    pub router: Encoding,
    /// Encoding of `mlp.shared_expert_gate`.
    pub shared_expert_gate: Encoding,
    /// Encoding of `lm_head`.
    pub head: Encoding,
    /// Dtype of all other weights: embedding, norms, convolution.
    pub dtype: Dtype,
    /// Encodings of single modules by name.
    pub overrides: Vec<(String, Encoding)>,
    /// The MTP layer.
    pub mtp: Mtp,
    /// Store the experts of a layer in one tensor; plain and FP8 experts only.
    pub fused_experts: bool,
    /// Use the whole range of the scale formats; such a model cannot be run.
    pub extreme_scales: bool,

    /// The tool whose configuration is written; `None` for the usual one of the main encoding.
    pub method: Option<Method>,
    /// `packing_format`; `None` for that of the writer.
    pub packing_format: Option<String>,
    /// `autoround_version`; `None` for a version that writes such files.
    pub autoround_version: Option<String>,
    /// Write a configuration of AutoRound's model-free path: with `model_free`, and with `packing_format` `auto_round` if
    /// asymmetric.
    pub model_free: bool,
    /// Express mixed recipes by patterns instead of module names.
    pub regex_recipe: bool,
    /// Write the older keys: `rope_theta`, `full_attention_interval`, `torch_dtype`.
    pub old_config: bool,
    /// Changes to the finished `config.json`.
    pub edits: Vec<Edit>,
    /// Number of shards.
    pub shards: usize,
    /// Seed of all values.
    pub seed: u64,
}

impl Model {
    /// Two layers of width 128, four experts, about a million weights, nothing quantized.
    pub fn tiny() -> Self {
        Self {
            hidden: 128,
            vocab: 320,
            layers: vec![LayerKind::Linear, LayerKind::Full],
            heads: 4,
            kv_heads: 2,
            head_dim: 64,
            key_heads: 2,
            value_heads: 4,
            key_head_dim: 64,
            value_head_dim: 64,
            conv_kernel: 4,
            expert_count: 4,
            expert_used: 2,
            expert_dim: 128,
            shared_expert_dim: 128,
            tied: false,
            experts: Encoding::Bf16,
            linears: Encoding::Bf16,
            in_proj_ba: Encoding::Bf16,
            router: Encoding::Bf16,
            shared_expert_gate: Encoding::Bf16,
            head: Encoding::Bf16,
            dtype: Dtype::Bf16,
            overrides: Vec::new(),
            mtp: Mtp::None,
            fused_experts: false,
            extreme_scales: false,
            method: None,
            packing_format: None,
            autoround_version: None,
            model_free: false,
            regex_recipe: false,
            old_config: false,
            edits: Vec::new(),
            shards: 1,
            seed: 0,
        }
    }

    /// The tiny model with experts and Linears in one encoding.
    pub fn uniform(encoding: Encoding) -> Self {
        Self { experts: encoding, linears: encoding, ..Self::tiny() }
    }

    /// Builds the checkpoint and writes it.
    pub fn write(&self, dir: &Path) -> Checkpoint {
        let checkpoint = self.build();
        checkpoint.write(dir);
        checkpoint
    }

    /// Builds the checkpoint.
    pub fn build(&self) -> Checkpoint {
        let mut built = Built::default();
        for slot in layout::slots(self) {
            match slot.role {
                Role::Linear(part) => self.linear(&slot, part, &mut built),
                Role::FusedExperts => self.fused(&slot, &mut built),
                role => self.other(&slot, role, &mut built),
            }
        }
        let (config, mut json) = config::files(self);
        json.extend(tokenizer::files());
        Checkpoint {
            config,
            json,
            tensors: built.tensors,
            weights: built.weights,
            shards: self.shards,
            // The model-free path quantizes mtp.* like any other weight.
            mtp_in_extra_file: self.mtp != Mtp::QuantizedFc,
        }
    }

    /// The encoding of a Linear.
    pub fn encoding(&self, module: &str, part: Part) -> Encoding {
        if let Some((_, encoding)) = self.overrides.iter().find(|(name, _)| name == module) {
            return *encoding;
        }
        let (main, mtp) = (self.main_encoding(), module.starts_with("mtp."));
        match (part, self.mtp) {
            (Part::MtpFc, Mtp::QuantizedFc) => main,
            (Part::Router, _) if !mtp => self.router,
            (Part::SharedExpertGate, _) if !mtp => self.shared_expert_gate,
            (Part::MtpFc | Part::Router | Part::SharedExpertGate, _) => Encoding::Bf16,
            (_, Mtp::Quantized | Mtp::QuantizedFc) if mtp => main,
            _ if mtp => Encoding::Bf16,
            (Part::Expert, _) => self.experts,
            (Part::Linear, _) => self.linears,
            (Part::InProjBa, _) => self.in_proj_ba,
            (Part::Head, _) => self.head,
        }
    }

    /// The encoding that the configuration declares for the whole model; BF16 if nothing is quantized.
    pub fn main_encoding(&self) -> Encoding {
        let named =
            [self.experts, self.linears, self.in_proj_ba, self.head, self.router, self.shared_expert_gate];
        let overrides = self.overrides.iter().map(|(_, encoding)| *encoding);
        named.into_iter().chain(overrides).find(|e| !e.is_plain()).unwrap_or(Encoding::Bf16)
    }

    fn site<'a>(&self, module: &'a str, rows: usize, cols: usize) -> Site<'a> {
        Site { module, rows, cols, rng: Rng::named(self.seed, module), extreme_scales: self.extreme_scales }
    }

    fn linear(&self, slot: &Slot, part: Part, built: &mut Built) {
        let encoding = self.encoding(&slot.name, part);
        let encoded = encoding.encode(self.site(&slot.name, slot.shape[0], slot.shape[1]));
        built.tensors.extend(encoded.tensors);
        built.weight(format!("{}.weight", slot.name), slot.shape.clone(), encoded.values);
    }

    /// Stacks the matrices of all experts in one tensor, and their scales in another.
    fn fused(&self, slot: &Slot, built: &mut Built) {
        let (layer, name) = slot.name.rsplit_once('.').expect("a dotted name");
        let [count, rows, cols] = slot.shape[..] else { panic!("fused experts have three dimensions") };
        let encoding = if slot.is_mtp() { Encoding::Bf16 } else { self.experts };
        assert!(encoding.is_plain() || matches!(encoding, Encoding::Fp8(_)), "cannot fuse {encoding:?}");
        let mut stacked: Vec<Tensor> = Vec::new();
        for expert in 0..count {
            let module = format!("{layer}.{expert}.{name}");
            let encoded = encoding.encode(self.site(&module, rows, cols));
            for (i, tensor) in encoded.tensors.into_iter().enumerate() {
                if expert == 0 {
                    let suffix = tensor.name.rsplit_once("weight").expect("a weight or its scale").1;
                    let shape = [&[count][..], &tensor.shape].concat();
                    let name = format!("{}{suffix}", slot.name);
                    stacked.push(Tensor { name, dtype: tensor.dtype, shape, data: Vec::new() });
                }
                stacked[i].data.extend(tensor.data);
            }
            let mut values = encoded.values;
            let parts: &[&str] =
                if name == "gate_up_proj" { &["up_proj", "gate_proj"] } else { &["down_proj"] };
            for (left, part) in parts.iter().enumerate().map(|(i, part)| (parts.len() - i - 1, part)) {
                let rows = rows / parts.len();
                let tail = values.split_off(left * rows * cols);
                built.weight(format!("{layer}.{expert}.{part}.weight"), vec![rows, cols], tail);
            }
        }
        built.tensors.extend(stacked);
    }

    fn other(&self, slot: &Slot, role: Role, built: &mut Built) {
        let (low, high) = match role {
            Role::Embedding => (-1.0, 1.0),
            Role::Norm if slot.name.ends_with("linear_attn.norm.weight") => (0.5, 1.5),
            Role::Norm => (-0.3, 0.3),
            Role::Conv => (-0.5, 0.5),
            // Logarithms of 1 to 16.
            Role::ALog => (0.0, 2.77),
            Role::DtBias => (-4.0, 1.0),
            Role::Linear(_) | Role::FusedExperts => unreachable!("encoded elsewhere"),
        };
        let mut rng = Rng::named(self.seed, &slot.name);
        let values: Vec<f64> = (0..slot.shape.iter().product()).map(|_| rng.uniform(low, high)).collect();
        let (data, values) = encode::plain(self.dtype, &values);
        built.tensors.push(Tensor::new(slot.name.clone(), self.dtype, &slot.shape, data));
        built.weight(slot.name.clone(), slot.shape.clone(), values);
    }
}

#[derive(Default)]
struct Built {
    tensors: Vec<Tensor>,
    weights: BTreeMap<String, Weight>,
}

impl Built {
    fn weight(&mut self, name: String, shape: Vec<usize>, values: Vec<f32>) {
        self.weights.insert(name, Weight { shape, values });
    }
}

#[cfg(test)]
mod tests;
