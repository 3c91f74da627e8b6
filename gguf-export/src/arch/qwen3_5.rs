//! Qwen3.5 and 3.6, dense and with experts, alone and as the language model of a model that also sees.

use super::delta_net;
use super::family::{Family, OtherPart};
use super::hparams::{DeltaInputs, Experts, FeedForward, HParams};
use super::reader::Reader;
use super::target::Map;
use super::traits::Traits;
use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::vocab::Family as Tokenizer;

pub(super) static DENSE: Family = Family {
    models: "Qwen3.5, 3.6 and 3.8, dense",
    unscaled: "",
    exceptions: "`ssm_out`: only types whose block fits in a value head, so not K-quants",
    gguf: "qwen35",
    model_types: &["qwen3_5", "qwen3_5_text"],
    architectures: &["Qwen3_5ForConditionalGeneration", "Qwen3_5ForCausalLM"],
    other_parts: &[("model.visual.", OtherPart::Vision), ("visual.", OtherPart::Vision)],
    tokenizer: Tokenizer::Plain,
    read: read_dense,
    layout: |out| out.trunk(Map::AddOne, delta_net::layer),
    mtp: Some(delta_net::MTP),
    keys: delta_net::keys,
};

pub(super) static EXPERTS: Family = Family {
    models: "Qwen3.5 and 3.6 with experts",
    gguf: "qwen35moe",
    model_types: &["qwen3_5_moe", "qwen3_5_moe_text"],
    architectures: &["Qwen3_5MoeForConditionalGeneration", "Qwen3_5MoeForCausalLM"],
    read: read_experts,
    ..DENSE
};

const TRAITS: Traits = Traits { rotated: 0.25, base_by_default: false, ..Traits::PLAIN };

fn read_dense(config: &ModelConfig) -> Result<HParams> {
    let reader = Reader { config, traits: TRAITS };
    let mut h = read(&reader, FeedForward::Dense)?;
    h.ff = Some(reader.inner("intermediate_size")?);
    Ok(h)
}

fn read_experts(config: &ModelConfig) -> Result<HParams> {
    let reader = Reader { config, traits: TRAITS };
    reader.refuse_dense_layers()?;
    reader.refuse_plain_sums()?;
    let mut h = read(&reader, FeedForward::Experts)?;
    h.ff = reader.optional("intermediate_size")?;
    let shared_ff = reader.inner("shared_expert_intermediate_size")?;
    h.experts = Some(Experts { shared_ff, ..reader.experts("num_experts", "moe_intermediate_size")? });
    Ok(h)
}

fn read(reader: &Reader<'_>, ff: FeedForward) -> Result<HParams> {
    reader.refuse_false("attn_output_gate")?;
    if let Some(gate) =
        reader.config.str("output_gate_type")?.filter(|gate| !["silu", "swish"].contains(gate))
    {
        return Err(reader.config.unsupported(format!("`output_gate_type` of `{gate}`")));
    }
    let mut h = reader.common()?;
    // The loader of llama.cpp requires the sections; these are the defaults of its converter.
    h.rope.sections = h.rope.sections.or(Some([11, 11, 10, 0]));
    let delta = reader.delta(DeltaInputs::Apart)?;
    h.layers = reader.linear_layers(&delta, ff)?;
    h.delta = Some(delta);
    Ok(h)
}
