//! Reads hyperparameters from `config.json`.

#[cfg(test)]
mod tests;

use super::hparams::{Attention, Delta, DeltaInputs, Experts, FeedForward, HParams, Layer};
use super::rope;
use super::traits::Traits;
use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::gguf::limits;

// With the limits of the GGUF, these keep every product of sizes far below 2^63.
const MAX_INNER: u64 = 1 << 24;
pub(super) const MAX_HEADS: u64 = 1 << 12;
pub(super) const MAX_HEAD_DIM: u64 = 1 << 12;
const MAX_KERNEL: u64 = 1 << 8;

/// Reads what families have in common.
pub(super) struct Reader<'a> {
    pub(super) config: &'a ModelConfig,
    pub(super) traits: Traits,
}

impl Reader<'_> {
    /// The fields of every family. The layers, and what only some families have, are left for the family.
    pub(super) fn common(&self) -> Result<HParams> {
        let config = self.config;
        self.refuse_other_graphs()?;
        let heads = config.size("num_attention_heads", MAX_HEADS)?;
        let hidden = config.size("hidden_size", limits::WIDTH)?;
        let vocab = config.size("vocab_size", limits::VOCAB)?;
        let head_dim = match config.get(self.traits.head_dim) {
            None if self.traits.heads_by_default && hidden.is_multiple_of(heads) => hidden / heads,
            _ => config.size(self.traits.head_dim, MAX_HEAD_DIM)?,
        };
        let h = HParams {
            // Set by [`HParams::read`].
            family: "",
            vocab,
            tokens: vocab,
            hidden,
            ff: None,
            layers: Vec::new(),
            context: config.size("max_position_embeddings", limits::CONTEXT)?,
            heads,
            kv_heads: match config.get("num_key_value_heads") {
                None if self.traits.heads_by_default => heads,
                _ => config.size("num_key_value_heads", MAX_HEADS)?,
            },
            head_dim,
            norm_eps: config.positive("rms_norm_eps")?,
            rope: rope::read(config, self.traits, head_dim)?,
            attention_bias: config.bool("attention_bias")?.unwrap_or(false),
            head_norms: true,
            experts: None,
            routing: None,
            mla: None,
            nextn: 0,
            delta: None,
            gemma: None,
            temperature_scale: None,
            sliding_window: None,
            tied: config.bool("tie_word_embeddings")?.unwrap_or(false),
        };
        if !h.heads.is_multiple_of(h.kv_heads) {
            let expected = format!("a divisor of `num_attention_heads`, {}", h.heads);
            return Err(config.wrong("num_key_value_heads", &expected));
        }
        Ok(h)
    }

    /// A size that is a dimension of matrices.
    pub(super) fn inner(&self, field: &str) -> Result<u64> {
        self.config.size(field, MAX_INNER)
    }

    /// The same, or `None` if the field is absent.
    pub(super) fn optional(&self, field: &str) -> Result<Option<u64>> {
        self.config.get(field).map(|_| self.inner(field)).transpose()
    }

    /// The experts, without a shared one.
    pub(super) fn experts(&self, count: &str, width: &str) -> Result<Experts> {
        let config = self.config;
        let experts = Experts {
            count: config.size(count, limits::EXPERTS)?,
            used: config.size("num_experts_per_tok", limits::EXPERTS)?,
            ff: self.inner(width)?,
            shared_ff: 0,
            groups: None,
            gating: None,
        };
        if experts.used > experts.count {
            let expected = format!("at most `{count}`, {}", experts.count);
            return Err(config.wrong("num_experts_per_tok", &expected));
        }
        Ok(experts)
    }

    /// `n_group` and `topk_group`.
    pub(super) fn expert_groups(&self, experts: u64) -> Result<Option<(u64, u64)>> {
        let config = self.config;
        if config.get("n_group").is_none() {
            return Ok(None);
        }
        let groups = config.size("n_group", experts)?;
        if !experts.is_multiple_of(groups) {
            return Err(config.wrong("n_group", &format!("a divisor of {experts} experts")));
        }
        Ok(Some((groups, config.size("topk_group", groups)?)))
    }

    /// The gated delta net.
    pub(super) fn delta(&self, inputs: DeltaInputs) -> Result<Delta> {
        let config = self.config;
        let delta = Delta {
            inputs,
            interval: match config.get("full_attention_interval") {
                Some(_) => config.size("full_attention_interval", limits::LAYERS)?,
                None => 4,
            },
            conv_kernel: config.size("linear_conv_kernel_dim", MAX_KERNEL)?,
            key_heads: config.size("linear_num_key_heads", MAX_HEADS)?,
            value_heads: config.size("linear_num_value_heads", MAX_HEADS)?,
            key_dim: config.size("linear_key_head_dim", MAX_HEAD_DIM)?,
            value_dim: config.size("linear_value_head_dim", MAX_HEAD_DIM)?,
        };
        if !delta.value_heads.is_multiple_of(delta.key_heads) {
            let expected = format!("a multiple of `linear_num_key_heads`, {}", delta.key_heads);
            return Err(config.wrong("linear_num_value_heads", &expected));
        }
        if delta.values() > limits::WIDTH {
            let expected =
                format!("at most {} for heads of {}", limits::WIDTH / delta.value_dim, delta.value_dim);
            return Err(config.wrong("linear_num_value_heads", &expected));
        }
        if delta.key_dim != delta.value_dim {
            let what = format!(
                "`linear_value_head_dim` of {} beside `linear_key_head_dim` of {}",
                delta.value_dim, delta.key_dim
            );
            return Err(config.unsupported(what));
        }
        Ok(delta)
    }

    /// Layers with a delta net or full attention, by `layer_types` or by the interval.
    pub(super) fn linear_layers(&self, delta: &Delta, ff: FeedForward) -> Result<Vec<Layer>> {
        let config = self.config;
        let count = config.size("num_hidden_layers", limits::LAYERS)?;
        let Some(list) = config.get("layer_types") else {
            let full = |l: u64| (l + 1).is_multiple_of(delta.interval);
            let attention = |l| if full(l) { Attention::Full } else { Attention::Linear };
            return Ok((0..count).map(|l| Layer { attention: attention(l), ff }).collect());
        };
        let expected = format!("{count} times `linear_attention` or `full_attention`");
        let list = list.as_array().filter(|list| list.len() as u64 == count);
        let list = list.ok_or_else(|| config.wrong("layer_types", &expected))?;
        let attention = |kind: &serde_json::Value| match kind.as_str() {
            Some("linear_attention") => Ok(Attention::Linear),
            Some("full_attention") => Ok(Attention::Full),
            _ => Err(config.wrong("layer_types", &expected)),
        };
        list.iter().map(|kind| Ok(Layer { attention: attention(kind)?, ff })).collect()
    }

    /// Layers with full attention.
    pub(super) fn full_layers(&self, ff: FeedForward) -> Result<Vec<Layer>> {
        let config = self.config;
        let count = config.size("num_hidden_layers", limits::LAYERS)?;
        let is_full = |kind: &serde_json::Value| kind.as_str() == Some("full_attention");
        if let Some(list) = config.get("layer_types")
            && !list.as_array().is_some_and(|list| list.len() as u64 == count && list.iter().all(is_full))
        {
            return Err(config.wrong("layer_types", &format!("{count} times `full_attention`")));
        }
        Ok((0..count).map(|_| Layer { attention: Attention::Full, ff }).collect())
    }

    /// The first of these fields that is there, or the first of all.
    pub(super) fn first(&self, fields: &[&'static str]) -> &'static str {
        fields.iter().find(|field| self.config.get(field).is_some()).copied().unwrap_or(fields[0])
    }

    /// Refuses options that llama.cpp's graphs would silently ignore.
    fn refuse_other_graphs(&self) -> Result<()> {
        let config = self.config;
        if config.bool("attention_bias")? == Some(true) && !self.traits.attention_bias {
            return Err(config.unsupported("`attention_bias` of true".to_owned()));
        }
        if let Some(act) = config.str("hidden_act")?.filter(|act| *act != "silu") {
            return Err(config.unsupported(format!("`hidden_act` of `{act}`")));
        }
        Ok(())
    }

    /// Refuses experts whose weights are not divided by their sum, which llama.cpp's graph always does.
    pub(super) fn refuse_plain_sums(&self) -> Result<()> {
        if self.config.bool("norm_topk_prob")? == Some(false) {
            return Err(self.config.unsupported("`norm_topk_prob` of false".to_owned()));
        }
        Ok(())
    }

    /// Refuses a `scoring_func` other than the one of the family.
    pub(super) fn refuse_other_scores(&self, own: &str) -> Result<()> {
        match self.config.str("scoring_func")? {
            Some(function) if function != own => {
                Err(self.config.unsupported(format!("`scoring_func` of `{function}`")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a field that must be true, or absent, for llama.cpp's graph.
    pub(super) fn refuse_false(&self, field: &str) -> Result<()> {
        if self.config.bool(field)? == Some(false) {
            return Err(self.config.unsupported(format!("`{field}` of false")));
        }
        Ok(())
    }

    /// Refuses a field that must be false, or absent, for llama.cpp's graph.
    pub(super) fn refuse_true(&self, field: &str) -> Result<()> {
        if self.config.bool(field)? == Some(true) {
            return Err(self.config.unsupported(format!("`{field}` of true")));
        }
        Ok(())
    }

    /// Refuses attention to a part of the context: a field that is neither absent nor false.
    pub(super) fn refuse_sliding_window(&self, field: &str) -> Result<()> {
        match self.config.get(field) {
            None | Some(serde_json::Value::Bool(false)) => Ok(()),
            Some(value) => Err(self.config.unsupported(format!("`{field}` of {value}"))),
        }
    }

    /// Refuses heads that are rotated in part, where llama.cpp rotates them whole.
    pub(super) fn refuse_partial_rotation(&self, h: &HParams) -> Result<()> {
        if h.rope.dims == h.head_dim {
            return Ok(());
        }
        Err(self
            .config
            .unsupported(format!("rotation of {} of {} elements of a head", h.rope.dims, h.head_dim)))
    }

    /// Refuses dense layers among those with experts.
    pub(super) fn refuse_dense_layers(&self) -> Result<()> {
        let config = self.config;
        if let Some(step) = config.u64("decoder_sparse_step")?.filter(|step| *step != 1) {
            return Err(config.unsupported(format!("`decoder_sparse_step` of {step}")));
        }
        match config.get("mlp_only_layers").map(|v| v.as_array().map(Vec::len)) {
            None | Some(Some(0)) => Ok(()),
            Some(Some(n)) => Err(config.unsupported(format!("`mlp_only_layers` with {n} layers"))),
            Some(None) => Err(config.wrong("mlp_only_layers", "a list")),
        }
    }
}
