//! `MiniMax` M2, M2.1 and M2.5.

use super::family::Family;
use super::hparams::{Experts, FeedForward, Gating, HParams};
use super::metadata::Keys;
use super::plain::Plain;
use super::reader::Reader;
use super::traits::Traits;
use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::vocab::Family as Tokenizer;

pub(super) static FAMILY: Family = Family {
    models: "MiniMax M2, M2.1 and M2.5",
    unscaled: "experts",
    exceptions: "",
    gguf: "minimax-m2",
    model_types: &["minimax_m2"],
    architectures: &["MiniMaxM2ForCausalLM"],
    other_parts: &[],
    tokenizer: Tokenizer::MiniMaxM2,
    read,
    layout: |out| Plain::MINIMAX.trunk(out),
    mtp: None,
    keys,
};

fn read(config: &ModelConfig) -> Result<HParams> {
    let reader = Reader { config, traits: Traits { base_by_default: false, ..Traits::PLAIN } };
    reader.refuse_false("use_qk_norm")?;
    reader.refuse_other_scores("sigmoid")?;
    if let Some(width) = config.u64("shared_intermediate_size")?.filter(|width| *width != 0) {
        return Err(config.unsupported(format!("`shared_intermediate_size` of {width}")));
    }
    let is_full = |kind: &serde_json::Value| kind.as_u64() == Some(1);
    if let Some(list) = config.get("attn_type_list")
        && !list.as_array().is_some_and(|list| list.iter().all(is_full))
    {
        return Err(config.wrong("attn_type_list", "1 for every layer"));
    }
    let mut h = reader.common()?;
    if config.get("rotary_dim").is_some() {
        h.rope.dims = config.size("rotary_dim", h.head_dim)?;
        if !h.rope.dims.is_multiple_of(2) {
            return Err(config.wrong("rotary_dim", "an even number"));
        }
    }
    h.ff = Some(reader.inner("intermediate_size")?);
    h.layers = reader.full_layers(FeedForward::Experts)?;
    let experts = reader.experts(reader.first(&["num_local_experts", "num_experts"]), "intermediate_size")?;
    h.experts = Some(Experts { gating: Some(Gating::Sigmoid), ..experts });
    Ok(h)
}

fn keys(h: &HParams, _: u64, out: &mut Keys) {
    out.common(h, 0);
    out.expert_widths(h);
    out.size("rope.dimension_count", h.rope.dims);
}
