//! GLM-4.5, 4.6 and 4.7.

use super::family::Family;
use super::hparams::{Attention, FeedForward, Gating, HParams, Layer};
use super::layout::{Builder, Mtp};
use super::metadata::Keys;
use super::nextn;
use super::plain::Plain;
use super::reader::Reader;
use super::routing;
use super::traits::Traits;
use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::vocab::Family as Tokenizer;

pub(super) static FAMILY: Family = Family {
    models: "GLM-4.5, 4.6 and 4.7",
    unscaled: "experts and dense blocks",
    exceptions: "",
    gguf: "glm4moe",
    model_types: &["glm4_moe"],
    architectures: &["Glm4MoeForCausalLM"],
    other_parts: &[],
    tokenizer: Tokenizer::Glm4,
    read,
    layout: |out| Plain::GLM.trunk(out),
    mtp: Some(Mtp { prefixes: nextn::prefixes, layer: Some(mtp_layer) }),
    keys,
};

const TRAITS: Traits = Traits { rotated: 0.5, attention_bias: true, ..Traits::PLAIN };

fn read(config: &ModelConfig) -> Result<HParams> {
    let reader = Reader { config, traits: TRAITS };
    reader.refuse_other_scores("sigmoid")?;
    let mut h = reader.common()?;
    h.head_norms = config.bool("use_qk_norm")?.unwrap_or(false);
    let leading_dense = config.u64("first_k_dense_replace")?.unwrap_or(0);
    routing::read(&reader, leading_dense, &mut h)?;
    Ok(h)
}

/// The layer after the trunk, and what joins it to the trunk.
fn mtp_layer(out: &mut Builder<'_>, prefix: &str) {
    let h = out.h;
    let block = format!("blk.{}", h.layers.len());
    let layer = Layer { attention: Attention::Full, ff: FeedForward::Experts };
    Plain::GLM.layer(out, &block, prefix.trim_end_matches('.'), layer);
    nextn::modules(out, &block, prefix);
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
        out.put("expert_weights_norm", routing.normalized);
    }
    out.size("nextn_predict_layers", mtp_layers);
}
