//! Hyperparameters as keys of the architecture, `qwen3next.*`.
//!
//! Keys, types and order are those of the converter in llama.cpp b11434.

use super::hparams::{Attention, HParams, Rope, RopeScaling};
use crate::gguf::{Metadata, Value};

/// Keys under the name of an architecture.
pub(super) struct Keys {
    architecture: &'static str,
    pub(super) list: Metadata,
}

impl Keys {
    pub(super) fn new(architecture: &'static str) -> Self {
        Self { architecture, list: Metadata::new() }
    }

    /// What every family has.
    pub(super) fn common(&mut self, h: &HParams, mtp_layers: u64) {
        self.size("block_count", h.layers.len() as u64 + mtp_layers);
        self.size("context_length", h.context);
        self.size("embedding_length", h.hidden);
        if let Some(ff) = h.ff {
            self.size("feed_forward_length", ff);
        }
        self.size("attention.head_count", h.heads);
        // Latent attention has one key head, whose vector is the value too.
        self.size("attention.head_count_kv", if h.mla.is_some() { 1 } else { h.kv_heads });
        self.rope(&h.rope);
        if let Some(gemma) = h.gemma {
            self.put("rope.freq_base_swa", gemma.rope_base);
        }
        self.put("attention.layer_norm_rms_epsilon", h.norm_eps);
        if let Some(experts) = h.experts {
            self.size("expert_count", experts.count);
            self.size("expert_used_count", experts.used);
            if let Some((groups, used)) = experts.groups {
                self.size("expert_group_count", groups);
                self.size("expert_group_used_count", used);
            }
            if let Some(gating) = experts.gating {
                self.put("expert_gating_func", gating as u32);
            }
        }
        let rank = h.mla.map(|mla| mla.rank);
        self.size("attention.key_length", rank.unwrap_or(0) + h.head_dim);
        self.size("attention.value_length", rank.unwrap_or(h.head_dim));
    }

    /// The widths of the experts and of a shared one.
    pub(super) fn expert_widths(&mut self, h: &HParams) {
        let Some(experts) = h.experts else { return };
        self.size("expert_feed_forward_length", experts.ff);
        if experts.shared_ff > 0 {
            self.size("expert_shared_feed_forward_length", experts.shared_ff);
        }
    }

    /// The number of MTP layers, if there are any.
    pub(super) fn mtp_layers(&mut self, mtp_layers: u64) {
        if mtp_layers > 0 {
            self.size("nextn_predict_layers", mtp_layers);
        }
    }

    /// The gated delta net, and which layers have one.
    pub(super) fn delta_net(&mut self, h: &HParams, mtp_layers: u64) {
        let Some(delta) = h.delta else { return };
        self.size("ssm.conv_kernel", delta.conv_kernel);
        self.size("ssm.state_size", delta.key_dim);
        self.size("ssm.group_count", delta.key_heads);
        self.size("ssm.time_step_rank", delta.value_heads);
        self.size("ssm.inner_size", delta.values());
        // The loader requires one entry per block. An MTP layer has full attention regardless of the interval.
        let mut recurrent: Vec<bool> =
            h.layers.iter().map(|layer| layer.attention == Attention::Linear).collect();
        recurrent.extend((0..mtp_layers).map(|_| false));
        self.put("attention.recurrent_layers", recurrent);
        self.size("full_attention_interval", delta.interval);
    }

    fn rope(&mut self, rope: &Rope) {
        rope_scaling(rope.scaling, self);
        if let Some(sections) = rope.sections {
            self.put("rope.dimension_sections", sections.map(u32::cast_signed).to_vec());
        }
        self.put("rope.freq_base", rope.base);
    }

    pub(super) fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.list.push(format!("{}.{name}", self.architecture), value);
    }

    /// Replaces a size by one for each layer.
    pub(super) fn for_each_layer(&mut self, name: &str, values: impl Iterator<Item = u64>) {
        let values: Vec<i32> = values.map(|value| i32::try_from(value).unwrap_or(i32::MAX)).collect();
        self.list.set(&format!("{}.{name}", self.architecture), values);
    }

    /// A size; reading limits all of them to less than 2^32.
    pub(super) fn size(&mut self, name: &str, value: u64) {
        self.put(name, u32::try_from(value).unwrap_or(u32::MAX));
    }
}

fn rope_scaling(scaling: RopeScaling, out: &mut Keys) {
    match scaling {
        // Those of Llama 3 and Gemma 4 are a tensor.
        RopeScaling::None | RopeScaling::Llama3 { .. } | RopeScaling::Proportional { .. } => {}
        RopeScaling::Linear { factor } => {
            out.put("rope.scaling.type", "linear");
            out.put("rope.scaling.factor", factor);
        }
        RopeScaling::Yarn {
            factor, original_context, ext_factor, attn_factor, beta_fast, beta_slow, ..
        } => {
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
        assert_eq!(hparams().metadata(1), golden::llama("qwen3next."));
    }

    #[test]
    fn a_model_without_mtp_layers_has_no_nextn_keys() {
        let keys = hparams().metadata(0);
        assert_eq!(keys.u64("qwen3next.block_count"), Some(3));
        assert_eq!(keys.get("qwen3next.nextn_predict_layers"), None);
        assert_eq!(keys.array("qwen3next.attention.recurrent_layers").unwrap().len(), 3);
    }

    #[test]
    fn scaled_rope_is_written_before_its_base() {
        let mut h = hparams();
        h.rope.scaling = RopeScaling::Yarn {
            factor: 4.0,
            original_context: 1024,
            ext_factor: None,
            attn_factor: Some(1.5),
            beta_fast: None,
            beta_slow: None,
            log_multiplier: None,
            truncate: true,
        };
        let all = h.metadata(0);
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
