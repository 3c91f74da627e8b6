//! Qwen3, dense and with experts.

use super::family::Family;
use super::hparams::{FeedForward, HParams};
use super::metadata::Keys;
use super::plain::Plain;
use super::reader::Reader;
use super::traits::Traits;
use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::vocab::Family as Tokenizer;

pub(super) static DENSE: Family = Family {
    models: "Qwen3",
    unscaled: "",
    exceptions: "",
    gguf: "qwen3",
    model_types: &["qwen3"],
    architectures: &["Qwen3ForCausalLM"],
    other_parts: &[],
    tokenizer: Tokenizer::Plain,
    read: read_dense,
    layout: |out| Plain::QWEN3.trunk(out),
    mtp: None,
    keys,
};

pub(super) static EXPERTS: Family = Family {
    models: "Qwen3 with experts, Qwen3-Coder",
    unscaled: "",
    exceptions: "",
    gguf: "qwen3moe",
    model_types: &["qwen3_moe"],
    architectures: &["Qwen3MoeForCausalLM"],
    read: read_experts,
    ..DENSE
};

fn read_dense(config: &ModelConfig) -> Result<HParams> {
    let reader = Reader { config, traits: Traits::PLAIN };
    let mut h = read(&reader, FeedForward::Dense)?;
    h.ff = Some(reader.inner("intermediate_size")?);
    Ok(h)
}

fn read_experts(config: &ModelConfig) -> Result<HParams> {
    let reader = Reader { config, traits: Traits::PLAIN };
    reader.refuse_dense_layers()?;
    // transformers' default is false.
    if config.bool("norm_topk_prob")? != Some(true) {
        return Err(config.wrong("norm_topk_prob", "true"));
    }
    let mut h = read(&reader, FeedForward::Experts)?;
    h.ff = reader.optional("intermediate_size")?;
    h.experts =
        Some(reader.experts(reader.first(&["num_experts", "num_local_experts"]), "moe_intermediate_size")?);
    Ok(h)
}

fn read(reader: &Reader<'_>, ff: FeedForward) -> Result<HParams> {
    reader.refuse_sliding_window("use_sliding_window")?;
    let mut h = reader.common()?;
    reader.refuse_partial_rotation(&h)?;
    h.layers = reader.full_layers(ff)?;
    Ok(h)
}

fn keys(h: &HParams, _: u64, out: &mut Keys) {
    out.common(h, 0);
    out.expert_widths(h);
}
