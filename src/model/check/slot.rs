//! The elements of the tables: tensors by name and shape, the layers that have them, and when they are required.

use gguf_export::ggml::GgmlType;

use super::limits::Limit;
use super::size::Size;

/// The tensors of an architecture, and the limits of its graph.
pub(super) struct Table {
    /// Its name in `general.architecture`.
    pub(super) name: &'static str,
    /// Limits on its hyperparameters, checked in this order.
    pub(super) limits: &'static [Limit],
    /// The tensors, by the layers that have them.
    pub(super) parts: &'static [Part],
    /// Optional factors by which its graph multiplies products. MTP layers have none, because llama.cpp skips their
    /// matrices before it looks for factors.
    pub(super) factors: &'static [Part],
    /// True if a file may lack the MTP layers that its metadata counts.
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
    /// Those with attention that use the KV cache of another layer.
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
    /// Its extents, fastest first.
    pub(super) dims: &'static [Size],
    /// Whether it is required.
    pub(super) when: When,
}

/// Whether a tensor is required. Names are those of tensors of the same layer that are earlier in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Required.
    Always,
    /// Optional.
    Optional,
    /// Required if this one is missing, else not allowed.
    Unless(&'static str),
    /// Optional if this one is missing, else not allowed.
    OptionalUnless(&'static str),
    /// Optional if this one is there, else not allowed.
    OptionalWith(&'static str),
    /// Optional if this one is there and has this type, else not allowed.
    OptionalWithType(&'static str, GgmlType),
    /// Optional; but if the second one is there, required with the first one and not allowed without it.
    AllOrNone(&'static str, &'static str),
}

/// A required tensor.
pub(super) const fn tensor(name: &'static str, dims: &'static [Size]) -> Slot {
    Slot { name, dims, when: When::Always }
}

impl Slot {
    /// The same, on another condition.
    pub(super) const fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    /// The same, but optional.
    pub(super) const fn optional(self) -> Self {
        self.when(When::Optional)
    }

    /// Its name in a layer, or in the model as a whole.
    pub(super) fn name_in(&self, layer: Option<u32>) -> String {
        name_in(self.name, layer)
    }
}

/// The name of a tensor in a layer, or in the model as a whole.
pub(super) fn name_in(name: &str, layer: Option<u32>) -> String {
    layer.map_or_else(|| name.to_owned(), |layer| format!("blk.{layer}.{name}"))
}
