//! Llama and Mistral: the plain block, dense or with experts (`src/models/llama.cpp`, `mistral3.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{ATTENTION, DENSE, FFN_NORMS, TIED, WIDE_EXPERTS};
use crate::model::check::size::Size::{Embd, Ff, Frequencies};
use crate::model::check::slot::{Of, Part, Table, vector};

pub(super) const LLAMA: Table = Table { name: "llama", limits: LIMITS, parts: PARTS, trunk_alone: false };

pub(super) const MISTRAL: Table =
    Table { name: "mistral3", limits: LIMITS, parts: PARTS, trunk_alone: false };

const LIMITS: &[Limit] = &[
    Limit::SameHeads,
    Limit::EqualLengths,
    Limit::RotatesAll,
    Limit::MayHaveExperts,
    Limit::NoMtp,
    Limit::Epsilon,
];

const PARTS: &[Part] =
    &[TIED, FREQUENCIES, FFN_NORMS, ATTENTION, OUTPUT_BIAS, DENSE, DENSE_BIASES, WIDE_EXPERTS];

/// Factors of the rotation's frequencies: one set, or one for short and one for long contexts.
const FREQUENCIES: Part = Part {
    of: Of::Model,
    slots: &[
        vector("rope_freqs.weight", &[Frequencies]).optional(),
        vector("rope_factors_long.weight", &[Frequencies]).optional(),
        vector("rope_factors_short.weight", &[Frequencies]).optional(),
    ],
};

const OUTPUT_BIAS: Part =
    Part { of: Of::Attention, slots: &[vector("attn_output.bias", &[Embd]).optional()] };

const DENSE_BIASES: Part = Part {
    of: Of::Dense,
    slots: &[
        vector("ffn_gate.bias", &[Ff]).optional(),
        vector("ffn_up.bias", &[Ff]).optional(),
        vector("ffn_down.bias", &[Embd]).optional(),
    ],
};
