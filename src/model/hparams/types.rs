//! The hyperparameters of a model: those that determine its tensors and how much memory it needs.

/// The hyperparameters that determine the tensors of a model and how much memory it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HParams {
    /// The architecture, by llama.cpp's name.
    pub architecture: String,
    /// The number of layers, including MTP layers at the end.
    pub layers: u32,
    /// The number of MTP layers.
    pub mtp_layers: u32,
    /// Width of an embedding.
    pub embedding: u64,
    /// Width of the embedding of a text.
    pub text_embedding: u64,
    /// Labels of a classifier; 1 if the file names none.
    pub labels: u64,
    /// Tokens in the vocabulary.
    pub vocab: u64,
    /// The context length that the model was trained with.
    pub trained_context: u32,
    /// Width of the dense feed-forward network by layer; 0 without one.
    pub feed_forward: Vec<u32>,
    /// Routed experts per layer; 0 for a dense model.
    pub experts: u32,
    /// Experts per token.
    pub experts_used: u32,
    /// Width of a routed expert by layer; 0 if the file does not say.
    pub expert_feed_forward: Vec<u32>,
    /// Width of the shared expert; 0 if the file does not say.
    pub shared_feed_forward: u64,
    /// Shared experts, each as wide as a routed one.
    pub shared_experts: u64,
    /// The layers at the beginning that have no experts.
    pub leading_dense: u32,
    /// Query heads by layer.
    pub heads: Vec<u32>,
    /// Key and value heads by layer.
    pub kv_heads: Vec<u32>,
    /// Length of a head's key.
    pub key_length: u64,
    /// Length of a head's value.
    pub value_length: u64,
    /// Values of a key that are rotated by position.
    pub rotated: u64,
    /// The layers whose attention sees only a window, if there are any.
    pub sliding: Option<Sliding>,
    /// The layers at the end that use the KV cache of an earlier layer.
    pub shared_kv: u32,
    /// Latent attention, if the model has it.
    pub mla: Option<Mla>,
    /// Width of a compressed query; 0 if queries are not compressed.
    pub query_rank: u64,
    /// Width of compressed keys and values; 0 if they are not compressed.
    pub rank: u64,
    /// Width of the embedding that each layer has of its own; 0 without one.
    pub per_layer_embedding: u64,
    /// The layers with a recurrent state instead of a KV cache.
    pub recurrent_layers: Vec<bool>,
    /// Sizes of the recurrent state, if there is one.
    pub recurrent: Option<Recurrent>,
}

/// Attention that sees only the last tokens, in some layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sliding {
    /// Tokens that a token sees, itself included.
    pub window: u32,
    /// Whether a layer slides, by layer.
    pub layers: Vec<bool>,
    /// Length of a head's key in these layers.
    pub key_length: u64,
    /// Length of a head's value in these layers.
    pub value_length: u64,
    /// Values of a key that are rotated in these layers.
    pub rotated: u64,
}

/// Latent attention (MLA): one key for all heads, of which the values are a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mla {
    /// Length of a head's key before it is compressed.
    pub key_length: u64,
    /// Length of a head's value before it is compressed.
    pub value_length: u64,
}

/// Sizes of a recurrent layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recurrent {
    /// Length of the convolution's kernel.
    pub kernel: u64,
    /// Inner width.
    pub inner: u64,
    /// Length of a head's state.
    pub state: u64,
    /// Key heads.
    pub groups: u64,
    /// Value heads.
    pub heads: u64,
}

impl Recurrent {
    /// Values per sequence and layer, of the convolution and the state.
    #[must_use]
    pub fn values(&self) -> u64 {
        let convolution = self.kernel.saturating_sub(1) * (self.inner + 2 * self.groups * self.state);
        convolution + self.state * self.inner
    }
}

impl HParams {
    /// The number of layers without MTP layers.
    #[must_use]
    pub fn trunk(&self) -> u32 {
        self.layers - self.mtp_layers
    }

    /// The window of a layer, if it has one.
    #[must_use]
    pub fn window(&self, layer: u32) -> Option<&Sliding> {
        self.sliding.as_ref().filter(|sliding| sliding.layers[layer as usize])
    }

    /// Whether a layer has a KV cache of its own.
    #[must_use]
    pub fn has_kv(&self, layer: u32) -> bool {
        !self.recurrent_layers[layer as usize] && layer < self.layers - self.shared_kv
    }

    /// Lengths of a head's key and value in a layer.
    #[must_use]
    pub fn head_lengths(&self, layer: u32) -> (u64, u64) {
        let full = (self.key_length, self.value_length);
        self.window(layer).map_or(full, |sliding| (sliding.key_length, sliding.value_length))
    }

    /// Values of a key and of a value, of all heads of a layer.
    #[must_use]
    pub fn kv_widths(&self, layer: u32) -> (u64, u64) {
        let heads = u64::from(self.kv_heads[layer as usize]);
        let (key, value) = self.head_lengths(layer);
        (heads * key, heads * value)
    }
}
