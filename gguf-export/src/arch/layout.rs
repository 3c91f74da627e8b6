//! The tensors of a GGUF, built from the blocks that families share.
//!
//! Tensor names and layouts are those of llama.cpp's graphs (`src/models` of b11434) and converter (`conversion`); module
//! names are those of transformers' models.

use super::hparams::{HParams, Layer};
use super::target::{Columns, Map, Part, Role, Rows, Rule, Target};

/// The tensors of a GGUF.
#[derive(Debug)]
pub struct Layout {
    /// Tensors in the order of the file.
    pub targets: Vec<Target>,
    /// Number of MTP layers, 0 or 1.
    pub mtp_layers: u64,
    /// Tensor name prefix of the MTP layer.
    pub mtp_prefix: Option<String>,
    /// Tensor name prefix of an MTP layer that was left out because it is incomplete.
    pub dropped_mtp: Option<String>,
    /// Tensor name prefixes of MTP layers that llama.cpp's converter leaves out.
    pub unused_mtp: Vec<String>,
}

/// How a family stores an MTP layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mtp {
    /// The prefixes that its tensors may have.
    pub(super) prefixes: fn(&Builder<'_>) -> Vec<String>,
    /// Adds the layer with a prefix; `None` if llama.cpp's converter leaves such layers out.
    pub(super) layer: Option<fn(&mut Builder<'_>, &str)>,
}

/// Names of the experts in a layer's modules.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpertNames {
    /// The module with router and experts.
    pub(super) block: &'static str,
    /// Parameter in it that is added to the scores when experts are chosen.
    pub(super) correction: Option<&'static str>,
    /// Gate, up and down projection, as one of these sets.
    pub(super) projections: &'static [[&'static str; 3]],
    /// True if the graph multiplies the products of experts, and of the dense blocks beside them, by `<name>.scale`.
    pub(super) scaled: bool,
}

impl ExpertNames {
    /// Most families.
    pub(super) const MLP: Self = Self {
        block: "mlp",
        correction: None,
        projections: &[["gate_proj", "up_proj", "down_proj"]],
        scaled: true,
    };
    /// `MiniMax` M2. AutoRound writes the projections under the names of `MLP`.
    pub(super) const MINIMAX: Self = Self {
        block: "block_sparse_moe",
        correction: Some("e_score_correction_bias"),
        projections: &[["w1", "w3", "w2"], ["gate_proj", "up_proj", "down_proj"]],
        scaled: false,
    };
}

/// Where a checkpoint has the language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// Prefix of the modules of the trunk.
    pub trunk: &'static str,
    /// Module of the language-model head.
    pub head: &'static str,
}

impl Names {
    /// All forms: the model alone, inside a model of several parts, and the latter as older versions save it.
    pub const ALL: [Self; 3] = [
        Self { trunk: "model.", head: "lm_head" },
        Self { trunk: "model.language_model.", head: "lm_head" },
        Self { trunk: "language_model.model.", head: "language_model.lm_head" },
    ];

    /// The form whose embedding exists, or the first.
    #[must_use]
    pub fn find(has: &dyn Fn(&str) -> bool) -> Self {
        Self::ALL.into_iter().find(|names| has(&names.embedding())).unwrap_or(Self::ALL[0])
    }

    /// Module of the token embedding.
    #[must_use]
    pub fn embedding(&self) -> String {
        format!("{}embed_tokens", self.trunk)
    }
}

/// Lays out the trunk, and an MTP layer if the family has one and the checkpoint a complete one.
pub(super) fn build(
    h: &HParams,
    own_head: bool,
    has: &dyn Fn(&str) -> bool,
    trunk: fn(&mut Builder<'_>),
    mtp: Option<Mtp>,
) -> Layout {
    let names = Names::find(has);
    let mut out = Builder { h, has, names, own_head, targets: Vec::new() };
    trunk(&mut out);
    let before = out.targets.len();
    let mut found: Vec<String> = mtp.map_or_else(Vec::new, |mtp| (mtp.prefixes)(&out));
    found.retain(|prefix| has(prefix));
    let mut layout = Layout {
        targets: Vec::new(),
        mtp_layers: 0,
        mtp_prefix: None,
        dropped_mtp: None,
        unused_mtp: Vec::new(),
    };
    match mtp.and_then(|mtp| mtp.layer) {
        None => layout.unused_mtp = found,
        Some(layer) => {
            if let Some(prefix) = found.into_iter().next() {
                layer(&mut out, &prefix);
                let own = &mut out.targets[before..];
                if own.iter().flat_map(|t| &t.parts).all(|p| has(&p.module)) {
                    own.iter_mut().for_each(without_factor);
                    layout.mtp_layers = 1;
                    layout.mtp_prefix = Some(prefix);
                } else {
                    out.targets.truncate(before);
                    layout.dropped_mtp = Some(prefix);
                }
            }
        }
    }
    layout.targets = out.targets;
    layout
}

/// llama.cpp skips the matrices of MTP layers before it looks for their factors.
fn without_factor(target: &mut Target) {
    if let Rule::Matrix { scaled, .. } = &mut target.rule {
        *scaled = false;
    }
}

/// Adds targets, block by block.
pub(super) struct Builder<'a> {
    pub(super) h: &'a HParams,
    pub(super) has: &'a dyn Fn(&str) -> bool,
    pub(super) names: Names,
    own_head: bool,
    targets: Vec<Target>,
}

impl Builder<'_> {
    /// Embedding, layers, norm and head. `layer` adds a layer, given its block and the prefix of its modules.
    pub(super) fn trunk(&mut self, norm: Map, layer: impl Fn(&mut Self, &str, &str, Layer)) {
        let h = self.h;
        let Names { trunk, head } = self.names;
        if let Some(factors) = h.rope.factors() {
            self.targets.push(Target {
                name: "rope_freqs.weight".to_owned(),
                dims: vec![factors.len() as u64],
                parts: Vec::new(),
                columns: Columns::AsStored,
                rule: Rule::RopeFactors,
            });
        }
        self.for_each_token("token_embd", &self.names.embedding(), h.hidden, Role::TokenEmbedding);
        for (index, kind) in h.layers.iter().enumerate() {
            layer(self, &format!("blk.{index}"), &format!("{trunk}layers.{index}"), *kind);
        }
        self.vector("output_norm.weight", &format!("{trunk}norm"), h.hidden, norm);
        if self.own_head {
            self.for_each_token("output", head, h.hidden, Role::Head);
        }
    }

    /// A matrix with a row for each token; rows without a token are cut where the family does so.
    pub(super) fn for_each_token(&mut self, name: &str, module: &str, columns: u64, role: Role) {
        let HParams { vocab, tokens, .. } = *self.h;
        let whole = Part::whole(module.to_owned(), vocab, columns);
        let part = Part { runs: vec![(0, tokens)], ..whole };
        let matrix = Rule::Matrix { role, scaled: false };
        self.moved(name, vec![columns, tokens], part, Columns::AsStored, matrix);
    }

    /// A dense feed-forward block.
    pub(super) fn dense(&mut self, block: &str, source: &str, suffix: &str, width: u64, scaled: bool) {
        let hidden = self.h.hidden;
        for (name, rows, columns) in [("gate", width, hidden), ("up", width, hidden), ("down", hidden, width)]
        {
            let module = format!("{source}.{name}_proj");
            self.linear(&format!("{block}.ffn_{name}{suffix}"), &module, rows, columns, scaled);
        }
    }

    /// The router and the experts, stored one by one or stacked.
    pub(super) fn experts(&mut self, block: &str, layer: &str, names: &ExpertNames) {
        let Some(experts) = self.h.experts else { return };
        let source = format!("{layer}.{}", names.block);
        let (hidden, count, width) = (self.h.hidden, experts.count, experts.ff);
        if let Some(correction) = names.correction {
            let name = format!("{block}.exp_probs_b.bias");
            self.vector(&name, &format!("{source}.{correction}"), count, Map::Identity);
        }
        let router = Part::whole(format!("{source}.gate"), count, hidden);
        self.f32(&format!("{block}.ffn_gate_inp.weight"), vec![hidden, count], router, Map::Identity);
        let fused = (self.has)(&format!("{source}.experts.gate_up_proj"));
        let is_there = |set: &&[&str; 3]| (self.has)(&format!("{source}.experts.0.{}", set[0]));
        let modules = names.projections.iter().find(is_there).unwrap_or(&names.projections[0]);
        let shapes = [("gate", width, hidden), ("up", width, hidden), ("down", hidden, width)];
        for ((name, rows, columns), module) in shapes.into_iter().zip(modules) {
            let parts = if fused {
                vec![fused_experts(count, &source, name, rows, columns)]
            } else {
                let module = |e| format!("{source}.experts.{e}.{module}");
                (0..count).map(|e| Part::whole(module(e), rows, columns)).collect()
            };
            let dims = vec![columns, rows, count];
            self.stacked(&format!("{block}.ffn_{name}_exps.weight"), dims, parts, names.scaled);
        }
    }

    /// The shared experts as one block, without a gate.
    pub(super) fn shared_experts(&mut self, block: &str, source: &str, scaled: bool) {
        let width = self.h.experts.map_or(0, |experts| experts.shared_ff);
        if width > 0 {
            self.dense(block, &format!("{source}.shared_experts"), "_shexp", width, scaled);
        }
    }

    /// The shared expert, whose output is multiplied by a gate.
    pub(super) fn gated_shared_expert(&mut self, block: &str, source: &str) {
        let Some(experts) = self.h.experts else { return };
        let hidden = self.h.hidden;
        let gate = Part::whole(format!("{source}.shared_expert_gate"), 1, hidden);
        self.f32(&format!("{block}.ffn_gate_inp_shexp.weight"), vec![hidden, 1], gate, Map::Identity);
        self.dense(block, &format!("{source}.shared_expert"), "_shexp", experts.shared_ff, true);
    }

    /// Norms of the query and key heads.
    pub(super) fn head_norms(&mut self, block: &str, source: &str, map: Map) {
        for letter in ["q", "k"] {
            let name = format!("{block}.attn_{letter}_norm.weight");
            self.vector(&name, &format!("{source}.{letter}_norm"), self.h.head_dim, map);
        }
    }

    /// A matrix that is one module.
    pub(super) fn linear(&mut self, name: &str, module: &str, rows: u64, columns: u64, scaled: bool) {
        let part = Part::whole(module.to_owned(), rows, columns);
        let rule = Rule::Matrix { role: Role::Linear, scaled };
        self.moved(name, vec![columns, rows], part, Columns::AsStored, rule);
    }

    /// A matrix whose rows or columns are moved.
    pub(super) fn moved(&mut self, name: &str, dims: Vec<u64>, part: Part, columns: Columns, rule: Rule) {
        let name = format!("{name}.weight");
        self.targets.push(Target { name, dims, parts: vec![part], columns, rule });
    }

    /// The experts of one projection, stacked from parts.
    pub(super) fn stacked(&mut self, name: &str, dims: Vec<u64>, parts: Vec<Part>, scaled: bool) {
        let rule = Rule::Matrix { role: Role::Experts, scaled };
        self.targets.push(Target { name: name.to_owned(), dims, parts, columns: Columns::AsStored, rule });
    }

    /// A vector, from a module or a parameter.
    pub(super) fn vector(&mut self, name: &str, module: &str, len: u64, map: Map) {
        self.f32(name, vec![len], Part::whole(module.to_owned(), 1, len), map);
    }

    /// A vector whose entries are moved.
    pub(super) fn moved_vector(&mut self, name: &str, module: &str, len: u64, columns: Columns, map: Map) {
        let parts = vec![Part::whole(module.to_owned(), 1, len)];
        self.targets.push(Target {
            name: name.to_owned(),
            dims: vec![len],
            parts,
            columns,
            rule: Rule::F32(map),
        });
    }

    /// A tensor.
    pub(super) fn push(&mut self, target: Target) {
        self.targets.push(target);
    }

    pub(super) fn f32(&mut self, name: &str, dims: Vec<u64>, part: Part, map: Map) {
        self.targets.push(Target {
            name: name.to_owned(),
            dims,
            parts: vec![part],
            columns: Columns::AsStored,
            rule: Rule::F32(map),
        });
    }
}

/// A projection of all experts from a tensor that stacks them, gate rows before up rows.
fn fused_experts(count: u64, source: &str, name: &str, rows: u64, columns: u64) -> Part {
    let (module, each, first) = match name {
        "gate" => ("gate_up_proj", 2 * rows, 0),
        "up" => ("gate_up_proj", 2 * rows, rows),
        _ => ("down_proj", rows, 0),
    };
    Part {
        module: format!("{source}.experts.{module}"),
        rows: count * each,
        columns,
        runs: (0..count).map(|e| (e * each + first, rows)).collect(),
        order: Rows::AsStored,
    }
}
