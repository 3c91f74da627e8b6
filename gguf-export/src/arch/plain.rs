//! The layers that most families have: softmax attention, then a dense block or experts.

use super::hparams::{FeedForward, Layer};
use super::layout::{Builder, ExpertNames};
use super::target::{Columns, Map, Part, Role, Rows, Rule};

/// What differs between the families' layers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain {
    /// Norms of query and key.
    pub(super) norms: Norms,
    /// The order of the rows of each query and key head.
    pub(super) rows: Rows,
    /// Name in the GGUF of the norm after the attention.
    pub(super) second_norm: &'static str,
    /// Names of the experts and of what belongs to them.
    pub(super) experts: ExpertNames,
}

/// Norms of query and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Norms {
    /// Without norms.
    Absent,
    /// Each head by the same weights.
    EachHead,
    /// All heads together.
    AllHeads,
}

impl Plain {
    /// Qwen3.
    pub(super) const QWEN3: Self = Self {
        norms: Norms::EachHead,
        rows: Rows::AsStored,
        second_norm: "ffn_norm",
        experts: ExpertNames::MLP,
    };
    /// Llama.
    pub(super) const LLAMA: Self = Self { norms: Norms::Absent, rows: Rows::Interleaved, ..Self::QWEN3 };
    /// GLM-4.5 to 4.7.
    pub(super) const GLM: Self = Self {
        second_norm: "post_attention_norm",
        experts: ExpertNames {
            correction: Some("gate.e_score_correction_bias"),
            scaled: false,
            ..ExpertNames::MLP
        },
        ..Self::QWEN3
    };
    /// `MiniMax` M2.
    pub(super) const MINIMAX: Self =
        Self { norms: Norms::AllHeads, experts: ExpertNames::MINIMAX, ..Self::QWEN3 };

    /// Adds embedding, layers, norm and head.
    pub(super) fn trunk(&self, out: &mut Builder<'_>) {
        out.trunk(Map::Identity, |out, block, source, layer| self.layer(out, block, source, layer));
    }

    /// Adds a layer.
    pub(super) fn layer(&self, out: &mut Builder<'_>, block: &str, source: &str, layer: Layer) {
        let hidden = out.h.hidden;
        let norm = format!("{source}.input_layernorm");
        out.vector(&format!("{block}.attn_norm.weight"), &norm, hidden, Map::Identity);
        self.attention(out, block, &format!("{source}.self_attn"));
        let norm = format!("{source}.post_attention_layernorm");
        out.vector(&format!("{block}.{}.weight", self.second_norm), &norm, hidden, Map::Identity);
        let scaled = self.experts.scaled;
        match layer.ff {
            FeedForward::Dense => {
                out.dense(block, &format!("{source}.mlp"), "", out.h.ff.unwrap_or_default(), scaled);
            }
            FeedForward::Experts => {
                out.experts(block, source, &self.experts);
                out.shared_experts(block, &format!("{source}.mlp"), scaled);
            }
        }
    }

    /// Adds the attention.
    pub(super) fn attention(&self, out: &mut Builder<'_>, block: &str, source: &str) {
        let h = out.h;
        let (query, kv) = (h.heads * h.head_dim, h.kv_heads * h.head_dim);
        for (letter, heads) in [("q", h.heads), ("k", h.kv_heads)] {
            let module = format!("{source}.{letter}_proj");
            let rows = heads * h.head_dim;
            let part = match self.rows {
                Rows::AsStored => Part::whole(module, rows, h.hidden),
                order => {
                    let runs = (0..heads).map(|head| (head * h.head_dim, h.head_dim)).collect();
                    Part { module, rows, columns: h.hidden, runs, order }
                }
            };
            let rule = Rule::Matrix { role: Role::Linear, scaled: true };
            let name = format!("{block}.attn_{letter}");
            out.moved(&name, vec![h.hidden, rows], part, Columns::AsStored, rule);
        }
        out.linear(&format!("{block}.attn_v"), &format!("{source}.v_proj"), kv, h.hidden, true);
        out.linear(&format!("{block}.attn_output"), &format!("{source}.o_proj"), h.hidden, query, true);
        if h.attention_bias {
            for (letter, rows) in [("q", query), ("k", kv), ("v", kv)] {
                let name = format!("{block}.attn_{letter}.bias");
                out.vector(&name, &format!("{source}.{letter}_proj.bias"), rows, Map::Identity);
            }
        }
        let norms = match self.norms {
            Norms::EachHead if h.head_norms => [h.head_dim, h.head_dim],
            Norms::AllHeads => [query, kv],
            Norms::EachHead | Norms::Absent => return,
        };
        for (letter, len) in ["q", "k"].into_iter().zip(norms) {
            let name = format!("{block}.attn_{letter}_norm.weight");
            out.vector(&name, &format!("{source}.{letter}_norm"), len, Map::Identity);
        }
    }
}
