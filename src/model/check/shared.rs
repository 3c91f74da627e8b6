//! Tensors that several architectures have.

use gguf_export::ggml::GgmlType;

use super::size::Size::{
    Channels, Embd, Expert, Experts, Ff, GatedQuery, GatedQueryKeyValue, Head, Inner, Kernel, Key, One,
    Query, QueryKeyValue, Shared, SharedExperts, State, StateHeads, TwoEmbd, TwoExpert, Value, Vocab,
};
use super::slot::{Of, Part, Slot, When, tensor};

const EMBEDDING: Slot = tensor("token_embd.weight", &[Embd, Vocab]);
const OUTPUT_NORM: Slot = tensor("output_norm.weight", &[Embd]);
const HEAD: Slot = tensor("output.weight", &[Embd, Vocab]);

/// The embedding, and a head where it is not the embedding itself.
pub(super) const TIED: Part = Part { of: Of::Model, slots: &[EMBEDDING, OUTPUT_NORM, HEAD.optional()] };

/// The embedding and a head of its own.
pub(super) const UNTIED: Part = Part { of: Of::Model, slots: &[EMBEDDING, OUTPUT_NORM, HEAD] };

const NORM: Slot = tensor("attn_norm.weight", &[Embd]);

/// The norm before attention, and one after it that is called so.
pub(super) const POST_ATTENTION_NORMS: Part =
    Part { of: Of::Layers, slots: &[NORM, tensor("post_attention_norm.weight", &[Embd])] };

/// The norm before attention, and one after it that is called that of the feed-forward network.
pub(super) const FFN_NORMS: Part =
    Part { of: Of::Layers, slots: &[NORM, tensor("ffn_norm.weight", &[Embd])] };

const QKV: &str = "attn_qkv.weight";
const QKV_BIAS: &str = "attn_qkv.bias";
const Q_BIAS: &str = "attn_q.bias";

/// Query, keys and values, in one matrix or three, with or without biases.
///
/// Beside one matrix, llama.cpp adds the biases of query, keys and values only if all three are there.
macro_rules! attention {
    ($query:expr, $all:expr) => {
        Part {
            of: Of::Attention,
            slots: &[
                tensor(QKV, &[Embd, $all]).optional(),
                tensor(QKV_BIAS, &[$all]).when(When::OptionalWith(QKV)),
                tensor("attn_q.weight", &[Embd, $query]).when(When::Unless(QKV)),
                tensor(Q_BIAS, &[$query]).when(When::OptionalUnless(QKV_BIAS)),
                tensor("attn_k.weight", &[Embd, Key]).when(When::Unless(QKV)),
                tensor("attn_k.bias", &[Key]).when(When::AllOrNone(Q_BIAS, QKV)),
                tensor("attn_v.weight", &[Embd, Value]).when(When::Unless(QKV)),
                tensor("attn_v.bias", &[Value]).when(When::AllOrNone(Q_BIAS, QKV)),
                tensor("attn_output.weight", &[Query, Embd]),
            ],
        }
    };
}

/// Attention.
pub(super) const ATTENTION: Part = attention!(Query, QueryKeyValue);

/// The same with a gate beside the query.
pub(super) const GATED_ATTENTION: Part = attention!(GatedQuery, GatedQueryKeyValue);

const QUERY_NORM: Slot = tensor("attn_q_norm.weight", &[Head]);
const KEY_NORM: Slot = tensor("attn_k_norm.weight", &[Head]);

/// A norm of each head's query and key.
pub(super) const HEAD_NORMS: Part = Part { of: Of::Attention, slots: &[QUERY_NORM, KEY_NORM] };

/// The same, in some models of an architecture.
pub(super) const OPTIONAL_HEAD_NORMS: Part =
    Part { of: Of::Attention, slots: &[QUERY_NORM.optional(), KEY_NORM.optional()] };

/// The convolution and the decay of a delta net, its norm and its output.
pub(super) const DELTA_NET: Part = Part {
    of: Of::Recurrent,
    slots: &[
        tensor("ssm_conv1d.weight", &[Kernel, Channels]),
        tensor("ssm_dt.bias", &[StateHeads]),
        tensor("ssm_a", &[StateHeads]),
        tensor("ssm_norm.weight", &[State]),
        tensor("ssm_out.weight", &[Inner, Embd]),
    ],
};

/// A dense feed-forward network.
pub(super) const DENSE: Part = Part { of: Of::Dense, slots: &FEED_FORWARD };

/// The matrices of a feed-forward network.
pub(super) const FEED_FORWARD: [Slot; 3] = [
    tensor("ffn_gate.weight", &[Embd, Ff]),
    tensor("ffn_up.weight", &[Embd, Ff]),
    tensor("ffn_down.weight", &[Ff, Embd]),
];

const ROUTER: Slot = tensor("ffn_gate_inp.weight", &[Embd, Experts]);
const GATE_UP: &str = "ffn_gate_up_exps.weight";

/// Routed experts, gate and up in one tensor or two.
pub(super) const EXPERTS: Part = Part {
    of: Of::Experts,
    slots: &[
        ROUTER,
        tensor("ffn_down_exps.weight", &[Expert, Embd, Experts]),
        tensor(GATE_UP, &[Embd, TwoExpert, Experts]).optional(),
        tensor("ffn_gate_exps.weight", &[Embd, Expert, Experts]).when(When::Unless(GATE_UP)),
        tensor("ffn_up_exps.weight", &[Embd, Expert, Experts]).when(When::Unless(GATE_UP)),
    ],
};

macro_rules! split_experts {
    ($width:expr) => {
        Part {
            of: Of::Experts,
            slots: &[
                ROUTER,
                tensor("ffn_down_exps.weight", &[$width, Embd, Experts]),
                tensor("ffn_gate_exps.weight", &[Embd, $width, Experts]),
                tensor("ffn_up_exps.weight", &[Embd, $width, Experts]),
            ],
        }
    };
}

/// Routed experts, gate and up in two tensors.
pub(super) const SPLIT_EXPERTS: Part = split_experts!(Expert);

/// Routed experts as wide as a dense feed-forward network.
pub(super) const WIDE_EXPERTS: Part = split_experts!(Ff);

/// What is added to the scores by which experts are chosen.
pub(super) const CORRECTION: Slot = tensor("exp_probs_b.bias", &[Experts]);

/// Experts that every token uses, in one matrix.
pub(super) const SHARED_EXPERTS: Part = Part {
    of: Of::Experts,
    slots: &[
        tensor("ffn_gate_shexp.weight", &[Embd, SharedExperts]),
        tensor("ffn_up_shexp.weight", &[Embd, SharedExperts]),
        tensor("ffn_down_shexp.weight", &[SharedExperts, Embd]),
    ],
};

/// A shared expert with a gate of its own.
pub(super) const GATED_SHARED_EXPERT: Part = Part {
    of: Of::Experts,
    slots: &[
        tensor("ffn_gate_inp_shexp.weight", &[Embd]),
        tensor("ffn_gate_shexp.weight", &[Embd, Shared]),
        tensor("ffn_up_shexp.weight", &[Embd, Shared]),
        tensor("ffn_down_shexp.weight", &[Shared, Embd]),
    ],
};

/// What an MTP layer has besides a layer's tensors.
pub(super) const MTP: Part = Part {
    of: Of::Mtp,
    slots: &[
        tensor("nextn.eh_proj.weight", &[TwoEmbd, Embd]),
        tensor("nextn.enorm.weight", &[Embd]),
        tensor("nextn.hnorm.weight", &[Embd]),
        tensor("nextn.embed_tokens.weight", &[Embd, Vocab]).optional(),
        tensor("nextn.shared_head_head.weight", &[Embd, Vocab]).optional(),
        tensor("nextn.shared_head_norm.weight", &[Embd]).optional(),
    ],
};

/// The factors of matrices and of their inputs: one, or one for each expert. llama.cpp reads the factors of inputs but does
/// not use them.
macro_rules! factors {
    ($of:ident, $count:ident, $($matrix:literal)+) => {
        $crate::model::check::slot::Part {
            of: $crate::model::check::slot::Of::$of,
            slots: &[$(
                $crate::model::check::slot::tensor(concat!($matrix, ".scale"), &[$count])
                    .when($crate::model::check::slot::When::OptionalWith(concat!($matrix, ".weight"))),
                $crate::model::check::slot::tensor(concat!($matrix, ".input_scale"), &[$count])
                    .when($crate::model::check::slot::When::OptionalWith(concat!($matrix, ".weight"))),
            )+],
        }
    };
}
pub(super) use factors;

/// The factors of the head, which llama.cpp reads only for this type.
pub(super) const HEAD_FACTORS: Part = Part {
    of: Of::Model,
    slots: &[
        tensor("output.scale", &[One]).when(When::OptionalWithType("output.weight", GgmlType::NVFP4)),
        tensor("output.input_scale", &[One]).when(When::OptionalWithType("output.weight", GgmlType::NVFP4)),
    ],
};

/// The factors of [`ATTENTION`].
pub(super) const ATTENTION_FACTORS: Part =
    factors!(Attention, One, "attn_qkv" "attn_q" "attn_k" "attn_v" "attn_output");

/// The factors of [`FEED_FORWARD`].
pub(super) const FEED_FORWARD_FACTORS: Part = factors!(Layers, One, "ffn_gate" "ffn_up" "ffn_down");

/// The factors of routed experts; gate and up in one tensor have none.
pub(super) const EXPERT_FACTORS: Part =
    factors!(Experts, Experts, "ffn_gate_exps" "ffn_up_exps" "ffn_down_exps");

/// The factors of shared experts.
pub(super) const SHARED_EXPERT_FACTORS: Part =
    factors!(Experts, One, "ffn_gate_shexp" "ffn_up_shexp" "ffn_down_shexp");
