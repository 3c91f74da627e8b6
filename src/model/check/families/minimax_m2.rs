//! `MiniMax` M2: experts, and norms over all heads (`src/models/minimax-m2.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{ATTENTION, FFN_NORMS, UNTIED, WIDE_EXPERTS};
use crate::model::check::size::Size::{Experts, Key, Query};
use crate::model::check::slot::{Of, Part, Table, vector};

pub(super) const TABLE: Table = Table {
    name: "minimax-m2",
    limits: &[
        Limit::SameHeads,
        Limit::EqualLengths,
        Limit::Rotates,
        Limit::Experts,
        Limit::Weighs,
        Limit::NoMtp,
        Limit::Epsilon,
    ],
    parts: &[UNTIED, FFN_NORMS, ATTENTION, NORMS, WIDE_EXPERTS, BIAS],
    trunk_alone: false,
};

const NORMS: Part = Part {
    of: Of::Attention,
    slots: &[vector("attn_q_norm.weight", &[Query]), vector("attn_k_norm.weight", &[Key])],
};

const BIAS: Part = Part { of: Of::Experts, slots: &[vector("exp_probs_b.bias", &[Experts])] };
