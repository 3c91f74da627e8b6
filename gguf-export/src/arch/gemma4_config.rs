//! The hyperparameters of Gemma 4. Defaults are those of transformers' `configuration_gemma4.py`.

#[cfg(test)]
mod tests;

use super::hparams::{Attention, Experts, FeedForward, Gemma, HParams, Layer, Rope, RopeScaling};
use super::reader::{MAX_HEAD_DIM, MAX_HEADS, Reader};
use super::rope;
use super::traits::Traits;
use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::gguf::limits;

/// Reads the section of the language model.
pub(super) fn read(config: &ModelConfig) -> Result<HParams> {
    let reader = Reader { config, traits: Traits::PLAIN };
    refuse_other_graphs(config)?;
    let mut h = reader.common()?;
    let sliding = Heads { head_dim: h.head_dim, kv_heads: h.kv_heads };
    let attentions = attentions(config)?;
    let full = full_heads(config, &attentions, sliding, h.heads)?;
    let (rope, rope_base) = both_ropes(config, &h, full.head_dim)?;
    h.rope = rope;
    h.head_dim = full.head_dim;
    h.kv_heads = full.kv_heads;
    h.ff = Some(reader.inner("intermediate_size")?);
    h.experts = experts(&reader)?;
    let ff = if h.experts.is_some() { FeedForward::Experts } else { FeedForward::Dense };
    h.layers = attentions.into_iter().map(|attention| Layer { attention, ff }).collect();
    h.tied = config.bool("tie_word_embeddings")?.unwrap_or(true);
    h.gemma = Some(Gemma {
        window: config.size("sliding_window", limits::CONTEXT)?,
        head_dim: sliding.head_dim,
        kv_heads: sliding.kv_heads,
        rope_base,
        keys_are_values: config.bool("attention_k_eq_v")?.unwrap_or(false),
        double_wide: config.bool("use_double_wide_mlp")?.unwrap_or(false),
        layer_embedding: layer_embedding(config, &h)?,
        softcap: config.positive_or_none("final_logit_softcapping")?,
    });
    Ok(h)
}

/// Refuses options that llama.cpp's graph does not have.
fn refuse_other_graphs(config: &ModelConfig) -> Result<()> {
    if let Some(other) = config.str("hidden_activation")?.filter(|name| *name != "gelu_pytorch_tanh") {
        return Err(config.unsupported(format!("`hidden_activation` of `{other}`")));
    }
    if let Some(cap) = config.get("attn_logit_softcapping") {
        return Err(config.unsupported(format!("`attn_logit_softcapping` of {cap}")));
    }
    // Only tokens of images would see later tokens, and they are not converted.
    match config.str("use_bidirectional_attention")? {
        None | Some("vision") => Ok(()),
        Some(other) => Err(config.unsupported(format!("`use_bidirectional_attention` of `{other}`"))),
    }
}

/// The attention of each layer.
fn attentions(config: &ModelConfig) -> Result<Vec<Attention>> {
    let count = config.size("num_hidden_layers", limits::LAYERS)?;
    if count < 2 {
        return Err(config.wrong("num_hidden_layers", "at least 2"));
    }
    let expected =
        format!("{count} times `sliding_attention` or `full_attention`, the last `full_attention`");
    let wrong = || config.wrong("layer_types", &expected);
    let list = config.get("layer_types").and_then(serde_json::Value::as_array);
    let list = list.filter(|list| list.len() as u64 == count).ok_or_else(wrong)?;
    let mut all: Vec<Attention> = list
        .iter()
        .map(|kind| match kind.as_str() {
            Some("sliding_attention") => Ok(Attention::Sliding),
            Some("full_attention") => Ok(Attention::Full),
            _ => Err(wrong()),
        })
        .collect::<Result<_>>()?;
    if all.last() != Some(&Attention::Full) {
        return Err(wrong());
    }
    let shared = config.u64("num_kv_shared_layers")?.unwrap_or(0);
    let own = count.checked_sub(shared).and_then(|own| usize::try_from(own).ok()).filter(|own| *own >= 2);
    let own = own.ok_or_else(|| config.wrong("num_kv_shared_layers", &format!("at most {}", count - 2)))?;
    let (before, after) = all.split_at_mut(own);
    // llama.cpp takes these two for the last of their kinds.
    let is_last = |kind: Attention| before[own - if kind.is_sliding() { 2 } else { 1 }] == kind;
    if let Some(kind) = after.iter().find(|kind| !is_last(**kind)) {
        let place = if kind.is_sliding() { "second to last" } else { "last" };
        let what = format!(
            "`num_kv_shared_layers` of {shared}, where the {place} of the {own} layers before has other attention"
        );
        return Err(config.unsupported(what));
    }
    for kind in after {
        *kind = if kind.is_sliding() { Attention::SharedSliding } else { Attention::SharedFull };
    }
    Ok(all)
}

/// What may differ between the two kinds of attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Heads {
    head_dim: u64,
    kv_heads: u64,
}

/// The heads of the layers with full attention: by layer as transformers 5 saves them, or in the fields before it.
fn full_heads(config: &ModelConfig, layers: &[Attention], sliding: Heads, heads: u64) -> Result<Heads> {
    let own = |field| config.get(field).is_some();
    let mut stated = sliding;
    if own("global_head_dim") {
        stated.head_dim = config.size("global_head_dim", MAX_HEAD_DIM)?;
    }
    // transformers reads the field only if the values are the keys.
    if config.bool("attention_k_eq_v")? == Some(true) && own("num_global_key_value_heads") {
        stated.kv_heads = config.size("num_global_key_value_heads", MAX_HEADS)?;
    }
    let found = match config.section("per_layer_config")? {
        Some(list) => {
            let found = by_layer(&list, layers, sliding)?;
            if own("global_head_dim") && stated.head_dim != found.head_dim {
                return Err(config.wrong("global_head_dim", "the size in `per_layer_config`"));
            }
            if own("num_global_key_value_heads") && stated.kv_heads != found.kv_heads {
                return Err(config.wrong("num_global_key_value_heads", "the number in `per_layer_config`"));
            }
            found
        }
        None if own("global_head_dim") => stated,
        None => return Err(config.wrong("global_head_dim", &format!("an integer from 1 to {MAX_HEAD_DIM}"))),
    };
    if !heads.is_multiple_of(found.kv_heads) {
        let expected = format!("a divisor of `num_attention_heads`, {heads}");
        return Err(config.wrong("num_global_key_value_heads", &expected));
    }
    Ok(found)
}

/// The heads of all layers with full attention in `per_layer_config`, which names what differs from the rest.
fn by_layer(list: &ModelConfig, layers: &[Attention], rest: Heads) -> Result<Heads> {
    let mut all = vec![rest; layers.len()];
    for (index, _) in list.iter() {
        let layer = index.parse::<usize>().ok().and_then(|index| all.get_mut(index));
        let layer = layer.ok_or_else(|| list.wrong(index, &format!("a layer below {}", layers.len())))?;
        let Some(own) = list.section(index)? else { continue };
        for (field, _) in own.iter() {
            match field {
                "head_dim" => layer.head_dim = own.size(field, MAX_HEAD_DIM)?,
                "num_key_value_heads" => layer.kv_heads = own.size(field, MAX_HEADS)?,
                _ => return Err(list.unsupported(format!("`{}`", own.name(field)))),
            }
        }
    }
    let mut full = rest;
    let mut pairs = layers.iter().zip(&all);
    if let Some((_, last)) = pairs.clone().rfind(|(kind, _)| !kind.is_sliding()) {
        full = *last;
    }
    let expected = |kind: &Attention| if kind.is_sliding() { rest } else { full };
    match pairs.position(|(kind, heads)| *heads != expected(kind)) {
        Some(layer) => {
            let what = format!("layer {layer} of `per_layer_config` unlike the others of its attention");
            Err(list.unsupported(what))
        }
        None => Ok(full),
    }
}

/// The rotation in layers with full attention, and the base of the others.
fn both_ropes(config: &ModelConfig, h: &HParams, head_dim: u64) -> Result<(Rope, f32)> {
    let field = "rope_parameters";
    if h.rope.dims != h.head_dim || h.rope.scaling != RopeScaling::None || h.rope.sections.is_some() {
        return Err(config.unsupported("one rotation for all layers".to_owned()));
    }
    let expected = "an object with `full_attention` and `sliding_attention`";
    let both = config.section(field)?.ok_or_else(|| config.wrong(field, expected))?;
    let one = |name| both.section(name)?.ok_or_else(|| both.wrong(name, "an object"));
    let (full, sliding) = (one("full_attention")?, one("sliding_attention")?);
    for (part, own) in [(&full, "proportional"), (&sliding, "default")] {
        match part.str("rope_type")? {
            Some(kind) if kind == own => {}
            Some(other) => {
                return Err(config.unsupported(format!("`{}` of `{other}`", part.name("rope_type"))));
            }
            None => return Err(part.wrong("rope_type", &format!("`{own}`"))),
        }
        refuse_unless_one(part, "factor")?;
    }
    refuse_unless_one(&sliding, "partial_rotary_factor")?;
    let Some(fraction) = full.f64("partial_rotary_factor")? else {
        return Err(full.wrong("partial_rotary_factor", "a number"));
    };
    let scaling = RopeScaling::Proportional { rotated: rope::rotated(&full, head_dim, fraction)? / 2 };
    let rope = Rope { base: full.positive("rope_theta")?, dims: head_dim, scaling, sections: None };
    if !head_dim.is_multiple_of(2) || !h.head_dim.is_multiple_of(2) {
        return Err(config.wrong("head_dim", "an even number, in all layers"));
    }
    Ok((rope, sliding.positive("rope_theta")?))
}

/// Refuses a factor that llama.cpp's graph does not apply.
fn refuse_unless_one(part: &ModelConfig, field: &str) -> Result<()> {
    match part.positive_or_none(field)? {
        Some(factor) if factor.to_bits() != 1f32.to_bits() => {
            Err(part.unsupported(format!("`{}` of {factor}", part.name(field))))
        }
        _ => Ok(()),
    }
}

fn experts(reader: &Reader<'_>) -> Result<Option<Experts>> {
    let config = reader.config;
    if config.bool("enable_moe_block")? != Some(true) {
        return Ok(None);
    }
    let count = config.size("num_experts", limits::EXPERTS)?;
    Ok(Some(Experts {
        count,
        used: config.size("top_k_experts", count)?,
        ff: reader.inner(reader.first(&["moe_intermediate_size", "expert_intermediate_size"]))?,
        shared_ff: 0,
        groups: None,
        gating: None,
    }))
}

/// The width of the embedding that each layer has.
fn layer_embedding(config: &ModelConfig, h: &HParams) -> Result<u64> {
    let width = config.u64("hidden_size_per_layer_input")?.unwrap_or(0);
    if width == 0 {
        return Ok(0);
    }
    let width = config.size("hidden_size_per_layer_input", limits::WIDTH / h.layers.len() as u64)?;
    if config.u64("vocab_size_per_layer_input")? != Some(h.vocab) {
        return Err(config.wrong("vocab_size_per_layer_input", &format!("`vocab_size`, {}", h.vocab)));
    }
    Ok(width)
}
