//! What a caller wishes for when a model is loaded.

use std::path::PathBuf;

use super::default_threads;
use crate::llama::rpc::Endpoint;
use crate::llama::{CacheType, Flash, LoadMode, MetadataOverride, Numa, Override, Rope, SplitMode};

/// How many tokens a sequence can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextSize {
    /// As many as the model was trained on, but no more than this, and fewer where memory is short.
    UpTo(u32),
    /// As many as the model was trained on.
    Trained,
    /// Exactly so many.
    Tokens(u32),
}

impl ContextSize {
    /// The number, for a model that was trained on `trained`.
    #[must_use]
    pub fn resolve(self, trained: u32) -> u32 {
        match self {
            Self::UpTo(limit) => limit.min(trained),
            Self::Trained => trained,
            Self::Tokens(tokens) => tokens,
        }
    }
}

/// How many layers, the head counted as one, go to GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GpuLayers {
    /// As many as fit.
    #[default]
    Auto,
    /// All.
    All,
    /// The last so many.
    Last(u32),
}

/// How a model is loaded and run. What is left open is chosen by [`super::place`].
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The GGUF file, or the first of its parts.
    pub path: PathBuf,
    /// Tokens of each sequence.
    pub context: ContextSize,
    /// Requests answered at once.
    pub parallel: u32,
    /// Rows of one step.
    pub batch: u32,
    /// Rows computed together.
    pub ubatch: u32,
    /// Threads that compute one row.
    pub threads: u32,
    /// Threads that compute many; as many where nobody says.
    pub threads_batch: Option<u32>,
    /// How memory is shared out between nodes.
    pub numa: Option<Numa>,
    /// Attention in one fused operation.
    pub flash: Flash,
    /// Type of the KV cache's keys.
    pub cache_k: CacheType,
    /// Type of its values.
    pub cache_v: CacheType,
    /// Whether the KV cache is where its layer is.
    pub kv_offload: bool,
    /// Bytes of main memory for states of sequences that later prompts go on from, where the model cannot do without.
    pub state_cache: u64,
    /// Whether every request is computed as if there were no other; see [`LoadOptions::deterministic`].
    pub deterministic: bool,
    /// Workers whose devices are used as well.
    pub rpc: Vec<Endpoint>,
    /// Devices beside the CPU by name; all where nobody says.
    pub devices: Option<Vec<String>>,
    /// Layers that go to them.
    pub gpu_layers: GpuLayers,
    /// Layers from the first whose experts stay in main memory; as many as must where nobody says.
    pub cpu_experts: Option<u32>,
    /// Tensors that go elsewhere than their layer.
    pub overrides: Vec<Override>,
    /// How layers are split between devices.
    pub split_mode: SplitMode,
    /// Shares of the devices; by free memory where nobody says.
    pub tensor_split: Vec<f32>,
    /// The device that has everything if nothing is split.
    pub main_gpu: u32,
    /// How the file is read; what holds the weights once where nobody says.
    pub load: Option<LoadMode>,
    /// Whether weights for the CPU are reordered for speed; where it costs no second copy if nobody says.
    pub repack: Option<bool>,
    /// Whether what is left open is made to fit, and what cannot fit is refused.
    pub fit: bool,
    /// Bytes left free on each device; the last counts for those that follow.
    pub margins: Vec<u64>,
    /// The smallest context that fitting may choose.
    pub least_context: u32,
    /// The most that is used of each GPU's memory, in bytes.
    pub gpu_memory: Option<u64>,
    /// The most that is used of main memory, in bytes.
    pub cpu_memory: Option<u64>,
    /// Scaling of rotary positions, where it is not the model's.
    pub rope: Rope,
    /// Metadata values that count instead of those of the file.
    pub metadata: Vec<MetadataOverride>,
    /// Refuse tensors whose data has values that are not numbers.
    pub check_tensors: bool,
}

impl LoadOptions {
    /// The defaults for a file: one request at a time, up to 8192 tokens, all physical cores, placed by what fits.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            context: ContextSize::UpTo(8192),
            parallel: 1,
            batch: 512,
            ubatch: 512,
            threads: default_threads(),
            threads_batch: None,
            numa: None,
            flash: Flash::Auto,
            cache_k: CacheType::default(),
            cache_v: CacheType::default(),
            kv_offload: true,
            state_cache: 512 << 20,
            deterministic: false,
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
        }
    }

    /// Makes the text of a request depend on nothing but the request: one at a time, and nothing reused of earlier ones.
    /// Threads, batch sizes and placement still count: other ones round differently.
    #[must_use]
    pub fn deterministic(self) -> Self {
        Self { deterministic: true, parallel: 1, state_cache: 0, ..self }
    }
}
