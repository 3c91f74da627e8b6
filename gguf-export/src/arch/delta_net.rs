//! The layers of Qwen3-Next and Qwen3.5: gated delta net or gated softmax attention, then experts or a dense block.
//!
//! Sources: `src/models/qwen3next.cpp`, `qwen35.cpp` and `qwen35moe.cpp` of llama.cpp b11434, `conversion/qwen.py`,
//! transformers' `modeling_qwen3_next.py` and `modeling_qwen3_5.py`.

use super::hparams::{Attention, Delta, DeltaInputs, FeedForward, HParams, Layer};
use super::layout::{Builder, ExpertNames, Mtp};
use super::metadata::Keys;
use super::target::{Columns, Map, Part, Role, Rows, Rule};

/// Adds a layer.
pub(super) fn layer(out: &mut Builder<'_>, block: &str, source: &str, layer: Layer) {
    let hidden = out.h.hidden;
    let norm = format!("{source}.input_layernorm");
    out.vector(&format!("{block}.attn_norm.weight"), &norm, hidden, Map::AddOne);
    match (layer.attention, out.h.delta) {
        (Attention::Linear, Some(delta)) => {
            let source = format!("{source}.linear_attn");
            match delta.inputs {
                DeltaInputs::Joint => joint(out, block, &source, &delta),
                DeltaInputs::Apart => apart(out, block, &source, &delta),
            }
        }
        _ => gated_attention(out, block, &format!("{source}.self_attn")),
    }
    let norm = format!("{source}.post_attention_layernorm");
    out.vector(&format!("{block}.post_attention_norm.weight"), &norm, hidden, Map::AddOne);
    let layer_source = source;
    let source = format!("{source}.mlp");
    match layer.ff {
        FeedForward::Dense => out.dense(block, &source, "", out.h.ff.unwrap_or_default(), true),
        FeedForward::Experts => {
            out.experts(block, layer_source, &ExpertNames::MLP);
            out.gated_shared_expert(block, &source);
        }
    }
}

fn gated_attention(out: &mut Builder<'_>, block: &str, source: &str) {
    let h = out.h;
    let (query, kv) = (h.heads * h.head_dim, h.kv_heads * h.head_dim);
    // Each head's query rows are followed by its gate rows, and stay so.
    for (name, module, rows, columns) in [
        ("attn_q", "q_proj", 2 * query, h.hidden),
        ("attn_k", "k_proj", kv, h.hidden),
        ("attn_v", "v_proj", kv, h.hidden),
        ("attn_output", "o_proj", h.hidden, query),
    ] {
        out.linear(&format!("{block}.{name}"), &format!("{source}.{module}"), rows, columns, true);
    }
    out.head_norms(block, source, Map::AddOne);
}

fn joint(out: &mut Builder<'_>, block: &str, source: &str, delta: &Delta) {
    let hidden = out.h.hidden;
    let (keys, values) = (delta.keys(), delta.values());
    let [query, key, value, gate] = qkvz_runs(delta);
    for (name, runs, rows) in
        [("attn_qkv", [query, key, value].concat(), 2 * keys + values), ("attn_gate", gate, values)]
    {
        let rows_in = 2 * keys + 2 * values;
        let part = Part {
            module: format!("{source}.in_proj_qkvz"),
            rows: rows_in,
            columns: hidden,
            runs,
            order: Rows::AsStored,
        };
        // llama.cpp's graph of this architecture has no scale tensors here.
        let rule = Rule::Matrix { role: Role::Linear, scaled: false };
        out.moved(&format!("{block}.{name}"), vec![hidden, rows], part, Columns::AsStored, rule);
    }
    let heads = delta.value_heads;
    out.linear(&format!("{block}.ssm_ba"), &format!("{source}.in_proj_ba"), 2 * heads, hidden, false);
    let channels = 2 * keys + values;
    let conv = Part::whole(format!("{source}.conv1d"), channels, delta.conv_kernel);
    out.f32(&format!("{block}.ssm_conv1d.weight"), vec![delta.conv_kernel, channels], conv, Map::Identity);
    // These are parameters, without a `.weight` suffix.
    out.vector(&format!("{block}.ssm_a"), &format!("{source}.A_log"), heads, Map::NegExp);
    out.vector(&format!("{block}.ssm_dt.bias"), &format!("{source}.dt_bias"), heads, Map::Identity);
    norm(out, block, source, delta);
    out.linear(&format!("{block}.ssm_out"), &format!("{source}.out_proj"), hidden, values, false);
}

fn apart(out: &mut Builder<'_>, block: &str, source: &str, delta: &Delta) {
    let hidden = out.h.hidden;
    let (keys, values, heads) = (delta.keys(), delta.values(), delta.value_heads);
    let channels = 2 * keys + values;
    let with_keys = || {
        let mut runs = vec![(0, 2 * keys)];
        runs.extend(tiled(delta, delta.value_dim).iter().map(|&(start, len)| (2 * keys + start, len)));
        runs
    };
    let rule = Rule::Matrix { role: Role::Linear, scaled: true };
    for (name, module, rows, runs) in [
        ("attn_qkv", "in_proj_qkv", channels, with_keys()),
        ("attn_gate", "in_proj_z", values, tiled(delta, delta.value_dim)),
        ("ssm_beta", "in_proj_b", heads, tiled(delta, 1)),
        ("ssm_alpha", "in_proj_a", heads, tiled(delta, 1)),
    ] {
        let part =
            Part { module: format!("{source}.{module}"), rows, columns: hidden, runs, order: Rows::AsStored };
        out.moved(&format!("{block}.{name}"), vec![hidden, rows], part, Columns::AsStored, rule);
    }
    let conv = Part {
        module: format!("{source}.conv1d"),
        rows: channels,
        columns: delta.conv_kernel,
        runs: with_keys(),
        order: Rows::AsStored,
    };
    out.f32(&format!("{block}.ssm_conv1d.weight"), vec![delta.conv_kernel, channels], conv, Map::Identity);
    for (name, module, map) in [("ssm_a", "A_log", Map::NegExp), ("ssm_dt.bias", "dt_bias", Map::Identity)] {
        let columns = Columns::runs(tiled(delta, 1));
        out.moved_vector(&format!("{block}.{name}"), &format!("{source}.{module}"), heads, columns, map);
    }
    norm(out, block, source, delta);
    let part = Part::whole(format!("{source}.out_proj"), hidden, values);
    let columns = Columns::runs(tiled(delta, delta.value_dim));
    out.moved(&format!("{block}.ssm_out"), vec![values, hidden], part, columns, rule);
}

/// Writes the keys of a family with delta nets.
pub(super) fn keys(h: &HParams, mtp_layers: u64, out: &mut Keys) {
    out.common(h, mtp_layers);
    out.expert_widths(h);
    out.mtp_layers(mtp_layers);
    out.delta_net(h, mtp_layers);
    out.size("rope.dimension_count", h.rope.dims);
}

/// The MTP layer.
pub(super) const MTP: Mtp =
    Mtp { prefixes: |_| MTP_PREFIXES.map(str::to_owned).to_vec(), layer: Some(mtp_layer) };

/// Tensor name prefixes of the MTP layer.
pub const MTP_PREFIXES: [&str; 2] = ["mtp.", "model.mtp."];

/// Adds the MTP layer: a layer with full attention, and what joins it to the trunk.
fn mtp_layer(out: &mut Builder<'_>, prefix: &str) {
    let h = out.h;
    let block = format!("blk.{}", h.layers.len());
    let ff = if h.experts.is_some() { FeedForward::Experts } else { FeedForward::Dense };
    layer(out, &block, &format!("{prefix}layers.0"), Layer { attention: Attention::Full, ff });
    out.linear(&format!("{block}.nextn.eh_proj"), &format!("{prefix}fc"), h.hidden, 2 * h.hidden, false);
    for (name, module) in
        [("enorm", "pre_fc_norm_embedding"), ("hnorm", "pre_fc_norm_hidden"), ("shared_head_norm", "norm")]
    {
        let name = format!("{block}.nextn.{name}.weight");
        out.vector(&name, &format!("{prefix}{module}"), h.hidden, Map::AddOne);
    }
}

/// Unlike the other norms, this one multiplies by its weight without adding one.
fn norm(out: &mut Builder<'_>, block: &str, source: &str, delta: &Delta) {
    let name = format!("{block}.ssm_norm.weight");
    out.vector(&name, &format!("{source}.norm"), delta.value_dim, Map::Identity);
}

/// The value heads of `each` elements as runs: the first of every key head, then the second of every key head, and so on.
fn tiled(delta: &Delta, each: u64) -> Vec<(u64, u64)> {
    let (keys, ratio) = (delta.key_heads, delta.value_heads / delta.key_heads);
    if ratio == 1 {
        return vec![(0, keys * each)];
    }
    (0..ratio).flat_map(|j| (0..keys).map(move |k| ((k * ratio + j) * each, each))).collect()
}

/// Rows of `in_proj_qkvz`, which stores query, key, value and gate rows of each key head together. The GGUF stores the
/// queries, keys, values and gates of all heads one after the other; the runs are returned in that order.
fn qkvz_runs(delta: &Delta) -> [Vec<(u64, u64)>; 4] {
    let dk = delta.key_dim;
    let dv = delta.value_heads / delta.key_heads * delta.value_dim;
    let chunk = 2 * dk + 2 * dv;
    let run = |start, len| (0..delta.key_heads).map(|head| (head * chunk + start, len)).collect();
    [run(0, dk), run(dk, dk), run(2 * dk, dv), run(2 * dk + dv, dv)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_head_j_of_key_head_k_becomes_the_jth_of_its_turn() {
        let delta = Delta {
            inputs: DeltaInputs::Apart,
            interval: 4,
            conv_kernel: 4,
            key_heads: 2,
            value_heads: 6,
            key_dim: 64,
            value_dim: 64,
        };
        let heads: Vec<u64> = tiled(&delta, 64).iter().map(|(start, _)| start / 64).collect();
        assert_eq!(heads, [0, 3, 1, 4, 2, 5]);
        assert_eq!(tiled(&Delta { value_heads: 2, ..delta }, 64), [(0, 128)]);
    }
}
