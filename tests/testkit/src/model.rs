//! What to write: the dimensions of a Qwen3-Next model and how each part of it is stored.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::checkpoint::Checkpoint;
use crate::encode::{self, Encoding, Site, Weight};
use crate::layout::{self, Part, Role, Slot};
use crate::rng::Rng;
use crate::safetensors::{Dtype, Tensor};
use crate::{config, tokenizer};

/// The two kinds of token mixing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// Gated delta rule.
    Linear,
    /// Softmax attention.
    Full,
}

/// What is there of the multi-token prediction layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mtp {
    /// Nothing.
    None,
    /// All of it, not quantised.
    Bf16,
    /// Its Linears in the model's main encoding, but for `mtp.fc` and the gates.
    Quantised,
    /// The same with `mtp.fc`, which the configuration does not tell.
    QuantisedFc,
    /// Not quantised, with `mtp.fc` and one expert missing.
    Partial,
}

/// Which tool's configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `auto-round`.
    AutoRound,
    /// `gptq`.
    Gptq,
    /// `awq`.
    Awq,
    /// `fp8`, as released by model authors.
    Fp8,
    /// `fp8`, as AutoRound writes it: with its own keys beside the usual ones.
    Fp8AutoRound,
    /// `compressed-tensors`.
    CompressedTensors,
    /// `modelopt`.
    ModelOpt,
}

/// A change to the finished `config.json`, by JSON pointer.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Sets a key, new or not, of an object that is there.
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
    /// Rows of the embedding; more than the tokenizer has.
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
    /// Taps of the convolution.
    pub conv_kernel: usize,
    /// Routed experts per layer.
    pub expert_count: usize,
    /// Experts used per token.
    pub expert_used: usize,
    /// Inner width of an expert.
    pub expert_dim: usize,
    /// Inner width of the shared expert.
    pub shared_expert_dim: usize,
    /// The head is the embedding.
    pub tied: bool,

    /// How routed experts are stored.
    pub experts: Encoding,
    /// How attention, linear attention and the shared expert are stored.
    pub linears: Encoding,
    /// How `in_proj_ba` is stored.
    pub in_proj_ba: Encoding,
    /// How `mlp.gate` is stored.
    pub router: Encoding,
    /// How `mlp.shared_expert_gate` is stored.
    pub shared_expert_gate: Encoding,
    /// How `lm_head` is stored.
    pub head: Encoding,
    /// Dtype of everything that is no Linear: embedding, norms, convolution.
    pub dtype: Dtype,
    /// Exceptions by module name.
    pub overrides: Vec<(String, Encoding)>,
    /// The multi-token prediction layer.
    pub mtp: Mtp,
    /// One tensor for all experts of a layer. For plain and FP8 experts.
    pub fused_experts: bool,
    /// Scales from the whole range of their format; a model not for running.
    pub wild: bool,

    /// Whose configuration; `None` for the natural one of the main encoding.
    pub method: Option<Method>,
    /// `packing_format`; `None` for what the writer says.
    pub packing_format: Option<String>,
    /// `autoround_version`; `None` for a version that writes such files.
    pub autoround_version: Option<String>,
    /// Written by the model-free path: with `model_free`, and asymmetric files call themselves `auto_round`.
    pub model_free: bool,
    /// Mixed recipes by pattern instead of by module.
    pub regex_recipe: bool,
    /// The older spelling: `rope_theta`, `full_attention_interval`, `torch_dtype`.
    pub old_config: bool,
    /// Changes to the finished `config.json`.
    pub edits: Vec<Edit>,
    /// Files for the tensors.
    pub shards: usize,
    /// The stream of all values.
    pub seed: u64,
}

impl Model {
    /// Two layers of width 128, four experts, about a million weights, nothing quantised.
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
            wild: false,
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

    /// Makes the checkpoint and writes it.
    pub fn write(&self, dir: &Path) -> Checkpoint {
        let checkpoint = self.build();
        checkpoint.write(dir);
        checkpoint
    }

    /// Makes the checkpoint.
    pub fn build(&self) -> Checkpoint {
        let mut made = Made::default();
        for slot in layout::slots(self) {
            match slot.role {
                Role::Linear(part) => self.linear(&slot, part, &mut made),
                Role::FusedExperts => self.fused(&slot, &mut made),
                role => self.other(&slot, role, &mut made),
            }
        }
        let (config, mut json) = config::files(self);
        json.extend(tokenizer::files());
        Checkpoint {
            config,
            json,
            tensors: made.tensors,
            weights: made.weights,
            shards: self.shards,
            // The model-free path sees mtp.* like any other weight.
            mtp_apart: self.mtp != Mtp::QuantisedFc,
        }
    }

    /// How a Linear is stored.
    pub fn encoding(&self, module: &str, part: Part) -> Encoding {
        if let Some((_, encoding)) = self.overrides.iter().find(|(name, _)| name == module) {
            return *encoding;
        }
        let (main, mtp) = (self.main_encoding(), module.starts_with("mtp."));
        match (part, self.mtp) {
            (Part::MtpFc, Mtp::QuantisedFc) => main,
            (Part::Router, _) if !mtp => self.router,
            (Part::SharedExpertGate, _) if !mtp => self.shared_expert_gate,
            (Part::MtpFc | Part::Router | Part::SharedExpertGate, _) => Encoding::Bf16,
            (_, Mtp::Quantised | Mtp::QuantisedFc) if mtp => main,
            _ if mtp => Encoding::Bf16,
            (Part::Expert, _) => self.experts,
            (Part::Linear, _) => self.linears,
            (Part::InProjBa, _) => self.in_proj_ba,
            (Part::Head, _) => self.head,
        }
    }

    /// The encoding that a configuration states for the whole model; plain if nothing is quantised.
    pub fn main_encoding(&self) -> Encoding {
        let named =
            [self.experts, self.linears, self.in_proj_ba, self.head, self.router, self.shared_expert_gate];
        let overrides = self.overrides.iter().map(|(_, encoding)| *encoding);
        named.into_iter().chain(overrides).find(|e| !e.is_plain()).unwrap_or(Encoding::Bf16)
    }

    fn site<'a>(&self, module: &'a str, rows: usize, cols: usize) -> Site<'a> {
        Site { module, rows, cols, rng: Rng::named(self.seed, module), wild: self.wild }
    }

    fn linear(&self, slot: &Slot, part: Part, made: &mut Made) {
        let encoding = self.encoding(&slot.name, part);
        let encoded = encoding.encode(self.site(&slot.name, slot.shape[0], slot.shape[1]));
        made.tensors.extend(encoded.tensors);
        made.weight(format!("{}.weight", slot.name), slot.shape.clone(), encoded.values);
    }

    /// All experts' matrices in one tensor, and their scales in another.
    fn fused(&self, slot: &Slot, made: &mut Made) {
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
                made.weight(format!("{layer}.{expert}.{part}.weight"), vec![rows, cols], tail);
            }
        }
        made.tensors.extend(stacked);
    }

    fn other(&self, slot: &Slot, role: Role, made: &mut Made) {
        let (low, high) = match role {
            Role::Embedding => (-1.0, 1.0),
            Role::Norm if slot.name.ends_with("linear_attn.norm.weight") => (0.5, 1.5),
            Role::Norm => (-0.3, 0.3),
            Role::Conv => (-0.5, 0.5),
            // The logarithms of 1 to 16.
            Role::ALog => (0.0, 2.77),
            Role::DtBias => (-4.0, 1.0),
            Role::Linear(_) | Role::FusedExperts => unreachable!("these have encodings"),
        };
        let mut rng = Rng::named(self.seed, &slot.name);
        let values: Vec<f64> = (0..slot.shape.iter().product()).map(|_| rng.uniform(low, high)).collect();
        let (data, values) = encode::plain(self.dtype, &values);
        made.tensors.push(Tensor::new(slot.name.clone(), self.dtype, &slot.shape, data));
        made.weight(slot.name.clone(), slot.shape.clone(), values);
    }
}

#[derive(Default)]
struct Made {
    tensors: Vec<Tensor>,
    weights: BTreeMap<String, Weight>,
}

impl Made {
    fn weight(&mut self, name: String, shape: Vec<usize>, values: Vec<f32>) {
        self.weights.insert(name, Weight { shape, values });
    }
}

#[cfg(test)]
mod tests;
