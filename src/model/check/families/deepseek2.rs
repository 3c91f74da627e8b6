//! `DeepSeek` V2 and V3, Kimi, GLM-4.7-Flash: keys and values are compressed (`src/models/deepseek2.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{DENSE, EXPERTS, FFN_NORMS, MTP, SHARED_EXPERTS, TIED};
use crate::model::check::size::Size::{
    Compressed, Embd, Experts, Heads, LatentQuery, LatentValue, LatentValues, QueryRank, Rank, RotatedRank,
    Unpacked,
};
use crate::model::check::slot::{Of, Part, Table, matrix, vector};

pub(super) const TABLE: Table = Table {
    name: "deepseek2",
    limits: &[
        Limit::SameHeads,
        Limit::Rotates,
        Limit::Compression,
        Limit::Experts,
        Limit::SharedExperts,
        Limit::MayWeigh,
        Limit::Temperature,
        Limit::Epsilon,
    ],
    parts: &[
        TIED,
        FFN_NORMS,
        PLAIN_QUERIES,
        COMPRESSED_QUERIES,
        KEYS_VALUES,
        LATENT,
        UNPACKED,
        DENSE,
        EXPERTS,
        BIAS,
        SHARED_EXPERTS,
        MTP,
    ],
    trunk_alone: true,
};

const PLAIN_QUERIES: Part =
    Part { of: Of::PlainQueries, slots: &[matrix("attn_q.weight", &[Embd, LatentQuery])] };

const COMPRESSED_QUERIES: Part = Part {
    of: Of::CompressedQueries,
    slots: &[
        matrix("attn_q_a.weight", &[Embd, QueryRank]),
        vector("attn_q_a_norm.weight", &[QueryRank]),
        matrix("attn_q_b.weight", &[QueryRank, LatentQuery]),
    ],
};

const KEYS_VALUES: Part = Part {
    of: Of::Attention,
    slots: &[
        matrix("attn_kv_a_mqa.weight", &[Embd, RotatedRank]),
        vector("attn_kv_a_norm.weight", &[Rank]),
        matrix("attn_output.weight", &[LatentValues, Embd]),
    ],
};

/// The parts by which queries and values are multiplied, so that keys stay compressed.
const LATENT: Part = Part {
    of: Of::Latent,
    slots: &[
        matrix("attn_k_b.weight", &[Compressed, Rank, Heads]),
        matrix("attn_v_b.weight", &[Rank, LatentValue, Heads]),
    ],
};

/// Old files have both parts in one matrix, by which keys and values are unpacked.
const UNPACKED: Part = Part { of: Of::Unpacked, slots: &[matrix("attn_kv_b.weight", &[Rank, Unpacked])] };

const BIAS: Part = Part { of: Of::Experts, slots: &[vector("exp_probs_b.bias", &[Experts]).optional()] };
