//! Tensors that several architectures have.

use super::size::Size::{
    Channels, Embd, Expert, Experts, Ff, GatedQuery, GatedQueryKeyValue, Head, Inner, Kernel, Key, Query,
    QueryKeyValue, Shared, SharedExperts, State, StateHeads, TwoEmbd, TwoExpert, Value, Vocab,
};
use super::slot::{Of, Part, Slot, When, matrix, vector};

/// The embedding, and a head where it is not the embedding itself.
pub(super) const TIED: Part = Part {
    of: Of::Model,
    slots: &[
        matrix("token_embd.weight", &[Embd, Vocab]),
        vector("output_norm.weight", &[Embd]),
        matrix("output.weight", &[Embd, Vocab]).optional(),
    ],
};

/// The embedding and a head of its own.
pub(super) const UNTIED: Part = Part {
    of: Of::Model,
    slots: &[
        matrix("token_embd.weight", &[Embd, Vocab]),
        vector("output_norm.weight", &[Embd]),
        matrix("output.weight", &[Embd, Vocab]),
    ],
};

const NORM: Slot = vector("attn_norm.weight", &[Embd]);

/// The norm before attention, and one after it that is called so.
pub(super) const POST_ATTENTION_NORMS: Part =
    Part { of: Of::Layers, slots: &[NORM, vector("post_attention_norm.weight", &[Embd])] };

/// The norm before attention, and one after it that is called that of the feed-forward network.
pub(super) const FFN_NORMS: Part =
    Part { of: Of::Layers, slots: &[NORM, vector("ffn_norm.weight", &[Embd])] };

const QKV: &str = "attn_qkv.weight";
const QKV_BIAS: &str = "attn_qkv.bias";

/// Query, keys and values, in one matrix or three, with or without biases.
pub(super) const ATTENTION: Part = Part {
    of: Of::Attention,
    slots: &[
        matrix(QKV, &[Embd, QueryKeyValue]).optional(),
        vector(QKV_BIAS, &[QueryKeyValue]).when(When::OptionalWith(QKV)),
        matrix("attn_q.weight", &[Embd, Query]).when(When::Unless(QKV)),
        vector("attn_q.bias", &[Query]).when(When::OptionalUnless(QKV_BIAS)),
        matrix("attn_k.weight", &[Embd, Key]).when(When::Unless(QKV)),
        vector("attn_k.bias", &[Key]).when(When::OptionalUnless(QKV_BIAS)),
        matrix("attn_v.weight", &[Embd, Value]).when(When::Unless(QKV)),
        vector("attn_v.bias", &[Value]).when(When::OptionalUnless(QKV_BIAS)),
        matrix("attn_output.weight", &[Query, Embd]),
    ],
};

/// The same with a gate beside the query.
pub(super) const GATED_ATTENTION: Part = Part {
    of: Of::Attention,
    slots: &[
        matrix(QKV, &[Embd, GatedQueryKeyValue]).optional(),
        vector(QKV_BIAS, &[GatedQueryKeyValue]).when(When::OptionalWith(QKV)),
        matrix("attn_q.weight", &[Embd, GatedQuery]).when(When::Unless(QKV)),
        vector("attn_q.bias", &[GatedQuery]).when(When::OptionalUnless(QKV_BIAS)),
        matrix("attn_k.weight", &[Embd, Key]).when(When::Unless(QKV)),
        vector("attn_k.bias", &[Key]).when(When::OptionalUnless(QKV_BIAS)),
        matrix("attn_v.weight", &[Embd, Value]).when(When::Unless(QKV)),
        vector("attn_v.bias", &[Value]).when(When::OptionalUnless(QKV_BIAS)),
        matrix("attn_output.weight", &[Query, Embd]),
    ],
};

/// A norm of each head's query and key.
pub(super) const HEAD_NORMS: Part = Part {
    of: Of::Attention,
    slots: &[vector("attn_q_norm.weight", &[Head]), vector("attn_k_norm.weight", &[Head])],
};

/// The same, in some models of an architecture.
pub(super) const OPTIONAL_HEAD_NORMS: Part = Part {
    of: Of::Attention,
    slots: &[
        vector("attn_q_norm.weight", &[Head]).optional(),
        vector("attn_k_norm.weight", &[Head]).optional(),
    ],
};

/// The convolution and the decay of a delta net, its norm and its output.
pub(super) const DELTA_NET: Part = Part {
    of: Of::Recurrent,
    slots: &[
        vector("ssm_conv1d.weight", &[Kernel, Channels]),
        vector("ssm_dt.bias", &[StateHeads]),
        vector("ssm_a", &[StateHeads]),
        vector("ssm_norm.weight", &[State]),
        matrix("ssm_out.weight", &[Inner, Embd]),
    ],
};

/// A dense feed-forward network.
pub(super) const DENSE: Part = Part {
    of: Of::Dense,
    slots: &[
        matrix("ffn_gate.weight", &[Embd, Ff]),
        matrix("ffn_up.weight", &[Embd, Ff]),
        matrix("ffn_down.weight", &[Ff, Embd]),
    ],
};

const GATE_UP: &str = "ffn_gate_up_exps.weight";

/// Routed experts, gate and up in one tensor or two.
pub(super) const EXPERTS: Part = Part {
    of: Of::Experts,
    slots: &[
        matrix("ffn_gate_inp.weight", &[Embd, Experts]),
        matrix("ffn_down_exps.weight", &[Expert, Embd, Experts]),
        matrix(GATE_UP, &[Embd, TwoExpert, Experts]).optional(),
        matrix("ffn_gate_exps.weight", &[Embd, Expert, Experts]).when(When::Unless(GATE_UP)),
        matrix("ffn_up_exps.weight", &[Embd, Expert, Experts]).when(When::Unless(GATE_UP)),
    ],
};

/// Routed experts, gate and up in two tensors.
pub(super) const SPLIT_EXPERTS: Part = Part {
    of: Of::Experts,
    slots: &[
        matrix("ffn_gate_inp.weight", &[Embd, Experts]),
        matrix("ffn_down_exps.weight", &[Expert, Embd, Experts]),
        matrix("ffn_gate_exps.weight", &[Embd, Expert, Experts]),
        matrix("ffn_up_exps.weight", &[Embd, Expert, Experts]),
    ],
};

/// Routed experts as wide as a dense feed-forward network.
pub(super) const WIDE_EXPERTS: Part = Part {
    of: Of::Experts,
    slots: &[
        matrix("ffn_gate_inp.weight", &[Embd, Experts]),
        matrix("ffn_down_exps.weight", &[Ff, Embd, Experts]),
        matrix("ffn_gate_exps.weight", &[Embd, Ff, Experts]),
        matrix("ffn_up_exps.weight", &[Embd, Ff, Experts]),
    ],
};

/// Experts that every token uses, in one matrix.
pub(super) const SHARED_EXPERTS: Part = Part {
    of: Of::Experts,
    slots: &[
        matrix("ffn_gate_shexp.weight", &[Embd, SharedExperts]),
        matrix("ffn_up_shexp.weight", &[Embd, SharedExperts]),
        matrix("ffn_down_shexp.weight", &[SharedExperts, Embd]),
    ],
};

/// A shared expert with a gate of its own.
pub(super) const GATED_SHARED_EXPERT: Part = Part {
    of: Of::Experts,
    slots: &[
        matrix("ffn_gate_inp_shexp.weight", &[Embd]),
        matrix("ffn_gate_shexp.weight", &[Embd, Shared]),
        matrix("ffn_up_shexp.weight", &[Embd, Shared]),
        matrix("ffn_down_shexp.weight", &[Shared, Embd]),
    ],
};

/// What an MTP layer has besides a layer's tensors.
pub(super) const MTP: Part = Part {
    of: Of::Mtp,
    slots: &[
        matrix("nextn.eh_proj.weight", &[TwoEmbd, Embd]),
        vector("nextn.enorm.weight", &[Embd]),
        vector("nextn.hnorm.weight", &[Embd]),
        matrix("nextn.embed_tokens.weight", &[Embd, Vocab]).optional(),
        matrix("nextn.shared_head_head.weight", &[Embd, Vocab]).optional(),
        vector("nextn.shared_head_norm.weight", &[Embd]).optional(),
    ],
};
