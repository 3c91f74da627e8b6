//! Gemma 4: windows in most layers, with heads of another length; keys that layers share; experts beside a dense
//! network; an embedding for each layer in the small models (`src/models/gemma4.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::TIED;
use crate::model::check::size::Size::{
    AllPerLayer, Embd, Expert, Experts, Ff, FullFrequencies, Head, Key, One, PerLayer, Query, QueryKeyValue,
    TwoExpert, Value, Vocab,
};
use crate::model::check::slot::{Of, Part, Table, When, matrix, vector};

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
        Limit::Epsilon,
    ],
    parts: &[
        TIED,
        FREQUENCIES,
        EMBEDDINGS,
        ATTENTION,
        OWN_KEYS,
        OTHERS_KEYS,
        FEED_FORWARD,
        EXPERTS,
        PER_LAYER,
    ],
    trunk_alone: false,
};

/// Of layers without a window.
const FREQUENCIES: Part = Part { of: Of::Model, slots: &[vector("rope_freqs.weight", &[FullFrequencies])] };

const EMBEDDINGS: Part = Part {
    of: Of::PerLayerModel,
    slots: &[
        matrix("per_layer_token_embd.weight", &[AllPerLayer, Vocab]),
        matrix("per_layer_model_proj.weight", &[Embd, AllPerLayer]),
        vector("per_layer_proj_norm.weight", &[PerLayer]),
    ],
};

const QKV: &str = "attn_qkv.weight";

const ATTENTION: Part = Part {
    of: Of::Layers,
    slots: &[
        vector("attn_norm.weight", &[Embd]),
        matrix(QKV, &[Embd, QueryKeyValue]).optional(),
        matrix("attn_q.weight", &[Embd, Query]).when(When::Unless(QKV)),
        vector("attn_q_norm.weight", &[Head]),
        matrix("attn_output.weight", &[Query, Embd]),
        vector("post_attention_norm.weight", &[Embd]),
    ],
};

/// Without a matrix of their own, values are the keys before norm and rotation.
const OWN_KEYS: Part = Part {
    of: Of::OwnKeys,
    slots: &[
        matrix("attn_k.weight", &[Embd, Key]).when(When::Unless(QKV)),
        vector("attn_k_norm.weight", &[Head]),
        matrix("attn_v.weight", &[Embd, Value]).when(When::OptionalUnless(QKV)),
    ],
};

/// Some files have matrices that are not used.
const OTHERS_KEYS: Part = Part {
    of: Of::OthersKeys,
    slots: &[
        matrix("attn_k.weight", &[Embd, Key]).when(When::OptionalUnless(QKV)),
        vector("attn_k_norm.weight", &[Head]).optional(),
        matrix("attn_v.weight", &[Embd, Value]).when(When::OptionalUnless(QKV)),
    ],
};

/// In layers with experts, the dense network is a shared expert.
const FEED_FORWARD: Part = Part {
    of: Of::Layers,
    slots: &[
        vector("ffn_norm.weight", &[Embd]),
        matrix("ffn_gate.weight", &[Embd, Ff]),
        matrix("ffn_up.weight", &[Embd, Ff]),
        matrix("ffn_down.weight", &[Ff, Embd]),
        vector("post_ffw_norm.weight", &[Embd]),
        vector("layer_output_scale.weight", &[One]).optional(),
    ],
};

const GATE_UP: &str = "ffn_gate_up_exps.weight";

const EXPERTS: Part = Part {
    of: Of::Experts,
    slots: &[
        matrix("ffn_gate_inp.weight", &[Embd, Experts]),
        vector("ffn_gate_inp.scale", &[Embd]),
        vector("pre_ffw_norm_2.weight", &[Embd]),
        vector("post_ffw_norm_1.weight", &[Embd]),
        vector("post_ffw_norm_2.weight", &[Embd]),
        matrix(GATE_UP, &[Embd, TwoExpert, Experts]).optional(),
        matrix("ffn_gate_exps.weight", &[Embd, Expert, Experts]).when(When::Unless(GATE_UP)),
        matrix("ffn_up_exps.weight", &[Embd, Expert, Experts]).when(When::Unless(GATE_UP)),
        matrix("ffn_down_exps.weight", &[Expert, Embd, Experts]),
    ],
};

const PER_LAYER: Part = Part {
    of: Of::PerLayer,
    slots: &[
        matrix("inp_gate.weight", &[Embd, PerLayer]),
        matrix("proj.weight", &[PerLayer, Embd]),
        vector("post_norm.weight", &[Embd]),
    ],
};
