//! gpt-oss: every other layer has a window; biases and sinks (`src/models/openai-moe.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{
    ATTENTION, ATTENTION_FACTORS, HEAD_FACTORS, POST_ATTENTION_NORMS, SPLIT_EXPERTS, UNTIED,
};
use crate::model::check::size::Size::{Embd, Expert, Experts, Heads};
use crate::model::check::slot::{Of, Part, Table, tensor};

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
    ],
    parts: &[UNTIED, POST_ATTENTION_NORMS, ATTENTION, SINKS, SPLIT_EXPERTS, EXPERT_BIASES],
    factors: &[HEAD_FACTORS, ATTENTION_FACTORS],
    trunk_alone: false,
};

const SINKS: Part = Part {
    of: Of::Attention,
    slots: &[tensor("attn_output.bias", &[Embd]), tensor("attn_sinks.weight", &[Heads])],
};

const EXPERT_BIASES: Part = Part {
    of: Of::Experts,
    slots: &[
        tensor("ffn_gate_inp.bias", &[Experts]),
        tensor("ffn_gate_exps.bias", &[Expert, Experts]),
        tensor("ffn_up_exps.bias", &[Expert, Experts]),
        tensor("ffn_down_exps.bias", &[Embd, Experts]),
    ],
};
