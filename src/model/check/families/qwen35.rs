//! Qwen3.5: delta nets and gated attention, dense or with experts (`src/models/qwen35.cpp`, `qwen35moe.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{
    ATTENTION_FACTORS, DELTA_NET, DENSE as FEED_FORWARD, EXPERT_FACTORS, EXPERTS, FEED_FORWARD_FACTORS,
    GATED_ATTENTION, GATED_SHARED_EXPERT, HEAD_FACTORS, HEAD_NORMS, MTP, POST_ATTENTION_NORMS,
    SHARED_EXPERT_FACTORS, TIED, factors,
};
use crate::model::check::size::Size::{Channels, Embd, Inner, One, StateHeads, TextEmbd};
use crate::model::check::slot::{Of, Part, Table, When, tensor};

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
    ],
    parts: &[
        TIED,
        TEXT_EMBEDDING,
        POST_ATTENTION_NORMS,
        INPUTS,
        DELTA_NET,
        GATED_ATTENTION,
        HEAD_NORMS,
        FEED_FORWARD,
        MTP,
    ],
    factors: &[HEAD_FACTORS, ATTENTION_FACTORS, DELTA_NET_FACTORS, FEED_FORWARD_FACTORS],
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
    factors: &[HEAD_FACTORS, ATTENTION_FACTORS, DELTA_NET_FACTORS, EXPERT_FACTORS, SHARED_EXPERT_FACTORS],
    trunk_alone: false,
};

const PROJECTION: &str = "cls.output.weight";

/// The projection of a model that embeds texts.
const TEXT_EMBEDDING: Part = Part {
    of: Of::Model,
    slots: &[
        tensor(PROJECTION, &[Embd, TextEmbd]).optional(),
        tensor("cls.output.bias", &[TextEmbd]).when(When::OptionalWith(PROJECTION)),
    ],
};

const INPUTS: Part = Part {
    of: Of::Recurrent,
    slots: &[
        tensor("attn_qkv.weight", &[Embd, Channels]),
        tensor("attn_gate.weight", &[Embd, Inner]),
        tensor("ssm_beta.weight", &[Embd, StateHeads]),
        tensor("ssm_alpha.weight", &[Embd, StateHeads]),
    ],
};

const DELTA_NET_FACTORS: Part =
    factors!(Recurrent, One, "attn_qkv" "attn_gate" "ssm_beta" "ssm_alpha" "ssm_out");
