//! What a load and a context are asked for, in llama.cpp's terms and enums of our own. Not here: what to ask for.
#![expect(unsafe_code, reason = "calls C functions that the binding keeps to itself")]

use std::ffi::c_void;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_sys_2 as sys;

use super::metadata::MetadataOverride;
use super::rope::Rope;

/// How a file becomes weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadParams<'a> {
    /// The file, or the first of its parts.
    pub path: &'a Path,
    /// Devices beside the CPU by name, in the order in which layers go to them.
    pub devices: &'a [String],
    /// Layers that go to these, counted from the last; the head is one.
    pub gpu_layers: u32,
    /// How layers are split between several devices.
    pub split_mode: SplitMode,
    /// The device that has everything if nothing is split.
    pub main_gpu: u32,
    /// Shares of the devices; empty is by free memory.
    pub tensor_split: &'a [f32],
    /// Expressions over tensor names and the buffer type they go to; the first that matches counts.
    pub overrides: &'a [Override],
    /// How the file is read.
    pub load: LoadMode,
    /// Whether weights for the CPU are reordered for speed.
    pub repack: bool,
    /// Values that count instead of those of the file.
    pub metadata: &'a [MetadataOverride],
    /// Refuse tensors whose data has values that are not numbers.
    pub check_tensors: bool,
}

/// Tensors that go elsewhere than their layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// An ECMAScript expression, searched for in the tensor's name.
    pub pattern: String,
    /// Name of a buffer type, `CPU`.
    pub buffer: String,
}

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadMode {
    /// Mapped, unless a device does not support it.
    Auto,
    /// Read into memory of the process.
    #[default]
    Read,
    /// Mapped.
    Map,
    /// Read, and kept from being swapped out.
    Lock,
    /// Mapped, and kept from being swapped out.
    MapLock,
    /// Read past the page cache.
    Direct,
}

impl LoadMode {
    /// Whether weights of the CPU stay in the mapped file.
    #[must_use]
    pub fn maps(self) -> bool {
        matches!(self, Self::Auto | Self::Map | Self::MapLock)
    }

    pub(super) fn raw(self) -> sys::llama_load_mode {
        match self {
            Self::Auto => sys::LLAMA_LOAD_MODE_AUTO,
            Self::Read => sys::LLAMA_LOAD_MODE_NONE,
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
    /// One device has everything.
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

/// How memory is shared out on a machine with several nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numa {
    /// Threads on all nodes.
    Distribute,
    /// Threads on the node where the process began.
    Isolate,
    /// As the `numactl` program says.
    Numactl,
}

impl Numa {
    pub(super) fn raw(self) -> sys::ggml_numa_strategy {
        match self {
            Self::Distribute => sys::GGML_NUMA_STRATEGY_DISTRIBUTE,
            Self::Isolate => sys::GGML_NUMA_STRATEGY_ISOLATE,
            Self::Numactl => sys::GGML_NUMA_STRATEGY_NUMACTL,
        }
    }
}

/// The size of a context and how it computes.
#[derive(Debug, Clone)]
pub struct ContextParams {
    /// Sequences at once.
    pub sequences: u32,
    /// Tokens each of them can hold.
    pub context: u32,
    /// Rows of one step.
    pub batch: u32,
    /// Rows computed together; a step is cut into these.
    pub ubatch: u32,
    /// Threads that compute one row.
    pub threads: u32,
    /// Threads that compute many.
    pub threads_batch: u32,
    /// Type of the KV cache's keys.
    pub cache_k: CacheType,
    /// Type of its values.
    pub cache_v: CacheType,
    /// Attention in one fused operation.
    pub flash: Flash,
    /// Whether KV cache and state are where their layer is, instead of in main memory.
    pub kv_offload: bool,
    /// Positions scaled in another way than the model says.
    pub rope: Rope,
    /// Ends a step that is being computed.
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

/// Whether attention is one fused operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flash {
    /// Where every device can.
    #[default]
    Auto,
    /// Yes.
    On,
    /// No: for comparing numbers, and slower.
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

/// Ends a step while it is being computed, from any thread. Clones are the same.
///
/// The step then fails. llama.cpp looks at it between the operations of the CPU; other devices end theirs first.
#[derive(Debug, Clone, Default)]
pub struct Abort(Arc<AtomicBool>);

impl Abort {
    /// Ends the step at work and every later one, until it is lowered.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The one that a flag raises and lowers.
    #[must_use]
    pub fn of(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }

    /// Lets steps go on again.
    pub fn lower(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether steps end.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn pointer(&self) -> *mut c_void {
        Arc::as_ptr(&self.0).cast_mut().cast()
    }
}

/// llama.cpp asks this between operations.
unsafe extern "C" fn aborted(flag: *mut c_void) -> bool {
    // SAFETY: the pointer is that of an `Abort` which the context's owner keeps as long as the context.
    unsafe { &*flag.cast_const().cast::<AtomicBool>() }.load(Ordering::Relaxed)
}

/// The binding's form of context parameters, with the fields that it has no setter for. `params.abort` must outlive the
/// context that is made of it.
pub(super) fn context(params: &ContextParams, cells: u32, batch: u32) -> LlamaContextParams {
    // The binding's struct has this one field, so that being of one size they are the same bytes.
    const {
        assert!(size_of::<LlamaContextParams>() == size_of::<sys::llama_context_params>());
        assert!(align_of::<LlamaContextParams>() == align_of::<sys::llama_context_params>());
    }
    let threads = |n: u32| i32::try_from(n).unwrap_or(i32::MAX).max(1);
    // SAFETY: takes nothing and returns plain values.
    let mut raw = unsafe { sys::llama_context_default_params() };
    raw.n_ctx = cells;
    raw.n_batch = batch;
    raw.n_ubatch = params.ubatch.clamp(1, batch);
    raw.n_seq_max = params.sequences.max(1);
    raw.kv_unified = false;
    raw.n_threads = threads(params.threads);
    raw.n_threads_batch = threads(params.threads_batch);
    raw.type_k = params.cache_k.raw();
    raw.type_v = params.cache_v.raw();
    raw.flash_attn_type = params.flash.raw();
    raw.offload_kqv = params.kv_offload;
    params.rope.fill(&mut raw);
    raw.abort_callback = Some(aborted);
    raw.abort_callback_data = params.abort.pointer();
    // SAFETY: see the assertions above; the crate is pinned to one version.
    unsafe { std::mem::transmute::<sys::llama_context_params, LlamaContextParams>(raw) }
}
