//! Qwen3-Next: maps modules to GGUF tensors.
//!
//! Tensor names and layouts are those of llama.cpp's `qwen3next` graph (`src/models/qwen3next.cpp` of b11434) and
//! converter (`conversion/qwen.py`); module names are those of transformers' `modeling_qwen3_next.py`.

use super::target::{Map, Part, Role, Rule, Target};
use super::{HParams, LayerKind};

/// The tensors of a GGUF of this family.
#[derive(Debug)]
pub struct Layout {
    /// Tensors in the order of the file.
    pub targets: Vec<Target>,
    /// Number of MTP layers, 0 or 1.
    pub mtp_layers: u64,
    /// Tensor name prefix of an MTP layer that was left out because it is incomplete.
    pub dropped_mtp: Option<&'static str>,
}

/// Tensor name prefixes of the MTP layer.
pub const MTP_PREFIXES: [&str; 2] = ["mtp.", "model.mtp."];

/// Lays out the GGUF, with a head of its own unless the token embedding takes its place. `has` returns true if the
/// checkpoint has a module or parameter of a name, or a tensor whose name starts with it if it ends in a dot.
#[must_use]
pub fn layout(h: &HParams, own_head: bool, has: &dyn Fn(&str) -> bool) -> Layout {
    let mut out = Builder { h, has, targets: Vec::new() };
    out.matrix("token_embd", "model.embed_tokens", h.vocab, h.hidden, Role::TokenEmbedding, false);
    for (index, kind) in h.layers.iter().enumerate() {
        let (block, source) = (format!("blk.{index}"), format!("model.layers.{index}"));
        out.layer(&block, &source, *kind);
    }
    out.vector("output_norm.weight", "model.norm", h.hidden, Map::AddOne);
    if own_head {
        out.matrix("output", "lm_head", h.vocab, h.hidden, Role::Head, false);
    }
    let mut mtp_layers = 0;
    let mut dropped_mtp = None;
    if let Some(prefix) = MTP_PREFIXES.into_iter().find(|p| has(p)) {
        let trunk = out.targets.len();
        out.mtp_layer(prefix);
        let complete = out.targets[trunk..].iter().flat_map(|t| &t.parts).all(|p| has(&p.module));
        if complete {
            mtp_layers = 1;
        } else {
            out.targets.truncate(trunk);
            dropped_mtp = Some(prefix);
        }
    }
    Layout { targets: out.targets, mtp_layers, dropped_mtp }
}

struct Builder<'a> {
    h: &'a HParams,
    has: &'a dyn Fn(&str) -> bool,
    targets: Vec<Target>,
}

impl Builder<'_> {
    fn layer(&mut self, block: &str, source: &str, kind: LayerKind) {
        let hidden = self.h.hidden;
        self.vector(
            &format!("{block}.attn_norm.weight"),
            &format!("{source}.input_layernorm"),
            hidden,
            Map::AddOne,
        );
        match kind {
            LayerKind::Full => self.full_attention(block, &format!("{source}.self_attn")),
            LayerKind::Linear => self.linear_attention(block, &format!("{source}.linear_attn")),
        }
        let norm = format!("{source}.post_attention_layernorm");
        self.vector(&format!("{block}.post_attention_norm.weight"), &norm, hidden, Map::AddOne);
        self.experts(block, &format!("{source}.mlp"));
    }

    fn full_attention(&mut self, block: &str, source: &str) {
        let h = self.h;
        let (query, kv) = (h.heads * h.head_dim, h.kv_heads * h.head_dim);
        // Each head's query rows are followed by its gate rows, and stay so.
        for (name, module, rows, columns) in [
            ("attn_q", "q_proj", 2 * query, h.hidden),
            ("attn_k", "k_proj", kv, h.hidden),
            ("attn_v", "v_proj", kv, h.hidden),
            ("attn_output", "o_proj", h.hidden, query),
        ] {
            self.linear(&format!("{block}.{name}"), &format!("{source}.{module}"), rows, columns, true);
        }
        for (name, module) in [("attn_q_norm", "q_norm"), ("attn_k_norm", "k_norm")] {
            self.vector(
                &format!("{block}.{name}.weight"),
                &format!("{source}.{module}"),
                h.head_dim,
                Map::AddOne,
            );
        }
    }

    fn linear_attention(&mut self, block: &str, source: &str) {
        let h = self.h;
        let (keys, values) =
            (h.linear_key_heads * h.linear_key_dim, h.linear_value_heads * h.linear_value_dim);
        let channels = 2 * keys + values;
        let [query, key, value, gate] = qkvz_runs(h);
        for (name, runs, rows) in
            [("attn_qkv", [query, key, value].concat(), channels), ("attn_gate", gate, values)]
        {
            let part = Part {
                module: format!("{source}.in_proj_qkvz"),
                rows: 2 * keys + 2 * values,
                columns: h.hidden,
                runs,
            };
            // llama.cpp's graph of the gated delta net has no scale tensors.
            let rule = Rule::Matrix { role: Role::Linear, scaled: false };
            let dims = vec![h.hidden, rows];
            self.targets.push(Target {
                name: format!("{block}.{name}.weight"),
                dims,
                parts: vec![part],
                rule,
            });
        }
        let heads = h.linear_value_heads;
        self.linear(&format!("{block}.ssm_ba"), &format!("{source}.in_proj_ba"), 2 * heads, h.hidden, false);
        let conv = Part::whole(format!("{source}.conv1d"), channels, h.conv_kernel);
        self.f32(&format!("{block}.ssm_conv1d.weight"), vec![h.conv_kernel, channels], conv, Map::Identity);
        // These are parameters, without a `.weight` suffix.
        self.vector(&format!("{block}.ssm_a"), &format!("{source}.A_log"), heads, Map::NegExp);
        self.vector(&format!("{block}.ssm_dt.bias"), &format!("{source}.dt_bias"), heads, Map::Identity);
        // Unlike the other norms, this one multiplies by its weight without adding one.
        let norm = format!("{block}.ssm_norm.weight");
        self.vector(&norm, &format!("{source}.norm"), h.linear_value_dim, Map::Identity);
        self.linear(&format!("{block}.ssm_out"), &format!("{source}.out_proj"), h.hidden, values, false);
    }

    fn experts(&mut self, block: &str, source: &str) {
        let h = self.h;
        let router = Part::whole(format!("{source}.gate"), h.experts, h.hidden);
        self.f32(&format!("{block}.ffn_gate_inp.weight"), vec![h.hidden, h.experts], router, Map::Identity);
        let fused = (self.has)(&format!("{source}.experts.gate_up_proj"));
        for (name, rows, columns) in
            [("gate", h.expert_ff, h.hidden), ("up", h.expert_ff, h.hidden), ("down", h.hidden, h.expert_ff)]
        {
            let parts = if fused {
                vec![fused_experts(h, source, name, rows, columns)]
            } else {
                let module = |e| format!("{source}.experts.{e}.{name}_proj");
                (0..h.experts).map(|e| Part::whole(module(e), rows, columns)).collect()
            };
            self.targets.push(Target {
                name: format!("{block}.ffn_{name}_exps.weight"),
                dims: vec![columns, rows, h.experts],
                parts,
                rule: Rule::Matrix { role: Role::Experts, scaled: true },
            });
        }
        let gate = format!("{source}.shared_expert_gate");
        self.f32(
            &format!("{block}.ffn_gate_inp_shexp.weight"),
            vec![h.hidden, 1],
            Part::whole(gate, 1, h.hidden),
            Map::Identity,
        );
        for (name, rows, columns) in
            [("gate", h.shared_ff, h.hidden), ("up", h.shared_ff, h.hidden), ("down", h.hidden, h.shared_ff)]
        {
            let module = format!("{source}.shared_expert.{name}_proj");
            self.linear(&format!("{block}.ffn_{name}_shexp"), &module, rows, columns, true);
        }
    }

    fn mtp_layer(&mut self, prefix: &str) {
        let h = self.h;
        let block = format!("blk.{}", h.layers.len());
        self.layer(&block, &format!("{prefix}layers.0"), LayerKind::Full);
        self.linear(&format!("{block}.nextn.eh_proj"), &format!("{prefix}fc"), h.hidden, 2 * h.hidden, true);
        for (name, module) in [
            ("enorm", "pre_fc_norm_embedding"),
            ("hnorm", "pre_fc_norm_hidden"),
            ("shared_head_norm", "norm"),
        ] {
            let name = format!("{block}.nextn.{name}.weight");
            self.vector(&name, &format!("{prefix}{module}"), h.hidden, Map::AddOne);
        }
    }

    fn linear(&mut self, name: &str, module: &str, rows: u64, columns: u64, scaled: bool) {
        self.matrix(name, module, rows, columns, Role::Linear, scaled);
    }

    fn matrix(&mut self, name: &str, module: &str, rows: u64, columns: u64, role: Role, scaled: bool) {
        self.targets.push(Target {
            name: format!("{name}.weight"),
            dims: vec![columns, rows],
            parts: vec![Part::whole(module.to_owned(), rows, columns)],
            rule: Rule::Matrix { role, scaled },
        });
    }

    fn vector(&mut self, name: &str, module: &str, len: u64, map: Map) {
        self.f32(name, vec![len], Part::whole(module.to_owned(), 1, len), map);
    }

    fn f32(&mut self, name: &str, dims: Vec<u64>, part: Part, map: Map) {
        self.targets.push(Target { name: name.to_owned(), dims, parts: vec![part], rule: Rule::F32(map) });
    }
}

/// Rows of `in_proj_qkvz`, which stores query, key, value and gate rows of each key head together. The GGUF stores the
/// queries, keys, values and gates of all heads one after the other; the runs are returned in that order.
fn qkvz_runs(h: &HParams) -> [Vec<(u64, u64)>; 4] {
    let dk = h.linear_key_dim;
    let dv = h.linear_value_heads / h.linear_key_heads * h.linear_value_dim;
    let chunk = 2 * dk + 2 * dv;
    let run = |start, len| (0..h.linear_key_heads).map(|head| (head * chunk + start, len)).collect();
    [run(0, dk), run(dk, dk), run(2 * dk, dv), run(2 * dk + dv, dv)]
}

/// A projection of all experts from a tensor that stacks them, gate rows before up rows.
fn fused_experts(h: &HParams, source: &str, name: &str, rows: u64, columns: u64) -> Part {
    let (module, each, first) = match name {
        "gate" => ("gate_up_proj", 2 * rows, 0),
        "up" => ("gate_up_proj", 2 * rows, rows),
        _ => ("down_proj", rows, 0),
    };
    Part {
        module: format!("{source}.experts.{module}"),
        rows: h.experts * each,
        columns,
        runs: (0..h.experts).map(|e| (e * each + first, rows)).collect(),
    }
}
