//! Qwen3-Next.

use super::delta_net;
use super::family::Family;
use super::hparams::{DeltaInputs, Experts, FeedForward, HParams};
use super::reader::Reader;
use super::target::Map;
use super::traits::Traits;
use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::vocab::Family as Tokenizer;

pub(super) static FAMILY: Family = Family {
    models: "Qwen3-Next, Qwen3-Coder-Next",
    unscaled: "the delta net",
    exceptions: "",
    gguf: "qwen3next",
    model_types: &["qwen3_next"],
    architectures: &["Qwen3NextForCausalLM"],
    other_parts: &[],
    tokenizer: Tokenizer::Plain,
    read,
    layout: |out| out.trunk(Map::AddOne, delta_net::layer),
    mtp: Some(delta_net::MTP),
    keys: delta_net::keys,
};

const TRAITS: Traits = Traits { rotated: 0.25, ..Traits::PLAIN };

fn read(config: &ModelConfig) -> Result<HParams> {
    let reader = Reader { config, traits: TRAITS };
    reader.refuse_dense_layers()?;
    reader.refuse_plain_sums()?;
    let mut h = reader.common()?;
    // The default of transformers. No tensor uses it.
    h.ff = Some(reader.optional("intermediate_size")?.unwrap_or(5632));
    let delta = reader.delta(DeltaInputs::Joint)?;
    h.experts = Some(Experts {
        shared_ff: reader.inner("shared_expert_intermediate_size")?,
        ..reader.experts("num_experts", "moe_intermediate_size")?
    });
    h.layers = reader.linear_layers(&delta, FeedForward::Experts)?;
    h.delta = Some(delta);
    Ok(h)
}
