//! Qwen3: attention with norms of each head, dense or with experts (`src/models/qwen3.cpp`, `qwen3moe.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{
    ATTENTION, ATTENTION_FACTORS, DENSE as FEED_FORWARD, EXPERT_FACTORS, FEED_FORWARD_FACTORS, FFN_NORMS,
    HEAD_FACTORS, HEAD_NORMS, SPLIT_EXPERTS, TIED,
};
use crate::model::check::size::Size::{Embd, Labels};
use crate::model::check::slot::{Of, Part, Table, tensor};

pub(super) const DENSE: Table = Table {
    name: "qwen3",
    limits: &[Limit::SameHeads, Limit::EqualLengths, Limit::RotatesAll, Limit::NoMtp, Limit::NoExperts],
    parts: &[TIED, CLASSIFIER, FFN_NORMS, ATTENTION, HEAD_NORMS, FEED_FORWARD],
    factors: &[HEAD_FACTORS, ATTENTION_FACTORS, FEED_FORWARD_FACTORS],
    trunk_alone: false,
};

pub(super) const EXPERT: Table = Table {
    name: "qwen3moe",
    limits: &[Limit::SameHeads, Limit::EqualLengths, Limit::RotatesAll, Limit::Experts, Limit::NoMtp],
    parts: &[TIED, FFN_NORMS, ATTENTION, HEAD_NORMS, SPLIT_EXPERTS],
    factors: &[HEAD_FACTORS, ATTENTION_FACTORS, EXPERT_FACTORS],
    trunk_alone: false,
};

/// The head of a reranker.
const CLASSIFIER: Part =
    Part { of: Of::Model, slots: &[tensor("cls.output.weight", &[Embd, Labels]).optional()] };
