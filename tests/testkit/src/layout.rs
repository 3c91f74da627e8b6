//! The weights of a Qwen3-Next model: names, shapes and roles.

use crate::model::{LayerKind, Model, Mtp};

/// The part of the model that a Linear belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A routed expert.
    Expert,
    /// Attention, linear attention or the shared expert.
    Linear,
    /// `linear_attn.in_proj_ba`.
    InProjBa,
    /// `mlp.gate`.
    Router,
    /// `mlp.shared_expert_gate`.
    SharedExpertGate,
    /// `lm_head`.
    Head,
    /// `mtp.fc`.
    MtpFc,
}

/// The role of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the model")]
pub enum Role {
    /// A Linear; the slot's name is that of the module.
    Linear(Part),
    /// The experts of a layer in one tensor; the slot's name is that of the tensor.
    FusedExperts,
    Embedding,
    Norm,
    Conv,
    ALog,
    DtBias,
}

/// A weight of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Module name of a Linear, tensor name of any other weight.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Logical shape.
    pub shape: Vec<usize>,
}

impl Slot {
    /// Returns true if it is part of the MTP layer.
    pub fn is_mtp(&self) -> bool {
        self.name.starts_with("mtp.")
    }
}

/// All weights of the model in module order.
pub fn slots(model: &Model) -> Vec<Slot> {
    let mut out = Slots { model, slots: Vec::new() };
    let hidden = model.hidden;
    out.push("model.embed_tokens.weight", Role::Embedding, &[model.vocab, hidden]);
    for (i, kind) in model.layers.iter().enumerate() {
        out.layer(&format!("model.layers.{i}."), *kind);
    }
    out.push("model.norm.weight", Role::Norm, &[hidden]);
    if !model.tied {
        out.push("lm_head", Role::Linear(Part::Head), &[model.vocab, hidden]);
    }
    if model.mtp != Mtp::None {
        out.push("mtp.fc", Role::Linear(Part::MtpFc), &[hidden, 2 * hidden]);
        for norm in ["pre_fc_norm_embedding", "pre_fc_norm_hidden", "norm"] {
            out.push(&format!("mtp.{norm}.weight"), Role::Norm, &[hidden]);
        }
        out.layer("mtp.layers.0.", LayerKind::Full);
    }
    if model.mtp == Mtp::Partial {
        out.slots
            .retain(|slot| slot.name != "mtp.fc" && !slot.name.starts_with("mtp.layers.0.mlp.experts.0."));
    }
    out.slots
}

struct Slots<'a> {
    model: &'a Model,
    slots: Vec<Slot>,
}

impl Slots<'_> {
    fn push(&mut self, name: &str, role: Role, shape: &[usize]) {
        self.slots.push(Slot { name: name.into(), role, shape: shape.to_vec() });
    }

    fn layer(&mut self, prefix: &str, kind: LayerKind) {
        let hidden = self.model.hidden;
        self.push(&format!("{prefix}input_layernorm.weight"), Role::Norm, &[hidden]);
        match kind {
            LayerKind::Linear => self.linear_attention(&format!("{prefix}linear_attn.")),
            LayerKind::Full => self.attention(&format!("{prefix}self_attn.")),
        }
        self.push(&format!("{prefix}post_attention_layernorm.weight"), Role::Norm, &[hidden]);
        self.experts(&format!("{prefix}mlp."));
    }

    fn attention(&mut self, prefix: &str) {
        let Model { hidden, heads, kv_heads, head_dim, .. } = *self.model;
        for (name, rows, cols) in [
            ("q_proj", 2 * heads * head_dim, hidden),
            ("k_proj", kv_heads * head_dim, hidden),
            ("v_proj", kv_heads * head_dim, hidden),
            ("o_proj", hidden, heads * head_dim),
        ] {
            self.push(&format!("{prefix}{name}"), Role::Linear(Part::Linear), &[rows, cols]);
        }
        for name in ["q_norm", "k_norm"] {
            self.push(&format!("{prefix}{name}.weight"), Role::Norm, &[head_dim]);
        }
    }

    fn linear_attention(&mut self, prefix: &str) {
        let Model { hidden, key_heads, value_heads, key_head_dim, value_head_dim, conv_kernel, .. } =
            *self.model;
        let (keys, values) = (key_heads * key_head_dim, value_heads * value_head_dim);
        let linear = Role::Linear(Part::Linear);
        self.push(&format!("{prefix}in_proj_qkvz"), linear, &[2 * keys + 2 * values, hidden]);
        self.push(&format!("{prefix}in_proj_ba"), Role::Linear(Part::InProjBa), &[2 * value_heads, hidden]);
        self.push(&format!("{prefix}conv1d.weight"), Role::Conv, &[2 * keys + values, 1, conv_kernel]);
        self.push(&format!("{prefix}A_log"), Role::ALog, &[value_heads]);
        self.push(&format!("{prefix}dt_bias"), Role::DtBias, &[value_heads]);
        self.push(&format!("{prefix}norm.weight"), Role::Norm, &[value_head_dim]);
        self.push(&format!("{prefix}out_proj"), linear, &[hidden, values]);
    }

    fn experts(&mut self, prefix: &str) {
        let Model { hidden, experts: _, expert_count, expert_dim, shared_expert_dim, .. } = *self.model;
        self.push(&format!("{prefix}gate"), Role::Linear(Part::Router), &[expert_count, hidden]);
        if self.model.fused_experts {
            let fused = Role::FusedExperts;
            self.push(
                &format!("{prefix}experts.gate_up_proj"),
                fused,
                &[expert_count, 2 * expert_dim, hidden],
            );
            self.push(&format!("{prefix}experts.down_proj"), fused, &[expert_count, hidden, expert_dim]);
        } else {
            for expert in 0..expert_count {
                self.mlp(&format!("{prefix}experts.{expert}."), Part::Expert, expert_dim);
            }
        }
        self.mlp(&format!("{prefix}shared_expert."), Part::Linear, shared_expert_dim);
        self.push(&format!("{prefix}shared_expert_gate"), Role::Linear(Part::SharedExpertGate), &[1, hidden]);
    }

    fn mlp(&mut self, prefix: &str, part: Part, inner: usize) {
        let hidden = self.model.hidden;
        for (name, rows, cols) in
            [("gate_proj", inner, hidden), ("up_proj", inner, hidden), ("down_proj", hidden, inner)]
        {
            self.push(&format!("{prefix}{name}"), Role::Linear(part), &[rows, cols]);
        }
    }
}
