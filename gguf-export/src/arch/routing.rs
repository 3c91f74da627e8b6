//! Routing of GLM and `DeepSeek`: dense layers first, then experts, some of which are shared.

use super::hparams::{Experts, FeedForward, HParams, Routing};
use super::reader::Reader;
use crate::Result;

/// Reads the layers, the experts and their routing.
pub(super) fn read(reader: &Reader<'_>, leading_dense: u64, h: &mut HParams) -> Result<()> {
    let config = reader.config;
    h.ff = Some(reader.inner("intermediate_size")?);
    h.layers = reader.full_layers(FeedForward::Experts)?;
    // The layers after the trunk have experts, even if the number of dense ones is larger.
    let leading_dense = leading_dense.min(h.layers.len() as u64);
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
        // The default of transformers.
        normalized: config.bool("norm_topk_prob")?.unwrap_or(true),
    });
    Ok(())
}
