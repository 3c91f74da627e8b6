//! Qwen3: attention with norms of each head, dense or with experts (`src/models/qwen3.cpp`, `qwen3moe.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{
    ATTENTION, DENSE as FEED_FORWARD, FFN_NORMS, HEAD_NORMS, SPLIT_EXPERTS, TIED,
};
use crate::model::check::slot::Table;

pub(super) const DENSE: Table = Table {
    name: "qwen3",
    limits: &[
        Limit::SameHeads,
        Limit::EqualLengths,
        Limit::RotatesAll,
        Limit::NoMtp,
        Limit::NoExperts,
        Limit::Epsilon,
    ],
    parts: &[TIED, FFN_NORMS, ATTENTION, HEAD_NORMS, FEED_FORWARD],
    trunk_alone: false,
};

pub(super) const EXPERT: Table = Table {
    name: "qwen3moe",
    limits: &[
        Limit::SameHeads,
        Limit::EqualLengths,
        Limit::RotatesAll,
        Limit::Experts,
        Limit::NoMtp,
        Limit::Epsilon,
    ],
    parts: &[TIED, FFN_NORMS, ATTENTION, HEAD_NORMS, SPLIT_EXPERTS],
    trunk_alone: false,
};
