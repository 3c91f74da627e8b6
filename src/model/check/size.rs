//! The extents of tensors as symbols, and their values in a layer.

use crate::model::hparams::{HParams, Mla, Recurrent};

/// An extent of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// One.
    One,
    /// Width of an embedding.
    Embd,
    /// Two embeddings side by side.
    TwoEmbd,
    /// Width of the embedding of a text.
    TextEmbd,
    /// Labels of a classifier.
    Labels,
    /// Tokens.
    Vocab,
    /// Query heads.
    Heads,
    /// Length of a head's key.
    Head,
    /// The query of all heads.
    Query,
    /// The query and a gate of the same size.
    GatedQuery,
    /// The keys of all heads.
    Key,
    /// The values of all heads.
    Value,
    /// Query, keys and values.
    QueryKeyValue,
    /// Query with a gate, keys and values.
    GatedQueryKeyValue,
    /// A frequency for each pair of rotated values.
    Frequencies,
    /// A frequency for each pair of values of a key, in layers without a window.
    FullFrequencies,
    /// A compressed query.
    QueryRank,
    /// Compressed keys and values.
    Rank,
    /// The same, with the rotated part of a key.
    RotatedRank,
    /// The queries of all heads before compression.
    LatentQuery,
    /// The part of a key that is compressed.
    Compressed,
    /// Length of a value before compression.
    LatentValue,
    /// The values of all heads before compression.
    LatentValues,
    /// Compressed keys and values of all heads.
    Unpacked,
    /// Width of the embedding that each layer has of its own.
    PerLayer,
    /// The same for all layers.
    AllPerLayer,
    /// Width of the dense feed-forward network.
    Ff,
    /// Routed experts.
    Experts,
    /// Width of a routed expert: by its own key, or its part of the dense network.
    Expert,
    /// Two of them.
    TwoExpert,
    /// Width of the shared expert: by its own key, or that of the dense network.
    Shared,
    /// Width of all shared experts, each as wide as a routed one.
    SharedExperts,
    /// The convolution's kernel.
    Kernel,
    /// Channels of the convolution: the recurrent layer's queries, keys and values.
    Channels,
    /// The same, and its gate.
    GatedChannels,
    /// The recurrent layer's values.
    Inner,
    /// Length of a head's state.
    State,
    /// The recurrent layer's value heads.
    StateHeads,
    /// Two of them.
    TwoStateHeads,
}

impl Size {
    /// The extent in a layer; in the model, that of the first layer.
    pub(super) fn of(self, hparams: &HParams, layer: u32) -> u64 {
        let h = hparams;
        let index = layer as usize;
        let (head, _) = h.head_lengths(layer);
        let (keys, values) = h.kv_widths(layer);
        let query = u64::from(h.heads[index]) * head;
        let feed_forward = u64::from(h.feed_forward[index]);
        match self {
            Self::One => 1,
            Self::Embd => h.embedding,
            Self::TwoEmbd => 2 * h.embedding,
            Self::TextEmbd => h.text_embedding,
            Self::Labels => h.labels,
            Self::Vocab => h.vocab,
            Self::Heads => h.heads[index].into(),
            Self::Head => head,
            Self::Query => query,
            Self::GatedQuery => 2 * query,
            Self::Key => keys,
            Self::Value => values,
            Self::QueryKeyValue => query + keys + values,
            Self::GatedQueryKeyValue => 2 * query + keys + values,
            Self::Frequencies => h.rotated / 2,
            Self::FullFrequencies => h.key_length / 2,
            Self::QueryRank
            | Self::Rank
            | Self::RotatedRank
            | Self::LatentQuery
            | Self::Compressed
            | Self::LatentValue
            | Self::LatentValues
            | Self::Unpacked => self.latent(h, index),
            Self::PerLayer => h.per_layer_embedding,
            Self::AllPerLayer => h.per_layer_embedding * u64::from(h.layers),
            Self::Experts => h.experts.into(),
            Self::Expert => expert(h, index),
            Self::TwoExpert => 2 * expert(h, index),
            Self::Shared if h.shared_feed_forward > 0 => h.shared_feed_forward,
            Self::Shared | Self::Ff => feed_forward,
            Self::SharedExperts => h.shared_experts * expert(h, index),
            Self::Kernel
            | Self::Channels
            | Self::GatedChannels
            | Self::Inner
            | Self::State
            | Self::StateHeads
            | Self::TwoStateHeads => h.recurrent.map_or(0, |recurrent| self.recurrent(recurrent)),
        }
    }

    fn latent(self, h: &HParams, layer: usize) -> u64 {
        let heads = u64::from(h.heads[layer]);
        let own = Mla { key_length: h.key_length, value_length: h.value_length };
        let Mla { key_length, value_length } = h.mla.unwrap_or(own);
        let compressed = key_length.saturating_sub(h.rotated);
        match self {
            Self::QueryRank => h.query_rank,
            Self::Rank => h.rank,
            Self::RotatedRank => h.rank + h.rotated,
            Self::LatentQuery => heads * key_length,
            Self::Compressed => compressed,
            Self::LatentValue => value_length,
            Self::LatentValues => heads * value_length,
            Self::Unpacked => heads * (compressed + value_length),
            _ => 0,
        }
    }

    fn recurrent(self, sizes: Recurrent) -> u64 {
        let keys = sizes.groups * sizes.state;
        match self {
            Self::Kernel => sizes.kernel,
            Self::Channels => 2 * keys + sizes.inner,
            Self::GatedChannels => 2 * keys + 2 * sizes.inner,
            Self::Inner => sizes.inner,
            Self::State => sizes.state,
            Self::StateHeads => sizes.heads,
            Self::TwoStateHeads => 2 * sizes.heads,
            _ => 0,
        }
    }
}

fn expert(hparams: &HParams, layer: usize) -> u64 {
    match hparams.expert_feed_forward[layer] {
        0 => u64::from(hparams.feed_forward[layer] / hparams.experts_used.max(1)),
        width => width.into(),
    }
}
