//! Qwen3.5: delta nets and gated attention, dense or with experts (`src/models/qwen35.cpp`, `qwen35moe.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{
    DELTA_NET, DENSE as FEED_FORWARD, EXPERTS, GATED_ATTENTION, GATED_SHARED_EXPERT, HEAD_NORMS, MTP,
    POST_ATTENTION_NORMS, TIED,
};
use crate::model::check::size::Size::{Channels, Embd, Inner, StateHeads};
use crate::model::check::slot::{Of, Part, Table, matrix};

pub(super) const DENSE: Table = Table {
    name: "qwen35",
    limits: &[
        Limit::ByteLevel,
        Limit::SameHeads,
        Limit::EqualLengths,
        Limit::NoExperts,
        Limit::Rotates,
        Limit::Sections,
        Limit::DeltaNet,
        Limit::MtpAttends,
        Limit::Epsilon,
    ],
    parts: &[TIED, POST_ATTENTION_NORMS, INPUTS, DELTA_NET, GATED_ATTENTION, HEAD_NORMS, FEED_FORWARD, MTP],
    trunk_alone: false,
};

pub(super) const EXPERT: Table = Table {
    name: "qwen35moe",
    limits: &[
        Limit::ByteLevel,
        Limit::SameHeads,
        Limit::EqualLengths,
        Limit::Experts,
        Limit::Rotates,
        Limit::Sections,
        Limit::DeltaNet,
        Limit::MtpAttends,
        Limit::Epsilon,
    ],
    parts: &[
        TIED,
        POST_ATTENTION_NORMS,
        INPUTS,
        DELTA_NET,
        GATED_ATTENTION,
        HEAD_NORMS,
        EXPERTS,
        GATED_SHARED_EXPERT,
        MTP,
    ],
    trunk_alone: false,
};

const INPUTS: Part = Part {
    of: Of::Recurrent,
    slots: &[
        matrix("attn_qkv.weight", &[Embd, Channels]),
        matrix("attn_gate.weight", &[Embd, Inner]),
        matrix("ssm_beta.weight", &[Embd, StateHeads]),
        matrix("ssm_alpha.weight", &[Embd, StateHeads]),
    ],
};
