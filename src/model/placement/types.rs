//! The decision about where a model is placed.

use gguf_export::ggml::GgmlType;

use super::bill::Bill;
use super::note::Note;
use super::prefill::Prefill;
use super::stream::Stream;
use crate::llama::{LoadMode, Override, SplitMode};

/// The placement of weights, caches and states.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// The names of the GPUs in use.
    pub devices: Vec<String>,
    /// The number of offloaded layers, counted from the last; the head counts as one.
    pub gpu_layers: u32,
    /// The number of layers, counted from the first, whose experts stay in main memory.
    pub cpu_experts: u32,
    /// Tensors that are placed apart from their layer: the caller's overrides, then those of `cpu_experts`.
    pub overrides: Vec<Override>,
    /// How layers are split between GPUs.
    pub split_mode: SplitMode,
    /// The share of each GPU; empty for a single GPU.
    pub tensor_split: Vec<f32>,
    /// The GPU to use if nothing is split.
    pub main_gpu: u32,
    /// Tokens per sequence.
    pub context: u32,
    /// Tokens of a batch.
    pub batch: u32,
    /// Tokens of a micro-batch.
    pub ubatch: u32,
    /// How the file is read.
    pub load: LoadMode,
    /// Whether weights are repacked for the CPU.
    pub repack: bool,
    /// How prefill computes with weights in main memory, if there is a choice.
    pub prefill: Option<Prefill>,
    /// The experts that are read from disk as they are chosen, if any.
    pub stream: Option<Stream>,
    /// The memory that is needed.
    pub bill: Bill,
    /// The choice and its reason, on one line.
    pub reason: String,
    /// Options without effect, or with one that is hardly intended.
    pub notes: Vec<Note>,
    /// The work for one token, by device, main memory first.
    pub work: Vec<Work>,
    /// Of the types on the CPU that are computed either in the layout of the file or repacked, the one of most of these bytes.
    pub either_type: Option<GgmlType>,
}

/// The work of a device for one token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Bytes that it reads.
    pub bytes: u64,
    /// Layers that it computes.
    pub layers: u32,
    /// Graphs that it computes, one after the other.
    pub starts: u32,
    /// The type of most of the bytes that it reads.
    pub ty: Option<GgmlType>,
}
