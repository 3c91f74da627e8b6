//! `MiniMax` M2: experts, and norms over all heads (`src/models/minimax-m2.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{
    ATTENTION, ATTENTION_FACTORS, CORRECTION, FFN_NORMS, HEAD_FACTORS, UNTIED, WIDE_EXPERTS,
};
use crate::model::check::size::Size::{Key, Query};
use crate::model::check::slot::{Of, Part, Table, tensor};

pub(super) const TABLE: Table = Table {
    name: "minimax-m2",
    limits: &[
        Limit::SameHeads,
        Limit::EqualLengths,
        Limit::Rotates,
        Limit::Experts,
        Limit::Weighs,
        Limit::NoMtp,
    ],
    parts: &[UNTIED, FFN_NORMS, ATTENTION, NORMS, WIDE_EXPERTS, BIAS],
    factors: &[HEAD_FACTORS, ATTENTION_FACTORS],
    trunk_alone: false,
};

const NORMS: Part = Part {
    of: Of::Attention,
    slots: &[tensor("attn_q_norm.weight", &[Query]), tensor("attn_k_norm.weight", &[Key])],
};

const BIAS: Part = Part { of: Of::Experts, slots: &[CORRECTION] };
