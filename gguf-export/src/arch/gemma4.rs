//! Gemma 4, dense, with experts, and with an embedding for each layer (E2B, E4B).
//!
//! Sources: `src/models/gemma4.cpp` of llama.cpp b11434, `conversion/gemma.py`, transformers' `modeling_gemma4.py`.

use super::family::{Family, OtherPart};
use super::gemma4_config;
use super::hparams::{Experts, FeedForward, Gemma, HParams, Layer};
use super::layout::Builder;
use super::metadata::Keys;
use super::target::{Map, Part, Role};
use crate::vocab::Family as Tokenizer;

pub(super) static FAMILY: Family = Family {
    models: "Gemma 4",
    unscaled: "experts",
    exceptions: "",
    gguf: "gemma4",
    model_types: &["gemma4", "gemma4_text"],
    architectures: &["Gemma4ForConditionalGeneration", "Gemma4ForCausalLM"],
    other_parts: &[
        ("model.vision_tower.", OtherPart::Vision),
        ("vision_tower.", OtherPart::Vision),
        ("model.embed_vision.", OtherPart::Vision),
        ("embed_vision.", OtherPart::Vision),
        ("model.audio_tower.", OtherPart::Audio),
        ("audio_tower.", OtherPart::Audio),
        ("model.embed_audio.", OtherPart::Audio),
        ("embed_audio.", OtherPart::Audio),
    ],
    tokenizer: Tokenizer::Gemma4,
    read: gemma4_config::read,
    layout: |out| {
        out.trunk(Map::Identity, layer);
        layer_embeddings(out);
    },
    mtp: None,
    keys,
};

fn layer(out: &mut Builder<'_>, block: &str, source: &str, layer: Layer) {
    let Some(gemma) = out.h.gemma else { return };
    norm(out, block, "attn_norm", source, "input_layernorm");
    attention(out, block, &format!("{source}.self_attn"), layer, &gemma);
    norm(out, block, "post_attention_norm", source, "post_attention_layernorm");
    norm(out, block, "ffn_norm", source, "pre_feedforward_layernorm");
    out.dense(block, &format!("{source}.mlp"), "", dense_width(out.h, layer), true);
    if let (FeedForward::Experts, Some(own)) = (layer.ff, out.h.experts) {
        norm(out, block, "post_ffw_norm_1", source, "post_feedforward_layernorm_1");
        norm(out, block, "pre_ffw_norm_2", source, "pre_feedforward_layernorm_2");
        experts(out, block, source, &own);
        norm(out, block, "post_ffw_norm_2", source, "post_feedforward_layernorm_2");
    }
    norm(out, block, "post_ffw_norm", source, "post_feedforward_layernorm");
    if gemma.layer_embedding > 0 {
        let (hidden, width) = (out.h.hidden, gemma.layer_embedding);
        for (name, module, rows, columns) in [
            ("inp_gate", "per_layer_input_gate", width, hidden),
            ("proj", "per_layer_projection", hidden, width),
        ] {
            out.linear(&format!("{block}.{name}"), &format!("{source}.{module}"), rows, columns, false);
        }
        norm(out, block, "post_norm", source, "post_per_layer_input_norm");
    }
    // A parameter, without a `.weight` suffix.
    let name = format!("{block}.layer_output_scale.weight");
    out.vector(&name, &format!("{source}.layer_scalar"), 1, Map::Identity);
}

fn norm(out: &mut Builder<'_>, block: &str, name: &str, source: &str, module: &str) {
    let hidden = out.h.hidden;
    out.vector(&format!("{block}.{name}.weight"), &format!("{source}.{module}"), hidden, Map::Identity);
}

/// Key and value of a layer that shares them have no effect, but older versions of transformers save them, and llama.cpp's
/// converter and loader take them.
fn attention(out: &mut Builder<'_>, block: &str, source: &str, layer: Layer, gemma: &Gemma) {
    let h = out.h;
    let attention = layer.attention;
    let is_sliding = attention.is_sliding();
    let (head, kv_heads) =
        if is_sliding { (gemma.head_dim, gemma.kv_heads) } else { (h.head_dim, h.kv_heads) };
    let (query, kv) = (h.heads * head, kv_heads * head);
    for (letter, rows) in [("q", query), ("k", kv), ("v", kv)] {
        let module = format!("{source}.{letter}_proj");
        let is_expected = match letter {
            "q" => true,
            "k" => !attention.is_shared(),
            // llama.cpp's graph takes the key if there is no value.
            _ => !attention.is_shared() && (is_sliding || !gemma.keys_are_values),
        };
        let is_taken = letter != "v" || is_sliding || !gemma.keys_are_values;
        if is_expected || is_taken && (out.has)(&module) {
            out.linear(&format!("{block}.attn_{letter}"), &module, rows, h.hidden, true);
        }
    }
    out.linear(&format!("{block}.attn_output"), &format!("{source}.o_proj"), h.hidden, query, true);
    for letter in ["q", "k"] {
        let module = format!("{source}.{letter}_norm");
        if letter == "q" || !attention.is_shared() || (out.has)(&module) {
            out.vector(&format!("{block}.attn_{letter}_norm.weight"), &module, head, Map::Identity);
        }
    }
}

fn dense_width(h: &HParams, layer: Layer) -> u64 {
    let is_double = layer.attention.is_shared() && h.gemma.is_some_and(|gemma| gemma.double_wide);
    h.ff.unwrap_or_default() * if is_double { 2 } else { 1 }
}

/// The router and the experts, stored one by one or stacked. Gate and up projection of an expert stay together, and the
/// factor of each expert takes the place of `.scale`; so no factors of their own can be stored beside.
fn experts(out: &mut Builder<'_>, block: &str, source: &str, experts: &Experts) {
    let (hidden, count, width) = (out.h.hidden, experts.count, experts.ff);
    let router = Part::whole(format!("{source}.router.proj"), count, hidden);
    out.f32(&format!("{block}.ffn_gate_inp.weight"), vec![hidden, count], router, Map::Identity);
    // These two are parameters.
    let scale = format!("{source}.router.scale");
    out.vector(&format!("{block}.ffn_gate_inp.scale"), &scale, hidden, Map::Identity);
    let scale = format!("{source}.router.per_expert_scale");
    out.vector(&format!("{block}.ffn_down_exps.scale"), &scale, count, Map::Identity);
    let is_stacked = (out.has)(&format!("{source}.experts.gate_up_proj"));
    for (name, modules, rows, columns) in [
        ("gate_up", &["gate_proj", "up_proj"][..], width, hidden),
        ("down", &["down_proj"][..], hidden, width),
    ] {
        let each = rows * modules.len() as u64;
        let parts = if is_stacked {
            vec![Part::whole(format!("{source}.experts.{name}_proj"), count * each, columns)]
        } else {
            let of = |e| modules.iter().map(move |module| format!("{source}.experts.{e}.{module}"));
            (0..count).flat_map(of).map(|module| Part::whole(module, rows, columns)).collect()
        };
        out.stacked(&format!("{block}.ffn_{name}_exps.weight"), vec![columns, each, count], parts, false);
    }
}

/// What computes the embedding of a token in each layer.
fn layer_embeddings(out: &mut Builder<'_>) {
    let h = out.h;
    let Some(width) = h.gemma.map(|gemma| gemma.layer_embedding).filter(|width| *width > 0) else { return };
    let trunk = out.names.trunk;
    let all = width * h.layers.len() as u64;
    out.for_each_token("per_layer_token_embd", &format!("{trunk}embed_tokens_per_layer"), all, Role::Linear);
    let module = format!("{trunk}per_layer_model_projection");
    out.linear("per_layer_model_proj", &module, all, h.hidden, false);
    let module = format!("{trunk}per_layer_projection_norm");
    out.vector("per_layer_proj_norm.weight", &module, width, Map::Identity);
}

fn keys(h: &HParams, _: u64, out: &mut Keys) {
    let Some(gemma) = h.gemma else { return };
    out.common(h, 0);
    if h.kv_heads != gemma.kv_heads {
        let of = |layer: &Layer| if layer.attention.is_sliding() { gemma.kv_heads } else { h.kv_heads };
        out.for_each_layer("attention.head_count_kv", h.layers.iter().map(of));
    }
    if gemma.double_wide {
        out.for_each_layer("feed_forward_length", h.layers.iter().map(|layer| dense_width(h, *layer)));
    }
    if let Some(softcap) = gemma.softcap {
        out.put("final_logit_softcapping", softcap);
    }
    out.size("attention.sliding_window", gemma.window);
    let shared = h.layers.iter().filter(|layer| layer.attention.is_shared()).count();
    out.size("attention.shared_kv_layers", shared as u64);
    out.size("embedding_length_per_layer_input", gemma.layer_embedding);
    let sliding: Vec<bool> = h.layers.iter().map(|layer| layer.attention.is_sliding()).collect();
    out.put("attention.sliding_window_pattern", sliding);
    out.size("attention.key_length_swa", gemma.head_dim);
    out.size("attention.value_length_swa", gemma.head_dim);
    out.expert_widths(h);
    out.size("rope.dimension_count", h.rope.dims);
    out.size("rope.dimension_count_swa", gemma.head_dim);
}
