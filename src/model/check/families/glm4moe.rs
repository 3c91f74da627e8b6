//! GLM-4.5 to 4.7: experts after dense layers, shared experts, MTP layers (`src/models/glm4-moe.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{
    ATTENTION, ATTENTION_FACTORS, CORRECTION, DENSE, HEAD_FACTORS, MTP, OPTIONAL_HEAD_NORMS,
    POST_ATTENTION_NORMS, SHARED_EXPERTS, SPLIT_EXPERTS, TIED,
};
use crate::model::check::slot::{Of, Part, Table};

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
    ],
    parts: &[
        TIED,
        POST_ATTENTION_NORMS,
        ATTENTION,
        OPTIONAL_HEAD_NORMS,
        DENSE,
        SPLIT_EXPERTS,
        Part { of: Of::Experts, slots: &[CORRECTION] },
        SHARED_EXPERTS,
        MTP,
    ],
    factors: &[HEAD_FACTORS, ATTENTION_FACTORS],
    trunk_alone: true,
};
