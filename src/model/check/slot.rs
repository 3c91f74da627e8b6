//! The vocabulary of the tables: what a tensor is called, what it holds, how large it is, and when it must be there.

use super::limits::Limit;
use super::size::Size;
use super::types::Kind;

/// The tensors of an architecture, and the limits of its graph.
pub(super) struct Table {
    /// Its name in `general.architecture`.
    pub(super) name: &'static str,
    /// What its hyperparameters must be, checked in this order.
    pub(super) limits: &'static [Limit],
    /// Its tensors.
    pub(super) parts: &'static [Part],
    /// Whether a file may leave out its MTP layers, though it counts them.
    pub(super) trunk_alone: bool,
}

/// Tensors that occur together.
pub(super) struct Part {
    /// The layers that have them.
    pub(super) of: Of,
    /// The tensors.
    pub(super) slots: &'static [Slot],
}

/// The layers that have some tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// The model, once.
    Model,
    /// The model, if it has an embedding for each layer.
    PerLayerModel,
    /// Every layer.
    Layers,
    /// Those with attention.
    Attention,
    /// Those with attention and a KV cache of their own.
    OwnKeys,
    /// Those with attention that use the keys of others.
    OthersKeys,
    /// Those with attention, if queries are compressed.
    CompressedQueries,
    /// Those with attention, if queries are not compressed.
    PlainQueries,
    /// Those with attention, if keys and values stay compressed in the cache.
    Latent,
    /// Those with attention, if they do not.
    Unpacked,
    /// Those with a recurrent state.
    Recurrent,
    /// Those without experts.
    Dense,
    /// Those with experts.
    Experts,
    /// Every layer, if each has an embedding of its own.
    PerLayer,
    /// MTP layers.
    Mtp,
}

/// A tensor.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    /// The name, without `blk.N.`.
    pub(super) name: &'static str,
    /// What it holds.
    pub(super) kind: Kind,
    /// Its extents, fastest first.
    pub(super) dims: &'static [Size],
    /// Whether it must be there.
    pub(super) when: When,
}

/// Whether a tensor must be there. Names are those of tensors of the same layer that are earlier in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// It must.
    Always,
    /// It may.
    Optional,
    /// It must unless this one is, and then it must not.
    Unless(&'static str),
    /// It may unless this one is.
    OptionalUnless(&'static str),
    /// It may beside this one, and only then.
    OptionalWith(&'static str),
}

/// A matrix that must be there.
pub(super) const fn matrix(name: &'static str, dims: &'static [Size]) -> Slot {
    Slot { name, kind: Kind::Matrix, dims, when: When::Always }
}

/// A vector, or a stack of vectors, that must be there.
pub(super) const fn vector(name: &'static str, dims: &'static [Size]) -> Slot {
    Slot { name, kind: Kind::Vector, dims, when: When::Always }
}

impl Slot {
    /// The same, on another condition.
    pub(super) const fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    /// The same, if it may be missing.
    pub(super) const fn optional(self) -> Self {
        self.when(When::Optional)
    }
}
