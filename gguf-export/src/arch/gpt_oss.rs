//! gpt-oss: every second layer looks at the last tokens only, and everything has biases.

#[cfg(test)]
mod tests;

use super::family::Family;
use super::hparams::{Attention, FeedForward, HParams, Layer};
use super::layout::{Builder, ExpertNames};
use super::metadata::Keys;
use super::plain::{Norms, Plain};
use super::reader::Reader;
use super::target::{Columns, Map, Part, Role, Rows, Rule, Target};
use super::traits::Traits;
use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::gguf::limits;
use crate::vocab::Family as Tokenizer;

pub(super) static FAMILY: Family = Family {
    models: "gpt-oss",
    unscaled: "experts",
    exceptions: "",
    gguf: "gpt-oss",
    model_types: &["gpt_oss"],
    architectures: &["GptOssForCausalLM"],
    other_parts: &[],
    tokenizer: Tokenizer::Plain,
    read,
    layout: |out| out.trunk(Map::Identity, layer),
    mtp: None,
    keys,
};

const TRAITS: Traits =
    Traits { attention_bias: true, yarn_exact_limits: true, base_by_default: false, ..Traits::PLAIN };
const ATTENTION: Plain = Plain {
    norms: Norms::Absent,
    rows: Rows::AsStored,
    second_norm: "post_attention_norm",
    experts: ExpertNames::MLP,
};
/// The slope and the limit of the activation in llama.cpp's graph.
const ACTIVATION: [(&str, f64); 2] = [("swiglu_alpha", 1.702), ("swiglu_limit", 7.0)];

fn read(config: &ModelConfig) -> Result<HParams> {
    let reader = Reader { config, traits: TRAITS };
    reader.refuse_false("attention_bias")?;
    reader.refuse_true("tie_word_embeddings")?;
    for (field, own) in ACTIVATION {
        if let Some(other) = config.f64(field)?.filter(|value| value.to_bits() != own.to_bits()) {
            return Err(config.unsupported(format!("`{field}` of {other}")));
        }
    }
    let mut h = reader.common()?;
    reader.refuse_partial_rotation(&h)?;
    h.attention_bias = true;
    h.ff = Some(reader.inner("intermediate_size")?);
    h.sliding_window = Some(config.size("sliding_window", limits::CONTEXT)?);
    h.layers = layers(config)?;
    let experts = reader.experts("num_local_experts", "intermediate_size")?;
    if config.u64("experts_per_token")?.is_some_and(|used| used != experts.used) {
        let expected = format!("`num_experts_per_tok`, {}", experts.used);
        return Err(config.wrong("experts_per_token", &expected));
    }
    h.experts = Some(experts);
    Ok(h)
}

/// The graph has sliding attention in the first layer and in every second after it.
fn layers(config: &ModelConfig) -> Result<Vec<Layer>> {
    let count = config.size("num_hidden_layers", limits::LAYERS)?;
    let own = |layer: u64| if layer.is_multiple_of(2) { "sliding_attention" } else { "full_attention" };
    let is_own = |list: &Vec<serde_json::Value>| {
        list.len() as u64 == count
            && list.iter().zip(0..).all(|(kind, layer)| kind.as_str() == Some(own(layer)))
    };
    if let Some(list) = config.get("layer_types")
        && !list.as_array().is_some_and(is_own)
    {
        let expected = format!("`sliding_attention` and `full_attention` in turn, for {count} layers");
        return Err(config.wrong("layer_types", &expected));
    }
    let attention = |layer: u64| if layer.is_multiple_of(2) { Attention::Sliding } else { Attention::Full };
    Ok((0..count).map(|layer| Layer { attention: attention(layer), ff: FeedForward::Experts }).collect())
}

fn layer(out: &mut Builder<'_>, block: &str, source: &str, _: Layer) {
    let h = out.h;
    let vector = |out: &mut Builder<'_>, name: &str, module: &str, len| {
        out.vector(&format!("{block}.{name}"), &format!("{source}.{module}"), len, Map::Identity);
    };
    vector(out, "attn_norm.weight", "input_layernorm", h.hidden);
    ATTENTION.attention(out, block, &format!("{source}.self_attn"));
    vector(out, "attn_output.bias", "self_attn.o_proj.bias", h.hidden);
    vector(out, "attn_sinks.weight", "self_attn.sinks", h.heads);
    vector(out, "post_attention_norm.weight", "post_attention_layernorm", h.hidden);
    let count = h.experts.map_or(0, |experts| experts.count);
    let router = Part::whole(format!("{source}.mlp.router"), count, h.hidden);
    out.f32(&format!("{block}.ffn_gate_inp.weight"), vec![h.hidden, count], router, Map::Identity);
    vector(out, "ffn_gate_inp.bias", "mlp.router.bias", count);
    experts(out, block, &format!("{source}.mlp.experts"));
}

/// How a checkpoint stores the experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// One by one, as AutoRound writes them.
    Apart,
    /// Stacked in MXFP4, by rows, as OpenAI publishes them. Gate and up rows alternate.
    Blocks,
    /// Stacked floats, by columns, which alternate.
    Floats,
}

/// A projection of the experts: `rows` outputs from `columns` inputs each.
#[derive(Debug, Clone, Copy)]
struct Projection {
    name: &'static str,
    rows: u64,
    columns: u64,
    /// Its module in stacked form, and its place among those that alternate in it.
    stack: (&'static str, Option<u64>),
}

fn experts(out: &mut Builder<'_>, block: &str, source: &str) {
    let Some(experts) = out.h.experts else { return };
    let (hidden, width, count) = (out.h.hidden, experts.ff, experts.count);
    let stored = match () {
        () if (out.has)(&format!("{source}.gate_up_proj_blocks")) => Stored::Blocks,
        () if (out.has)(&format!("{source}.gate_up_proj")) => Stored::Floats,
        () => Stored::Apart,
    };
    let projections = [
        Projection { name: "gate", rows: width, columns: hidden, stack: ("gate_up_proj", Some(0)) },
        Projection { name: "up", rows: width, columns: hidden, stack: ("gate_up_proj", Some(1)) },
        Projection { name: "down", rows: hidden, columns: width, stack: ("down_proj", None) },
    ];
    for projection in projections {
        let Projection { name, rows, columns, .. } = projection;
        out.push(Target {
            name: format!("{block}.ffn_{name}_exps.weight"),
            dims: vec![columns, rows, count],
            parts: projection.weights(stored, source, count),
            columns: Columns::AsStored,
            rule: Rule::Matrix { role: Role::Experts, scaled: false },
        });
    }
    for projection in projections {
        out.push(Target {
            name: format!("{block}.ffn_{}_exps.bias", projection.name),
            dims: vec![projection.rows, count],
            parts: projection.biases(stored, source, count),
            columns: Columns::AsStored,
            rule: Rule::F32(Map::Identity),
        });
    }
}

impl Projection {
    fn weights(&self, stored: Stored, source: &str, count: u64) -> Vec<Part> {
        let Self { name, rows, columns, stack: (stack, place) } = *self;
        let module = format!("{source}.{stack}");
        let step = if place.is_some() { 2 } else { 1 };
        // Runs of an expert each.
        let part = |(each, width), start: u64, order| Part {
            module: module.clone(),
            rows: count * each,
            columns: width,
            runs: (0..count).map(|expert| (expert * each + start, rows)).collect(),
            order,
        };
        match stored {
            Stored::Apart => {
                let module = |expert| format!("{source}.{expert}.{name}_proj");
                (0..count).map(|expert| Part::whole(module(expert), rows, columns)).collect()
            }
            Stored::Blocks => {
                let order = if place.is_some() { Rows::Alternate } else { Rows::AsStored };
                vec![part((step * rows, columns), place.unwrap_or(0), order)]
            }
            Stored::Floats => {
                let order = Rows::Transposed { first: place.unwrap_or(0), step };
                vec![part((columns, step * rows), 0, order)]
            }
        }
    }

    fn biases(&self, stored: Stored, source: &str, count: u64) -> Vec<Part> {
        let Self { name, rows, stack: (stack, place), .. } = *self;
        if stored == Stored::Apart {
            let module = |expert| format!("{source}.{expert}.{name}_proj.bias");
            return (0..count).map(|expert| Part::whole(module(expert), 1, rows)).collect();
        }
        let module = format!("{source}.{stack}_bias");
        vec![match place {
            Some(first) => Part { order: Rows::Entries { first }, ..Part::whole(module, count, 2 * rows) },
            None => Part::whole(module, count, rows),
        }]
    }
}

fn keys(h: &HParams, _: u64, out: &mut Keys) {
    out.common(h, 0);
    if let Some(window) = h.sliding_window {
        out.size("attention.sliding_window", window);
    }
    out.expert_widths(h);
}
