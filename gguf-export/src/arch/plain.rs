//! The layers that most families have: softmax attention, then a dense block or experts.

use super::hparams::{FeedForward, Layer};
use super::layout::Builder;
use super::target::{Columns, Map, Part, Role, Rows, Rule};

/// Differences between the families' attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attention {
    /// Query and key heads are normalized.
    Normed,
    /// Query and key rows are interleaved for the rotation.
    Interleaved,
}

/// Adds a layer.
pub(super) fn layer(out: &mut Builder<'_>, block: &str, source: &str, layer: Layer, kind: Attention) {
    let hidden = out.h.hidden;
    let norm = format!("{source}.input_layernorm");
    out.vector(&format!("{block}.attn_norm.weight"), &norm, hidden, Map::Identity);
    attention(out, block, &format!("{source}.self_attn"), kind);
    let norm = format!("{source}.post_attention_layernorm");
    out.vector(&format!("{block}.ffn_norm.weight"), &norm, hidden, Map::Identity);
    let source = format!("{source}.mlp");
    match layer.ff {
        FeedForward::Dense => out.dense(block, &source, "", out.h.ff.unwrap_or_default()),
        FeedForward::Experts => out.experts(block, &source),
    }
}

fn attention(out: &mut Builder<'_>, block: &str, source: &str, kind: Attention) {
    let h = out.h;
    let (query, kv) = (h.heads * h.head_dim, h.kv_heads * h.head_dim);
    for (letter, heads) in [("q", h.heads), ("k", h.kv_heads)] {
        let module = format!("{source}.{letter}_proj");
        let rows = heads * h.head_dim;
        let part = match kind {
            Attention::Normed => Part::whole(module, rows, h.hidden),
            Attention::Interleaved => Part {
                module,
                rows,
                columns: h.hidden,
                runs: (0..heads).map(|head| (head * h.head_dim, h.head_dim)).collect(),
                order: Rows::Interleaved,
            },
        };
        let rule = Rule::Matrix { role: Role::Linear, scaled: true };
        let name = format!("{block}.attn_{letter}");
        out.moved(&name, vec![h.hidden, rows], part, Columns::AsStored, rule);
    }
    out.linear(&format!("{block}.attn_v"), &format!("{source}.v_proj"), kv, h.hidden, true);
    out.linear(&format!("{block}.attn_output"), &format!("{source}.o_proj"), h.hidden, query, true);
    if kind == Attention::Normed {
        out.head_norms(block, source, Map::Identity);
    }
}
