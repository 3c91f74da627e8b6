//! GLM-4.5, 4.6 and 4.7.

use super::family::Family;
use super::hparams::{Attention, Experts, FeedForward, Gating, HParams, Layer, Routing};
use super::layout::{Builder, Mtp};
use super::metadata::Keys;
use super::plain::Plain;
use super::reader::Reader;
use super::target::Map;
use super::traits::Traits;
use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::gguf::limits;
use crate::vocab::Family as Tokenizer;

pub(super) static FAMILY: Family = Family {
    models: "GLM-4.5, 4.6 and 4.7",
    exceptions: "",
    gguf: "glm4moe",
    model_types: &["glm4_moe"],
    architectures: &["Glm4MoeForCausalLM"],
    other_parts: &[],
    tokenizer: Tokenizer::Glm4,
    read,
    layout: |out| {
        out.trunk(Map::Identity, |out, block, source, layer| {
            Plain::GLM.layer(out, block, source, layer);
        });
    },
    mtp: Some(Mtp {
        prefixes: |out| vec![format!("{}layers.{}.", out.names.trunk, out.h.layers.len())],
        layer: mtp_layer,
    }),
    keys,
};

const TRAITS: Traits = Traits { rotated: 0.5, attention_bias: true, ..Traits::PLAIN };

fn read(config: &ModelConfig) -> Result<HParams> {
    let reader = Reader { config, architecture: FAMILY.gguf, traits: TRAITS };
    reader.refuse_other_scores("sigmoid")?;
    let mut h = reader.common()?;
    h.head_norms = config.bool("use_qk_norm")?.unwrap_or(false);
    h.ff = Some(reader.inner("intermediate_size")?);
    let leading_dense = config.u64("first_k_dense_replace")?.unwrap_or(0).min(limits::LAYERS);
    h.layers = reader.full_layers(FeedForward::Experts)?;
    for layer in h.layers.iter_mut().zip(0..leading_dense).map(|(layer, _)| layer) {
        layer.ff = FeedForward::Dense;
    }
    let experts = reader.experts("n_routed_experts", "moe_intermediate_size")?;
    let shared = config.u64("n_shared_experts")?.unwrap_or(0);
    if shared > experts.count {
        return Err(config.wrong("n_shared_experts", "at most `n_routed_experts`"));
    }
    let groups = reader.expert_groups(experts.count)?;
    h.experts = Some(Experts { shared_ff: shared * experts.ff, groups, gating: None, ..experts });
    h.routing = Some(Routing {
        leading_dense,
        shared,
        scale: config.positive_or_none("routed_scaling_factor")?,
        normalized: config.bool("norm_topk_prob")?,
    });
    Ok(h)
}

/// The layer after the trunk, and what joins it to the trunk.
fn mtp_layer(out: &mut Builder<'_>, prefix: &str) {
    let h = out.h;
    let block = format!("blk.{}", h.layers.len());
    let layer = Layer { attention: Attention::Full, ff: FeedForward::Experts };
    Plain::GLM.layer(out, &block, prefix.trim_end_matches('.'), layer);
    out.linear(&format!("{block}.nextn.eh_proj"), &format!("{prefix}eh_proj"), h.hidden, 2 * h.hidden, true);
    for (name, module) in [("embed_tokens", "embed_tokens"), ("shared_head_head", "shared_head.head")] {
        let module = format!("{prefix}{module}");
        if (out.has)(&module) {
            out.linear(&format!("{block}.nextn.{name}"), &module, h.vocab, h.hidden, true);
        }
    }
    for (name, module) in [("enorm", "enorm"), ("hnorm", "hnorm"), ("shared_head_norm", "shared_head.norm")] {
        let name = format!("{block}.nextn.{name}.weight");
        out.vector(&name, &format!("{prefix}{module}"), h.hidden, Map::Identity);
    }
}

fn keys(h: &HParams, mtp_layers: u64, out: &mut Keys) {
    out.common(h, mtp_layers);
    out.size("rope.dimension_count", h.rope.dims);
    if let (Some(experts), Some(routing)) = (h.experts, h.routing) {
        out.size("expert_feed_forward_length", experts.ff);
        out.size("expert_shared_count", routing.shared);
        out.size("leading_dense_block_count", routing.leading_dense);
        out.put("expert_gating_func", Gating::Sigmoid as u32);
        if let Some(scale) = routing.scale {
            out.put("expert_weights_scale", scale);
        }
        if let Some(normalized) = routing.normalized {
            out.put("expert_weights_norm", normalized);
        }
    }
    out.size("nextn_predict_layers", mtp_layers);
}
