//! GLM-4.5 to 4.7: experts after dense layers, shared experts, MTP layers (`src/models/glm4-moe.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{
    ATTENTION, DENSE, MTP, OPTIONAL_HEAD_NORMS, POST_ATTENTION_NORMS, SHARED_EXPERTS, SPLIT_EXPERTS, TIED,
};
use crate::model::check::size::Size::Experts;
use crate::model::check::slot::{Of, Part, Table, vector};

pub(super) const TABLE: Table = Table {
    name: "glm4moe",
    limits: &[
        Limit::SameHeads,
        Limit::EqualLengths,
        Limit::Rotates,
        Limit::MaySections,
        Limit::Experts,
        Limit::SharedExperts,
        Limit::MayWeigh,
        Limit::Epsilon,
    ],
    parts: &[
        TIED,
        POST_ATTENTION_NORMS,
        ATTENTION,
        OPTIONAL_HEAD_NORMS,
        DENSE,
        SPLIT_EXPERTS,
        BIAS,
        SHARED_EXPERTS,
        MTP,
    ],
    trunk_alone: true,
};

/// What is added to the scores by which experts are chosen.
const BIAS: Part = Part { of: Of::Experts, slots: &[vector("exp_probs_b.bias", &[Experts])] };
