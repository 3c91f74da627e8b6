//! The numbers that shape a Qwen3-Next model.

use crate::Result;
use crate::checkpoint::ModelConfig;

/// Kind of attention of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// Softmax attention over a KV cache.
    Full,
    /// Gated delta net with a recurrent state.
    Linear,
}

/// Hyperparameters of Qwen3-Next, checked on reading.
#[derive(Debug, Clone, PartialEq)]
pub struct HParams {
    /// `vocab_size`.
    pub vocab: u64,
    /// `hidden_size`.
    pub hidden: u64,
    /// `intermediate_size`; not used by any tensor.
    pub intermediate: u64,
    /// Kind of each of the `num_hidden_layers` layers.
    pub layers: Vec<LayerKind>,
    /// `full_attention_interval`, 4 if absent.
    pub full_attention_interval: u64,
    /// `max_position_embeddings`.
    pub context: u64,
    /// `num_attention_heads`.
    pub heads: u64,
    /// `num_key_value_heads`.
    pub kv_heads: u64,
    /// `head_dim`.
    pub head_dim: u64,
    /// `rms_norm_eps`.
    pub norm_eps: f32,
    /// `rope_theta`.
    pub rope_theta: f32,
    /// Rotated share of `head_dim`, in elements.
    pub rope_dims: u64,
    /// `num_experts`.
    pub experts: u64,
    /// `num_experts_per_tok`.
    pub experts_used: u64,
    /// `moe_intermediate_size`.
    pub expert_ff: u64,
    /// `shared_expert_intermediate_size`.
    pub shared_ff: u64,
    /// `linear_conv_kernel_dim`.
    pub conv_kernel: u64,
    /// `linear_num_key_heads`.
    pub linear_key_heads: u64,
    /// `linear_num_value_heads`.
    pub linear_value_heads: u64,
    /// `linear_key_head_dim`.
    pub linear_key_dim: u64,
    /// `linear_value_head_dim`; llama.cpp needs it equal to `linear_key_dim`.
    pub linear_value_dim: u64,
    /// `tie_word_embeddings`.
    pub tied: bool,
}

impl HParams {
    /// Lowers `config.json`, in the old (`rope_theta`) or the new (`rope_parameters`) form.
    ///
    /// # Errors
    /// [`crate::Error::Field`] for a value that cannot be, [`crate::Error::Unsupported`] for another
    /// architecture or an option that llama.cpp has no graph for.
    pub fn read(config: &ModelConfig) -> Result<Self> {
        Err(config.wrong("model_type", "being written"))
    }
}
