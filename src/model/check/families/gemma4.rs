//! Gemma 4: windows in most layers, with heads of another length; keys that layers share; experts beside a dense
//! network; an embedding for each layer in the small models (`src/models/gemma4.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{
    ATTENTION_FACTORS, EXPERT_FACTORS, EXPERTS, FEED_FORWARD as MATRICES, FEED_FORWARD_FACTORS, HEAD_FACTORS,
    TIED,
};
use crate::model::check::size::Size::{
    AllPerLayer, Embd, FullFrequencies, Head, Key, One, PerLayer, Query, QueryKeyValue, Value, Vocab,
};
use crate::model::check::slot::{Of, Part, Table, When, tensor};

pub(super) const TABLE: Table = Table {
    name: "gemma4",
    limits: &[
        Limit::SomeHeads,
        Limit::EqualLengths,
        Limit::Rotates,
        Limit::Slides,
        Limit::WindowLengths,
        Limit::SharesKeys,
        Limit::MayHaveExperts,
        Limit::NoMtp,
    ],
    parts: &[
        TIED,
        FREQUENCIES,
        EMBEDDINGS,
        ATTENTION,
        OWN_KEYS,
        OTHERS_KEYS,
        FEED_FORWARD,
        FEED_FORWARD_NORMS,
        EXPERTS,
        EXPERT_NORMS,
        PER_LAYER,
    ],
    factors: &[HEAD_FACTORS, ATTENTION_FACTORS, FEED_FORWARD_FACTORS, EXPERT_FACTORS],
    trunk_alone: false,
};

/// Of layers without a window.
const FREQUENCIES: Part = Part { of: Of::Model, slots: &[tensor("rope_freqs.weight", &[FullFrequencies])] };

const EMBEDDINGS: Part = Part {
    of: Of::PerLayerModel,
    slots: &[
        tensor("per_layer_token_embd.weight", &[AllPerLayer, Vocab]),
        tensor("per_layer_model_proj.weight", &[Embd, AllPerLayer]),
        tensor("per_layer_proj_norm.weight", &[PerLayer]),
    ],
};

const QKV: &str = "attn_qkv.weight";

const ATTENTION: Part = Part {
    of: Of::Layers,
    slots: &[
        tensor("attn_norm.weight", &[Embd]),
        tensor(QKV, &[Embd, QueryKeyValue]).optional(),
        tensor("attn_q.weight", &[Embd, Query]).when(When::Unless(QKV)),
        tensor("attn_q_norm.weight", &[Head]),
        tensor("attn_output.weight", &[Query, Embd]),
        tensor("post_attention_norm.weight", &[Embd]),
    ],
};

/// Without a matrix of their own, values are the keys before norm and rotation.
const OWN_KEYS: Part = Part {
    of: Of::OwnKeys,
    slots: &[
        tensor("attn_k.weight", &[Embd, Key]).when(When::Unless(QKV)),
        tensor("attn_k_norm.weight", &[Head]),
        tensor("attn_v.weight", &[Embd, Value]).when(When::OptionalUnless(QKV)),
    ],
};

/// Some files have matrices that are not used.
const OTHERS_KEYS: Part = Part {
    of: Of::OthersKeys,
    slots: &[
        tensor("attn_k.weight", &[Embd, Key]).when(When::OptionalUnless(QKV)),
        tensor("attn_k_norm.weight", &[Head]).optional(),
        tensor("attn_v.weight", &[Embd, Value]).when(When::OptionalUnless(QKV)),
    ],
};

/// In layers with experts, the dense network is a shared expert.
const FEED_FORWARD: Part = Part { of: Of::Layers, slots: &MATRICES };

const FEED_FORWARD_NORMS: Part = Part {
    of: Of::Layers,
    slots: &[
        tensor("ffn_norm.weight", &[Embd]),
        tensor("post_ffw_norm.weight", &[Embd]),
        tensor("layer_output_scale.weight", &[One]).optional(),
    ],
};

const EXPERT_NORMS: Part = Part {
    of: Of::Experts,
    slots: &[
        tensor("ffn_gate_inp.scale", &[Embd]),
        tensor("pre_ffw_norm_2.weight", &[Embd]),
        tensor("post_ffw_norm_1.weight", &[Embd]),
        tensor("post_ffw_norm_2.weight", &[Embd]),
    ],
};

const PER_LAYER: Part = Part {
    of: Of::PerLayer,
    slots: &[
        tensor("inp_gate.weight", &[Embd, PerLayer]),
        tensor("proj.weight", &[PerLayer, Embd]),
        tensor("post_norm.weight", &[Embd]),
    ],
};
