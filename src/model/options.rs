//! Options for loading a model.

use std::path::PathBuf;

use super::{TensorCheck, default_threads};
use crate::engine::PrefillBudget;
use crate::llama::rpc::Endpoint;
use crate::llama::{CacheType, Flash, LoadMode, MetadataOverride, Numa, Override, Rope, SplitMode};

/// Tokens per sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextSize {
    /// As many as the model was trained with, or as many as fit beside its weights, without moving weights away from
    /// GPUs for more than [`ContextSize::USUAL`].
    Fit,
    /// As many as the model was trained with, but no more than this, and fewer if memory is short.
    UpTo(u32),
    /// As many as the model was trained with.
    Trained,
    /// Exactly this number.
    Tokens(u32),
}

impl ContextSize {
    /// Tokens that most conversations need.
    pub const USUAL: u32 = 8192;

    /// The number for a model that was trained with `trained` tokens.
    #[must_use]
    pub fn resolve(self, trained: u32) -> u32 {
        match self {
            Self::UpTo(limit) => limit.min(trained),
            Self::Fit | Self::Trained => trained,
            Self::Tokens(tokens) => tokens,
        }
    }
}

/// Layers to offload; the head counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GpuLayers {
    /// As many as fit.
    #[default]
    Auto,
    /// All layers.
    All,
    /// This number of layers, from the last.
    Last(u32),
}

/// How a model is loaded and run. [`super::place`] chooses the options that are unset.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct LoadOptions {
    /// The GGUF file, or the first of its parts.
    pub path: PathBuf,
    /// Tokens per sequence.
    pub context: ContextSize,
    /// Slots: requests that are processed at once.
    pub parallel: u32,
    /// Tokens per batch; `None` for 512, or more if experts are read from disk.
    pub batch: Option<u32>,
    /// Tokens per micro-batch; `None` for 512, or more if experts are read from disk, within a batch.
    pub ubatch: Option<u32>,
    /// Threads for a batch of one token.
    pub threads: u32,
    /// Threads for larger batches; `None` for the same number.
    pub threads_batch: Option<u32>,
    /// NUMA policy.
    pub numa: Option<Numa>,
    /// Flash attention.
    pub flash: Flash,
    /// Type of the keys in the KV cache.
    pub cache_k: CacheType,
    /// Type of the values in the KV cache.
    pub cache_v: CacheType,
    /// Offload the KV cache with its layer.
    pub kv_offload: bool,
    /// Copy weights of main memory to a GPU for batches; `None` where that is faster.
    pub op_offload: Option<bool>,
    /// Size of the state cache in bytes: sequence states that later prompts start from, for models that need them.
    pub state_cache: u64,
    /// Compute every request as if it were the only one; see [`LoadOptions::deterministic`].
    pub deterministic: bool,
    /// Prompt tokens in a step that also generates answers.
    pub prefill_budget: PrefillBudget,
    /// RPC workers whose devices are used as well.
    pub rpc: Vec<Endpoint>,
    /// Names of the devices to use besides the CPU; `None` for all.
    pub devices: Option<Vec<String>>,
    /// Layers to offload to these devices.
    pub gpu_layers: GpuLayers,
    /// Layers, counted from the first, whose experts stay in main memory; `None` for as few as possible.
    pub cpu_experts: Option<u32>,
    /// Tensors to place apart from their layer.
    pub overrides: Vec<Override>,
    /// How layers are split between devices.
    pub split_mode: SplitMode,
    /// The share of each device; empty to split by free memory.
    pub tensor_split: Vec<f32>,
    /// The device to use if nothing is split.
    pub main_gpu: u32,
    /// How the file is read; `None` for a mode with one copy of the weights in memory.
    pub load: Option<LoadMode>,
    /// Repack weights for the CPU; `None` to do so if it needs no second copy, and the CPU has no kernels for the layout of
    /// the file.
    pub repack: Option<bool>,
    /// Choose unset options so that the model fits, and refuse a model that cannot fit.
    pub fit: bool,
    /// Bytes to leave free on each device; the last value applies to all further devices.
    pub margins: Vec<u64>,
    /// The smallest context that may be chosen to make the model fit.
    pub least_context: u32,
    /// The limit on each GPU's memory, in bytes.
    pub gpu_memory: Option<u64>,
    /// The limit on main memory, in bytes.
    pub cpu_memory: Option<u64>,
    /// Scaling of rotary positions, if it is not the model's.
    pub rope: Rope,
    /// Metadata values that override those of the file.
    pub metadata: Vec<MetadataOverride>,
    /// Refuse tensors whose data contains values that are not numbers.
    pub check_tensors: bool,
    /// Whether architecture and tensors are checked before llama.cpp loads the file.
    pub tensor_check: TensorCheck,
}

impl LoadOptions {
    /// The defaults for a file: one slot, as many tokens as fit, placed so that it fits.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            context: ContextSize::Fit,
            parallel: 1,
            batch: None,
            ubatch: None,
            threads: default_threads(),
            threads_batch: None,
            numa: None,
            flash: Flash::Auto,
            cache_k: CacheType::default(),
            cache_v: CacheType::default(),
            kv_offload: true,
            op_offload: None,
            state_cache: 512 << 20,
            deterministic: false,
            prefill_budget: PrefillBudget::default(),
            rpc: Vec::new(),
            devices: None,
            gpu_layers: GpuLayers::Auto,
            cpu_experts: None,
            overrides: Vec::new(),
            split_mode: SplitMode::default(),
            tensor_split: Vec::new(),
            main_gpu: 0,
            load: None,
            repack: None,
            fit: true,
            margins: vec![1 << 30],
            least_context: 4096,
            gpu_memory: None,
            cpu_memory: None,
            rope: Rope::default(),
            metadata: Vec::new(),
            check_tensors: false,
            tensor_check: TensorCheck::default(),
        }
    }

    /// Makes an answer depend on its request only: one request at a time, without reuse of earlier states. Other batch
    /// sizes or placements still round differently.
    #[must_use]
    pub fn deterministic(self) -> Self {
        Self { deterministic: true, parallel: 1, state_cache: 0, ..self }
    }
}
