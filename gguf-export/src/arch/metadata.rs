//! Hyperparameters as `qwen3next.*` keys.
//!
//! Keys, types and order are those of the converter in llama.cpp b11434.

use super::HParams;
use super::hparams::{LayerKind, RopeScaling};
use crate::gguf::{Metadata, Value};

/// Architecture name in llama.cpp; the prefix of all keys here.
pub const ARCHITECTURE: &str = "qwen3next";

/// The keys of a model with `mtp_layers` MTP layers after the trunk.
#[must_use]
pub fn metadata(h: &HParams, mtp_layers: u64) -> Metadata {
    let mut out = Keys(Metadata::new());
    out.size("block_count", h.layers.len() as u64 + mtp_layers);
    out.size("context_length", h.context);
    out.size("embedding_length", h.hidden);
    out.size("feed_forward_length", h.intermediate);
    out.size("attention.head_count", h.heads);
    out.size("attention.head_count_kv", h.kv_heads);
    rope_scaling(h.rope_scaling, &mut out);
    out.put("rope.freq_base", h.rope_theta);
    out.put("attention.layer_norm_rms_epsilon", h.norm_eps);
    out.size("expert_count", h.experts);
    out.size("expert_used_count", h.experts_used);
    out.size("attention.key_length", h.head_dim);
    out.size("attention.value_length", h.head_dim);
    out.size("expert_feed_forward_length", h.expert_ff);
    out.size("expert_shared_feed_forward_length", h.shared_ff);
    if mtp_layers > 0 {
        out.size("nextn_predict_layers", mtp_layers);
    }
    out.size("ssm.conv_kernel", h.conv_kernel);
    out.size("ssm.state_size", h.linear_key_dim);
    out.size("ssm.group_count", h.linear_key_heads);
    out.size("ssm.time_step_rank", h.linear_value_heads);
    out.size("ssm.inner_size", h.linear_value_dim * h.linear_value_heads);
    // The loader requires one entry per block. An MTP layer has full attention regardless of the interval.
    let mut recurrent: Vec<bool> = h.layers.iter().map(|kind| *kind == LayerKind::Linear).collect();
    recurrent.extend((0..mtp_layers).map(|_| false));
    out.put("attention.recurrent_layers", recurrent);
    out.size("full_attention_interval", h.full_attention_interval);
    out.size("rope.dimension_count", h.rope_dims);
    out.0
}

fn rope_scaling(scaling: RopeScaling, out: &mut Keys) {
    match scaling {
        RopeScaling::None => {}
        RopeScaling::Linear { factor } => {
            out.put("rope.scaling.type", "linear");
            out.put("rope.scaling.factor", factor);
        }
        RopeScaling::Yarn { factor, original_context, ext_factor, attn_factor, beta_fast, beta_slow } => {
            out.put("rope.scaling.type", "yarn");
            out.put("rope.scaling.factor", factor);
            out.size("rope.scaling.original_context_length", original_context);
            for (name, value) in [
                ("yarn_ext_factor", ext_factor),
                ("yarn_attn_factor", attn_factor),
                ("yarn_beta_fast", beta_fast),
                ("yarn_beta_slow", beta_slow),
            ] {
                if let Some(value) = value {
                    out.put(&format!("rope.scaling.{name}"), value);
                }
            }
        }
    }
}

struct Keys(Metadata);

impl Keys {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.push(format!("{ARCHITECTURE}.{name}"), value);
    }

    /// A size; [`HParams::read`] limits all of them to less than 2^32.
    fn size(&mut self, name: &str, value: u64) {
        self.put(name, u32::try_from(value).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::ModelConfig;
    use crate::gguf::golden;

    fn hparams() -> HParams {
        let config = ModelConfig::read(&golden::folder().join("config.json")).unwrap();
        HParams::read(&config).unwrap()
    }

    #[test]
    fn keys_types_and_order_are_those_of_llama_cpp() {
        assert_eq!(metadata(&hparams(), 1), golden::llama("qwen3next."));
    }

    #[test]
    fn a_model_without_mtp_layers_has_no_nextn_keys() {
        let keys = metadata(&hparams(), 0);
        assert_eq!(keys.u64("qwen3next.block_count"), Some(3));
        assert_eq!(keys.get("qwen3next.nextn_predict_layers"), None);
        assert_eq!(keys.array("qwen3next.attention.recurrent_layers").unwrap().len(), 3);
    }

    #[test]
    fn scaled_rope_is_written_before_its_base() {
        let mut h = hparams();
        h.rope_scaling = RopeScaling::Yarn {
            factor: 4.0,
            original_context: 1024,
            ext_factor: None,
            attn_factor: Some(1.5),
            beta_fast: None,
            beta_slow: None,
        };
        let all = metadata(&h, 0);
        let keys: Vec<_> = all.iter().map(|(key, _)| key).filter(|key| key.contains("rope.")).collect();
        assert_eq!(
            keys,
            [
                "qwen3next.rope.scaling.type",
                "qwen3next.rope.scaling.factor",
                "qwen3next.rope.scaling.original_context_length",
                "qwen3next.rope.scaling.yarn_attn_factor",
                "qwen3next.rope.freq_base",
                "qwen3next.rope.dimension_count"
            ]
        );
    }
}
