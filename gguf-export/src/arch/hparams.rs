//! Hyperparameters, read from `config.json`.

/// Attention of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// Softmax attention over a KV cache.
    Full,
    /// Softmax attention over the last [`HParams::sliding_window`] tokens.
    Sliding,
    /// Gated delta net with a recurrent state.
    Linear,
    /// As `Full`, with the keys and values of the last layer of that kind that has its own.
    SharedFull,
    /// As `Sliding`, with the keys and values of the last layer of that kind that has its own.
    SharedSliding,
}

impl Attention {
    /// Returns true if it sees the last tokens only.
    #[must_use]
    pub fn is_sliding(self) -> bool {
        matches!(self, Self::Sliding | Self::SharedSliding)
    }

    /// Returns true if its keys and values are those of an earlier layer.
    #[must_use]
    pub fn is_shared(self) -> bool {
        matches!(self, Self::SharedFull | Self::SharedSliding)
    }
}

/// Feed-forward block of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedForward {
    /// One block of width [`HParams::ff`].
    Dense,
    /// Routed experts, in Gemma 4 beside a dense block.
    Experts,
}

/// Scaling of positions beyond the trained context.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// No scaling: rope type `default`.
    None,
    /// Positions are divided by a factor.
    Linear {
        /// The divisor.
        factor: f32,
    },
    /// YaRN: each frequency is interpolated separately.
    Yarn {
        /// Ratio of the extended to the trained context.
        factor: f32,
        /// Trained context, in tokens.
        original_context: u64,
        /// `extrapolation_factor`.
        ext_factor: Option<f32>,
        /// `attention_factor` or `attn_factor`.
        attn_factor: Option<f32>,
        /// `beta_fast`.
        beta_fast: Option<f32>,
        /// `beta_slow`.
        beta_slow: Option<f32>,
        /// `mscale_all_dim`, equal to `mscale`.
        log_multiplier: Option<f32>,
        /// `truncate`: true if the limits between which frequencies are interpolated are whole numbers, as in llama.cpp.
        truncate: bool,
    },
    /// Llama 3: low frequencies are divided by a factor.
    Llama3 {
        /// The divisor of the lowest frequencies.
        factor: f32,
        /// `low_freq_factor`: the trained context is so many times the longest wave that is only partly stretched.
        low: f32,
        /// `high_freq_factor`: the trained context is so many times the longest wave that is not stretched.
        high: f32,
        /// Trained context, in tokens.
        original_context: u64,
    },
    /// Gemma 4: the first pairs of a head rotate as if all did, the others do not.
    Proportional {
        /// Number of pairs that rotate.
        rotated: u64,
    },
}

/// Attention and feed-forward block of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// The attention.
    pub attention: Attention,
    /// The feed-forward block.
    pub ff: FeedForward,
}

/// Hyperparameters of a language model. Each field names its source in `config.json`; sizes are in elements.
#[derive(Debug, Clone, PartialEq)]
pub struct HParams {
    /// The first of the family's model types, which names it.
    pub family: &'static str,
    /// `vocab_size`, the rows of the token embedding in the checkpoint.
    pub vocab: u64,
    /// Rows of the token embedding in the GGUF: fewer if the family cuts those without a token.
    pub tokens: u64,
    /// `hidden_size`.
    pub hidden: u64,
    /// `intermediate_size`, the width of dense feed-forward blocks. `None` if the field is absent, for models without such blocks.
    pub ff: Option<u64>,
    /// The `num_hidden_layers` layers.
    pub layers: Vec<Layer>,
    /// `max_position_embeddings`.
    pub context: u64,
    /// `num_attention_heads`.
    pub heads: u64,
    /// `num_key_value_heads`; those of the layers with full attention if they differ.
    pub kv_heads: u64,
    /// `head_dim`; that of the layers with full attention if they differ.
    pub head_dim: u64,
    /// `rms_norm_eps`.
    pub norm_eps: f32,
    /// Rotary position embedding.
    pub rope: Rope,
    /// True if query, key and value have biases.
    pub attention_bias: bool,
    /// True if query and key heads are normalized, where the family has that.
    pub head_norms: bool,
    /// The experts, if layers have any.
    pub experts: Option<Experts>,
    /// The routing of the experts, where the GGUF states it.
    pub routing: Option<Routing>,
    /// The latent attention, if layers have that.
    pub mla: Option<Mla>,
    /// `num_nextn_predict_layers`, where the family reads it.
    pub nextn: u64,
    /// The gated delta net, if layers have one.
    pub delta: Option<Delta>,
    /// What only Gemma 4 has.
    pub gemma: Option<Gemma>,
    /// `llama_4_scaling_beta`, the growth of the query with the logarithm of its position.
    pub temperature_scale: Option<f32>,
    /// `sliding_window`, if layers have [`Attention::Sliding`].
    pub sliding_window: Option<u64>,
    /// `tie_word_embeddings`.
    pub tied: bool,
}

/// Rotary position embedding, from `rope_parameters` of transformers 5 or from the fields before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rope {
    /// `rope_theta`.
    pub base: f32,
    /// Rotated elements of a head: `head_dim * partial_rotary_factor`.
    pub dims: u64,
    /// `rope_parameters` or `rope_scaling`.
    pub scaling: RopeScaling,
    /// `mrope_section`: rotated pairs by time, height, width and a fourth axis.
    pub sections: Option<[u32; 4]>,
}

/// Experts of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Experts {
    /// Number of experts.
    pub count: u64,
    /// `num_experts_per_tok`.
    pub used: u64,
    /// `moe_intermediate_size`.
    pub ff: u64,
    /// Width of the shared experts together; 0 without shared experts.
    pub shared_ff: u64,
    /// `n_group` and `topk_group`: experts are chosen from so many groups, among the best of so many.
    pub groups: Option<(u64, u64)>,
    /// How scores become weights, where the GGUF states it.
    pub gating: Option<Gating>,
}

/// How the scores of experts become weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gating {
    /// Softmax over all experts.
    Softmax = 1,
    /// The sigmoid of each score.
    Sigmoid = 2,
}

/// Routing of GLM.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Routing {
    /// `first_k_dense_replace`: so many layers at the beginning are dense.
    pub leading_dense: u64,
    /// `n_shared_experts`.
    pub shared: u64,
    /// `routed_scaling_factor`.
    pub scale: Option<f32>,
    /// `norm_topk_prob`.
    pub normalized: bool,
}

/// Multi-head latent attention: keys and values of all heads are made from one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mla {
    /// `q_lora_rank`: the length of the vector from which queries are made, if they are not made directly.
    pub query_rank: Option<u64>,
    /// `kv_lora_rank`: the length of the vector from which keys and values are made.
    pub rank: u64,
    /// `qk_nope_head_dim`: elements of a key head that are not rotated. The rotated ones are [`HParams::head_dim`].
    pub plain: u64,
    /// `v_head_dim`.
    pub value: u64,
}

/// How a checkpoint stores the inputs of the gated delta net, which also determines the order of the value heads in the
/// GGUF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeltaInputs {
    /// `in_proj_qkvz` and `in_proj_ba`, by key head. Value heads stay with their key head.
    Joint,
    /// `in_proj_qkv`, `in_proj_z`, `in_proj_b` and `in_proj_a`. The GGUF has the first value head of each key head, then
    /// the second of each, and so on.
    Apart,
}

/// Gated delta net.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delta {
    /// How its inputs are stored.
    pub inputs: DeltaInputs,
    /// `full_attention_interval`, 4 if absent.
    pub interval: u64,
    /// `linear_conv_kernel_dim`.
    pub conv_kernel: u64,
    /// `linear_num_key_heads`.
    pub key_heads: u64,
    /// `linear_num_value_heads`.
    pub value_heads: u64,
    /// `linear_key_head_dim`.
    pub key_dim: u64,
    /// `linear_value_head_dim`; llama.cpp requires it to equal `key_dim`.
    pub value_dim: u64,
}

impl Delta {
    /// Elements of all keys.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.key_heads * self.key_dim
    }

    /// Elements of all values.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.value_heads * self.value_dim
    }
}

/// Layers with a sliding window, and other parts of Gemma 4.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gemma {
    /// `sliding_window`, in tokens.
    pub window: u64,
    /// `head_dim`, of layers with a sliding window.
    pub head_dim: u64,
    /// `num_key_value_heads`, of layers with a sliding window.
    pub kv_heads: u64,
    /// `rope_theta` of layers with a sliding window.
    pub rope_base: f32,
    /// `attention_k_eq_v`: in layers with full attention the values are the keys before their norm.
    pub keys_are_values: bool,
    /// `use_double_wide_mlp`: dense blocks of layers with shared keys and values are twice as wide.
    pub double_wide: bool,
    /// `hidden_size_per_layer_input`: width of the embedding that each layer has; 0 without.
    pub layer_embedding: u64,
    /// `final_logit_softcapping`.
    pub softcap: Option<f32>,
}
