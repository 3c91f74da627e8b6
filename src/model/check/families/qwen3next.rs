//! Qwen3-Next: delta nets and gated attention, with experts (`src/models/qwen3next.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{
    ATTENTION_FACTORS, DELTA_NET, EXPERT_FACTORS, EXPERTS, GATED_ATTENTION, GATED_SHARED_EXPERT,
    HEAD_FACTORS, HEAD_NORMS, MTP, POST_ATTENTION_NORMS, SHARED_EXPERT_FACTORS, TIED,
};
use crate::model::check::size::Size::{Channels, Embd, GatedChannels, Inner, TwoStateHeads};
use crate::model::check::slot::{Of, Part, Table, When, tensor};

pub(super) const TABLE: Table = Table {
    name: "qwen3next",
    limits: &[
        Limit::ByteLevel,
        Limit::SameHeads,
        Limit::EqualLengths,
        Limit::Experts,
        Limit::Rotates,
        Limit::DeltaNet,
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
    factors: &[HEAD_FACTORS, ATTENTION_FACTORS, EXPERT_FACTORS, SHARED_EXPERT_FACTORS],
    trunk_alone: false,
};

/// Old files have one matrix with another order of rows.
const ONE: &str = "ssm_in.weight";

const INPUTS: Part = Part {
    of: Of::Recurrent,
    slots: &[
        tensor(ONE, &[Embd, GatedChannels]).optional(),
        tensor("attn_qkv.weight", &[Embd, Channels]).when(When::Unless(ONE)),
        tensor("attn_gate.weight", &[Embd, Inner]).when(When::Unless(ONE)),
        tensor("ssm_ba.weight", &[Embd, TwoStateHeads]),
    ],
};
