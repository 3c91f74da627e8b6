//! Parameters of a load and of a context, in llama.cpp's terms and enums of our own. Not here: how they are chosen.
#![expect(unsafe_code, reason = "calls C functions that the binding does not export")]

use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_sys_2 as sys;
use std::ffi::c_void;
use std::path::Path;
use std::ptr;

use super::metadata::MetadataOverride;
use super::rope::Rope;
use crate::engine::{Abort, Signal};

/// How a model is loaded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadParams<'a> {
    /// The file, or the first of its parts.
    pub path: &'a Path,
    /// Devices besides the CPU by name, in the order in which layers are offloaded to them.
    pub devices: &'a [String],
    /// Layers to offload, counted from the last; the output layer is one.
    pub gpu_layers: u32,
    /// How layers are split between several devices.
    pub split_mode: SplitMode,
    /// The device that holds everything with [`SplitMode::None`].
    pub main_gpu: u32,
    /// Shares of the devices; empty: by free memory.
    pub tensor_split: &'a [f32],
    /// Regular expressions of tensor names and the buffer type of these tensors; the first match counts.
    pub overrides: &'a [Override],
    /// How the file is read.
    pub load: LoadMode,
    /// Bytes of experts that stay in memory with [`LoadMode::Stream`].
    pub room: u64,
    /// Whether weights on the CPU are repacked.
    pub repack: bool,
    /// Values that override those of the file.
    pub metadata: &'a [MetadataOverride],
    /// Refuse tensors whose data contains values that are not numbers.
    pub check_tensors: bool,
}

/// Tensors that are not placed with their layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// An ECMAScript regular expression, searched for in the tensor's name.
    pub pattern: String,
    /// Name of a buffer type, such as `CPU`.
    pub buffer: String,
}

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadMode {
    /// Mapped, if every device supports it.
    Auto,
    /// Read into memory of the process.
    #[default]
    Read,
    /// Mapped.
    Map,
    /// Read, and locked in memory.
    Lock,
    /// Mapped, and locked in memory.
    MapLock,
    /// Read without the page cache.
    Direct,
    /// Read, except for experts on the CPU, which are mapped and read from disk as they are chosen.
    Stream,
}

impl LoadMode {
    /// Whether weights on the CPU stay in the mapped file.
    #[must_use]
    pub fn maps(self) -> bool {
        matches!(self, Self::Auto | Self::Map | Self::MapLock)
    }

    pub(super) fn raw(self) -> sys::llama_load_mode {
        match self {
            Self::Auto => sys::LLAMA_LOAD_MODE_AUTO,
            Self::Read | Self::Stream => sys::LLAMA_LOAD_MODE_NONE,
            Self::Map => sys::LLAMA_LOAD_MODE_MMAP,
            Self::Lock => sys::LLAMA_LOAD_MODE_MLOCK,
            Self::MapLock => sys::LLAMA_LOAD_MODE_MMAP_MLOCK,
            Self::Direct => sys::LLAMA_LOAD_MODE_DIRECT_IO,
        }
    }
}

/// How a model is split between several devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SplitMode {
    /// Not at all: one device holds everything.
    None,
    /// By layers.
    #[default]
    Layer,
    /// By rows of matrices.
    Row,
    /// By rows, the KV cache too.
    Tensor,
}

impl SplitMode {
    pub(super) fn raw(self) -> sys::llama_split_mode {
        match self {
            Self::None => sys::LLAMA_SPLIT_MODE_NONE,
            Self::Layer => sys::LLAMA_SPLIT_MODE_LAYER,
            Self::Row => sys::LLAMA_SPLIT_MODE_ROW,
            Self::Tensor => sys::LLAMA_SPLIT_MODE_TENSOR,
        }
    }
}

/// How threads and memory are distributed over NUMA nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numa {
    /// Threads on all nodes.
    Distribute,
    /// Threads on the node where the process started.
    Isolate,
    /// As set by `numactl`.
    Numactl,
}

impl Numa {
    /// llama.cpp's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Distribute => "distribute",
            Self::Isolate => "isolate",
            Self::Numactl => "numactl",
        }
    }

    pub(super) fn raw(self) -> sys::ggml_numa_strategy {
        match self {
            Self::Distribute => sys::GGML_NUMA_STRATEGY_DISTRIBUTE,
            Self::Isolate => sys::GGML_NUMA_STRATEGY_ISOLATE,
            Self::Numactl => sys::GGML_NUMA_STRATEGY_NUMACTL,
        }
    }
}

/// The size of a context, and how it computes.
#[derive(Debug, Clone)]
pub struct ContextParams {
    /// Sequences it holds.
    pub sequences: u32,
    /// Tokens each of them can hold.
    pub context: u32,
    /// Tokens of one step.
    pub batch: u32,
    /// Tokens computed together; a step is cut into batches of this size.
    pub ubatch: u32,
    /// Threads for a step of one token.
    pub threads: u32,
    /// Threads for larger steps.
    pub threads_batch: u32,
    /// Type of the KV cache's keys.
    pub cache_k: CacheType,
    /// Type of its values.
    pub cache_v: CacheType,
    /// Flash attention.
    pub flash: Flash,
    /// Whether KV cache and states are offloaded with their layer.
    pub kv_offload: bool,
    /// Tokens of a batch from which a GPU computes products with weights in main memory, which it copies for each; `None` for
    /// never.
    pub copies_from: Option<u32>,
    /// Scaling of positions other than the model's.
    pub rope: Rope,
    /// Aborts a running step.
    pub abort: Abort,
}

/// Type of the values of a KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "ggml's own names")]
#[expect(non_camel_case_types, reason = "ggml's own names")]
pub enum CacheType {
    F32,
    #[default]
    F16,
    BF16,
    Q8_0,
    Q4_0,
    Q4_1,
    IQ4_NL,
    Q5_0,
    Q5_1,
}

impl CacheType {
    pub(super) fn raw(self) -> sys::ggml_type {
        match self {
            Self::F32 => sys::GGML_TYPE_F32,
            Self::F16 => sys::GGML_TYPE_F16,
            Self::BF16 => sys::GGML_TYPE_BF16,
            Self::Q8_0 => sys::GGML_TYPE_Q8_0,
            Self::Q4_0 => sys::GGML_TYPE_Q4_0,
            Self::Q4_1 => sys::GGML_TYPE_Q4_1,
            Self::IQ4_NL => sys::GGML_TYPE_IQ4_NL,
            Self::Q5_0 => sys::GGML_TYPE_Q5_0,
            Self::Q5_1 => sys::GGML_TYPE_Q5_1,
        }
    }
}

/// Whether flash attention is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flash {
    /// On, if every device supports it.
    #[default]
    Auto,
    /// Yes.
    On,
    /// No: slower, for comparing numbers.
    Off,
}

impl Flash {
    pub(super) fn raw(self) -> sys::llama_flash_attn_type {
        match self {
            Self::Auto => sys::LLAMA_FLASH_ATTN_TYPE_AUTO,
            Self::On => sys::LLAMA_FLASH_ATTN_TYPE_ENABLED,
            Self::Off => sys::LLAMA_FLASH_ATTN_TYPE_DISABLED,
        }
    }
}

/// The CPU backend polls this after every node of a graph, on any of its threads (`ggml_graph_compute_node`, in our patch
/// of its threads); other devices finish their graphs first.
unsafe extern "C" fn aborted(signal: *mut c_void) -> bool {
    // SAFETY: the pointer is that of an `Abort`'s shared state. The context's owner keeps a clone longer than the context,
    // the state is only read through atomics, and nothing has a mutable reference to it.
    unsafe { &*signal.cast_const().cast::<Signal>() }.is_raised()
}

/// The binding's form of context parameters, with the fields that it has no setter for. A clone of `params.abort` must
/// outlive the context created from it.
pub(super) fn context(params: &ContextParams, cells: u32, batch: u32) -> LlamaContextParams {
    // The binding's struct is a wrapper of this one field.
    const {
        assert!(size_of::<LlamaContextParams>() == size_of::<sys::llama_context_params>());
        assert!(align_of::<LlamaContextParams>() == align_of::<sys::llama_context_params>());
    }
    let threads = |n: u32| i32::try_from(n).unwrap_or(i32::MAX).max(1);
    // SAFETY: takes nothing and returns a struct of plain values.
    let mut raw = unsafe { sys::llama_context_default_params() };
    raw.n_ctx = cells;
    raw.n_batch = batch;
    raw.n_ubatch = params.ubatch.clamp(1, batch);
    raw.n_seq_max = params.sequences.max(1);
    raw.kv_unified = false;
    // A layer with a window keeps that, not the whole context; see the decoder's capabilities.
    raw.swa_full = false;
    raw.n_threads = threads(params.threads);
    raw.n_threads_batch = threads(params.threads_batch);
    raw.type_k = params.cache_k.raw();
    raw.type_v = params.cache_v.raw();
    raw.flash_attn_type = params.flash.raw();
    raw.offload_kqv = params.kv_offload;
    raw.op_offload = params.copies_from.is_some();
    params.rope.fill(&mut raw);
    raw.abort_callback = Some(aborted);
    raw.abort_callback_data = ptr::from_ref(params.abort.signal()).cast_mut().cast();
    // SAFETY: same size and alignment, see above, and the binding, pinned to one version, has only this field.
    unsafe { std::mem::transmute::<sys::llama_context_params, LlamaContextParams>(raw) }
}
