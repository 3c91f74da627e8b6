//! Hyperparameters of Qwen3-Next, read from `config.json`.

#[cfg(test)]
mod tests;

use crate::checkpoint::ModelConfig;
use crate::gguf::limits;
use crate::{Error, Result};

// With the limits of the GGUF, these keep every product of sizes far below 2^63.
const MAX_INNER: u64 = 1 << 24;
const MAX_HEADS: u64 = 1 << 12;
const MAX_HEAD_DIM: u64 = 1 << 12;
const MAX_KERNEL: u64 = 1 << 8;

/// Attention type of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// Softmax attention over a KV cache.
    Full,
    /// Gated delta net with a recurrent state.
    Linear,
}

/// Scaling of positions beyond the trained context.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// No scaling: rope type `default`.
    None,
    /// Positions are divided by a factor.
    Linear {
        /// The divisor.
        factor: f32,
    },
    /// YaRN: each frequency is interpolated separately.
    Yarn {
        /// Ratio of the extended to the trained context.
        factor: f32,
        /// Trained context, in tokens.
        original_context: u64,
        /// `extrapolation_factor`.
        ext_factor: Option<f32>,
        /// `attention_factor` or `attn_factor`.
        attn_factor: Option<f32>,
        /// `beta_fast`.
        beta_fast: Option<f32>,
        /// `beta_slow`.
        beta_slow: Option<f32>,
    },
}

/// Hyperparameters of Qwen3-Next. Each field names its source in `config.json`; sizes are in elements.
#[derive(Debug, Clone, PartialEq)]
pub struct HParams {
    /// `vocab_size`.
    pub vocab: u64,
    /// `hidden_size`.
    pub hidden: u64,
    /// `intermediate_size`; no tensor uses it.
    pub intermediate: u64,
    /// Attention type of each of the `num_hidden_layers` layers.
    pub layers: Vec<LayerKind>,
    /// `full_attention_interval`, 4 if absent.
    pub full_attention_interval: u64,
    /// `max_position_embeddings`.
    pub context: u64,
    /// `num_attention_heads`.
    pub heads: u64,
    /// `num_key_value_heads`.
    pub kv_heads: u64,
    /// `head_dim`.
    pub head_dim: u64,
    /// `rms_norm_eps`.
    pub norm_eps: f32,
    /// `rope_theta`.
    pub rope_theta: f32,
    /// `rope_parameters` or `rope_scaling`.
    pub rope_scaling: RopeScaling,
    /// Rotated elements of a head: `head_dim * partial_rotary_factor`.
    pub rope_dims: u64,
    /// `num_experts`.
    pub experts: u64,
    /// `num_experts_per_tok`.
    pub experts_used: u64,
    /// `moe_intermediate_size`.
    pub expert_ff: u64,
    /// `shared_expert_intermediate_size`.
    pub shared_ff: u64,
    /// `linear_conv_kernel_dim`.
    pub conv_kernel: u64,
    /// `linear_num_key_heads`.
    pub linear_key_heads: u64,
    /// `linear_num_value_heads`.
    pub linear_value_heads: u64,
    /// `linear_key_head_dim`.
    pub linear_key_dim: u64,
    /// `linear_value_head_dim`; llama.cpp requires it to equal `linear_key_dim`.
    pub linear_value_dim: u64,
    /// `tie_word_embeddings`.
    pub tied: bool,
}

impl HParams {
    /// Reads and checks `config.json`, with the rotary parameters in the form of transformers 4 (`rope_theta`) or 5
    /// (`rope_parameters`).
    ///
    /// # Errors
    /// [`crate::Error::Field`] for a missing or invalid value, [`crate::Error::Unsupported`] for another architecture or
    /// an option that llama.cpp's graph does not implement.
    pub fn read(config: &ModelConfig) -> Result<Self> {
        check_family(config)?;
        check_options(config)?;
        let size = |field| config.size(field, MAX_INNER);
        let interval = match config.get("full_attention_interval") {
            Some(_) => config.size("full_attention_interval", limits::LAYERS)?,
            None => 4,
        };
        let head_dim = config.size("head_dim", MAX_HEAD_DIM)?;
        let rope = Rope::read(config)?;
        let h = Self {
            vocab: config.size("vocab_size", limits::VOCAB)?,
            hidden: config.size("hidden_size", limits::WIDTH)?,
            // The default of transformers.
            intermediate: config.get("intermediate_size").map_or(Ok(5632), |_| size("intermediate_size"))?,
            layers: layers(config, interval)?,
            full_attention_interval: interval,
            context: config.size("max_position_embeddings", limits::CONTEXT)?,
            heads: config.size("num_attention_heads", MAX_HEADS)?,
            kv_heads: config.size("num_key_value_heads", MAX_HEADS)?,
            head_dim,
            norm_eps: positive(config, "rms_norm_eps")?
                .ok_or_else(|| config.wrong("rms_norm_eps", POSITIVE))?,
            rope_theta: rope.theta,
            rope_scaling: rope.scaling,
            rope_dims: rope_dims(config, head_dim, rope.partial)?,
            experts: config.size("num_experts", limits::EXPERTS)?,
            experts_used: config.size("num_experts_per_tok", limits::EXPERTS)?,
            expert_ff: size("moe_intermediate_size")?,
            shared_ff: size("shared_expert_intermediate_size")?,
            conv_kernel: config.size("linear_conv_kernel_dim", MAX_KERNEL)?,
            linear_key_heads: config.size("linear_num_key_heads", MAX_HEADS)?,
            linear_value_heads: config.size("linear_num_value_heads", MAX_HEADS)?,
            linear_key_dim: config.size("linear_key_head_dim", MAX_HEAD_DIM)?,
            linear_value_dim: config.size("linear_value_head_dim", MAX_HEAD_DIM)?,
            tied: config.bool("tie_word_embeddings")?.unwrap_or(false),
        };
        h.check(config)?;
        Ok(h)
    }

    fn check(&self, config: &ModelConfig) -> Result<()> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            let expected = format!("a divisor of `num_attention_heads`, {}", self.heads);
            return Err(config.wrong("num_key_value_heads", &expected));
        }
        if self.experts_used > self.experts {
            let expected = format!("at most `num_experts`, {}", self.experts);
            return Err(config.wrong("num_experts_per_tok", &expected));
        }
        if !self.linear_value_heads.is_multiple_of(self.linear_key_heads) {
            let expected = format!("a multiple of `linear_num_key_heads`, {}", self.linear_key_heads);
            return Err(config.wrong("linear_num_value_heads", &expected));
        }
        if self.linear_value_heads * self.linear_value_dim > limits::WIDTH {
            let expected = format!(
                "at most {} for heads of {}",
                limits::WIDTH / self.linear_value_dim,
                self.linear_value_dim
            );
            return Err(config.wrong("linear_num_value_heads", &expected));
        }
        if self.linear_key_dim != self.linear_value_dim {
            let what = format!(
                "`linear_value_head_dim` of {} beside `linear_key_head_dim` of {}",
                self.linear_value_dim, self.linear_key_dim
            );
            return Err(unsupported(config, what));
        }
        Ok(())
    }
}

const POSITIVE: &str = "a positive number";

fn unsupported(config: &ModelConfig, what: String) -> Error {
    Error::Unsupported { path: config.path().to_owned(), what }
}

fn check_family(config: &ModelConfig) -> Result<()> {
    match config.str("model_type")? {
        Some("qwen3_next") => {}
        Some(other) => return Err(unsupported(config, format!("model type `{other}`"))),
        None => return Err(config.wrong("model_type", "`qwen3_next`")),
    }
    let Some(list) = config.get("architectures") else { return Ok(()) };
    match list.as_array().and_then(|a| a.first()).and_then(|v| v.as_str()) {
        Some("Qwen3NextForCausalLM") => Ok(()),
        Some(other) => Err(unsupported(config, format!("architecture `{other}`"))),
        None => Err(config.wrong("architectures", "`Qwen3NextForCausalLM`")),
    }
}

/// Refuses options that llama.cpp's graph would silently ignore.
fn check_options(config: &ModelConfig) -> Result<()> {
    if config.bool("norm_topk_prob")? == Some(false) {
        return Err(unsupported(config, "`norm_topk_prob` of false".to_owned()));
    }
    if config.bool("attention_bias")? == Some(true) {
        return Err(unsupported(config, "`attention_bias` of true".to_owned()));
    }
    if let Some(act) = config.str("hidden_act")?.filter(|act| *act != "silu") {
        return Err(unsupported(config, format!("`hidden_act` of `{act}`")));
    }
    if let Some(step) = config.u64("decoder_sparse_step")?.filter(|step| *step != 1) {
        return Err(unsupported(config, format!("`decoder_sparse_step` of {step}")));
    }
    match config.get("mlp_only_layers").map(|v| v.as_array().map(Vec::len)) {
        None | Some(Some(0)) => Ok(()),
        Some(Some(n)) => Err(unsupported(config, format!("`mlp_only_layers` with {n} layers"))),
        Some(None) => Err(config.wrong("mlp_only_layers", "a list")),
    }
}

fn layers(config: &ModelConfig, interval: u64) -> Result<Vec<LayerKind>> {
    let count = config.size("num_hidden_layers", limits::LAYERS)?;
    let Some(list) = config.get("layer_types") else {
        let full = |l: u64| (l + 1).is_multiple_of(interval);
        return Ok((0..count).map(|l| if full(l) { LayerKind::Full } else { LayerKind::Linear }).collect());
    };
    let expected = format!("{count} times `linear_attention` or `full_attention`");
    let list = list.as_array().filter(|list| list.len() as u64 == count);
    let list = list.ok_or_else(|| config.wrong("layer_types", &expected))?;
    list.iter()
        .map(|kind| match kind.as_str() {
            Some("linear_attention") => Ok(LayerKind::Linear),
            Some("full_attention") => Ok(LayerKind::Full),
            _ => Err(config.wrong("layer_types", &expected)),
        })
        .collect()
}

/// Rotary parameters, from `rope_parameters` of transformers 5 or from the fields before it.
struct Rope {
    theta: f32,
    partial: f64,
    scaling: RopeScaling,
}

impl Rope {
    fn read(config: &ModelConfig) -> Result<Self> {
        let section = match config.section("rope_parameters")? {
            Some(section) => Some(section),
            None => config.section("rope_scaling")?,
        };
        let inner = |get: &dyn Fn(&ModelConfig) -> Result<Option<f64>>| match &section {
            Some(section) => get(section)?.map_or_else(|| get(config), |v| Ok(Some(v))),
            None => get(config),
        };
        let theta = inner(&|c| Ok(positive(c, "rope_theta")?.map(f64::from)))?;
        let partial = inner(&|c| c.f64("partial_rotary_factor"))?;
        Ok(Self {
            #[expect(clippy::cast_possible_truncation, reason = "it was an f32 a line above")]
            theta: theta.unwrap_or(10_000.0) as f32,
            partial: partial.unwrap_or(0.25),
            scaling: section.as_ref().map_or(Ok(RopeScaling::None), |s| scaling(s, config))?,
        })
    }
}

fn scaling(rope: &ModelConfig, config: &ModelConfig) -> Result<RopeScaling> {
    let kind = match rope.str("rope_type")? {
        Some(kind) => Some(kind),
        None => rope.str("type")?,
    };
    let factor = || positive(rope, "factor")?.ok_or_else(|| rope.wrong("factor", POSITIVE));
    match kind {
        None | Some("default") => Ok(RopeScaling::None),
        Some("linear") => Ok(RopeScaling::Linear { factor: factor()? }),
        Some("yarn") => {
            let field = "original_max_position_embeddings";
            let from = if rope.get(field).is_none() && config.get(field).is_some() { config } else { rope };
            Ok(RopeScaling::Yarn {
                factor: factor()?,
                original_context: from.size(field, limits::CONTEXT)?,
                ext_factor: positive(rope, "extrapolation_factor")?,
                attn_factor: match positive(rope, "attention_factor")? {
                    Some(v) => Some(v),
                    None => positive(rope, "attn_factor")?,
                },
                beta_fast: positive(rope, "beta_fast")?,
                beta_slow: positive(rope, "beta_slow")?,
            })
        }
        Some(other) => Err(unsupported(config, format!("rope type `{other}`"))),
    }
}

fn rope_dims(config: &ModelConfig, head_dim: u64, partial: f64) -> Result<u64> {
    let head = f64::from(u32::try_from(head_dim).unwrap_or(u32::MAX));
    let expected = "a fraction of `head_dim` that gives an even number of elements";
    if !(partial > 0.0 && partial <= 1.0) {
        return Err(config.wrong("partial_rotary_factor", expected));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and head_dim")]
    let dims = (head * partial) as u64;
    if dims == 0 || !dims.is_multiple_of(2) {
        return Err(config.wrong("partial_rotary_factor", expected));
    }
    Ok(dims)
}

/// A number that is positive and finite as f32; `None` if the field is absent.
fn positive(config: &ModelConfig, field: &str) -> Result<Option<f32>> {
    config
        .f64(field)?
        .map(|v| {
            #[expect(clippy::cast_possible_truncation, reason = "GGUF stores f32")]
            let v = v as f32;
            if v > 0.0 && v.is_finite() { Ok(v) } else { Err(config.wrong(field, POSITIVE)) }
        })
        .transpose()
}
