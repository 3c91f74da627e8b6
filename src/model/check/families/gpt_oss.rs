//! gpt-oss: every other layer has a window; biases and sinks (`src/models/openai-moe.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{ATTENTION, POST_ATTENTION_NORMS, SPLIT_EXPERTS, UNTIED};
use crate::model::check::size::Size::{Embd, Expert, Experts, Heads};
use crate::model::check::slot::{Of, Part, Table, vector};

pub(super) const TABLE: Table = Table {
    name: "gpt-oss",
    limits: &[
        Limit::SameHeads,
        Limit::EqualLengths,
        Limit::RotatesAll,
        Limit::Slides,
        Limit::SlidesAlike,
        Limit::Experts,
        Limit::NoMtp,
        Limit::Epsilon,
    ],
    parts: &[UNTIED, POST_ATTENTION_NORMS, ATTENTION, SINKS, SPLIT_EXPERTS, EXPERT_BIASES],
    trunk_alone: false,
};

const SINKS: Part = Part {
    of: Of::Attention,
    slots: &[vector("attn_output.bias", &[Embd]), vector("attn_sinks.weight", &[Heads])],
};

const EXPERT_BIASES: Part = Part {
    of: Of::Experts,
    slots: &[
        vector("ffn_gate_inp.bias", &[Experts]),
        vector("ffn_gate_exps.bias", &[Expert, Experts]),
        vector("ffn_up_exps.bias", &[Expert, Experts]),
        vector("ffn_down_exps.bias", &[Embd, Experts]),
    ],
};
