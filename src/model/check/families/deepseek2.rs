//! `DeepSeek` V2 and V3, Kimi, GLM-4.7-Flash: keys and values are compressed (`src/models/deepseek2.cpp`).

use crate::model::check::limits::Limit;
use crate::model::check::shared::{
    CORRECTION, DENSE, EXPERTS, FFN_NORMS, MTP, SHARED_EXPERTS, TIED, factors,
};
use crate::model::check::size::Size::{
    Compressed, Embd, Heads, LatentQuery, LatentValue, LatentValues, One, QueryRank, Rank, RotatedRank,
    Unpacked,
};
use crate::model::check::slot::{Of, Part, Table, tensor};

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
    factors: &[factors!(Attention, One, "attn_output")],
    trunk_alone: true,
};

const PLAIN_QUERIES: Part =
    Part { of: Of::PlainQueries, slots: &[tensor("attn_q.weight", &[Embd, LatentQuery])] };

const COMPRESSED_QUERIES: Part = Part {
    of: Of::CompressedQueries,
    slots: &[
        tensor("attn_q_a.weight", &[Embd, QueryRank]),
        tensor("attn_q_a_norm.weight", &[QueryRank]),
        tensor("attn_q_b.weight", &[QueryRank, LatentQuery]),
    ],
};

const KEYS_VALUES: Part = Part {
    of: Of::Attention,
    slots: &[
        tensor("attn_kv_a_mqa.weight", &[Embd, RotatedRank]),
        tensor("attn_kv_a_norm.weight", &[Rank]),
        tensor("attn_output.weight", &[LatentValues, Embd]),
    ],
};

/// The parts by which queries and values are multiplied, so that keys stay compressed.
const LATENT: Part = Part {
    of: Of::Latent,
    slots: &[
        tensor("attn_k_b.weight", &[Compressed, Rank, Heads]),
        tensor("attn_v_b.weight", &[Rank, LatentValue, Heads]),
    ],
};

/// Old files have both parts in one matrix, by which keys and values are unpacked.
const UNPACKED: Part = Part { of: Of::Unpacked, slots: &[tensor("attn_kv_b.weight", &[Rank, Unpacked])] };

const BIAS: Part = Part { of: Of::Experts, slots: &[CORRECTION.optional()] };
