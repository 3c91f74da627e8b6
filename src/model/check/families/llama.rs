//! Llama and Mistral: the plain block, dense or with experts (`src/models/llama.cpp`, `mistral3.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{
    ATTENTION, ATTENTION_FACTORS, DENSE, EXPERT_FACTORS, FEED_FORWARD_FACTORS, FFN_NORMS, HEAD_FACTORS, TIED,
    WIDE_EXPERTS,
};
use crate::model::check::size::Size::{Embd, Ff, Frequencies};
use crate::model::check::slot::{Of, Part, Table, tensor};

pub(super) const LLAMA: Table = Table {
    name: "llama",
    limits: &[Limit::SameHeads, Limit::EqualLengths, Limit::RotatesAll, Limit::MayHaveExperts, Limit::NoMtp],
    parts: &[TIED, FREQUENCIES, FFN_NORMS, ATTENTION, OUTPUT_BIAS, DENSE, DENSE_BIASES, WIDE_EXPERTS],
    factors: &[HEAD_FACTORS, ATTENTION_FACTORS, FEED_FORWARD_FACTORS, EXPERT_FACTORS],
    trunk_alone: false,
};

pub(super) const MISTRAL: Table = Table { name: "mistral3", ..LLAMA };

/// Factors of the rotation's frequencies: one set, or one for short and one for long contexts.
const FREQUENCIES: Part = Part {
    of: Of::Model,
    slots: &[
        tensor("rope_freqs.weight", &[Frequencies]).optional(),
        tensor("rope_factors_long.weight", &[Frequencies]).optional(),
        tensor("rope_factors_short.weight", &[Frequencies]).optional(),
    ],
};

const OUTPUT_BIAS: Part =
    Part { of: Of::Attention, slots: &[tensor("attn_output.bias", &[Embd]).optional()] };

const DENSE_BIASES: Part = Part {
    of: Of::Dense,
    slots: &[
        tensor("ffn_gate.bias", &[Ff]).optional(),
        tensor("ffn_up.bias", &[Ff]).optional(),
        tensor("ffn_down.bias", &[Embd]).optional(),
    ],
};
