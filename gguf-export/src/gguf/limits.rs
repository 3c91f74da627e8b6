//! Limits of hyperparameters, for conversion and loading alike.
//!
//! Source: `llama-hparams.h` and the operators of llama.cpp b11434.

/// The largest number of layers.
pub const LAYERS: u64 = 512;
/// The largest number of experts.
pub const EXPERTS: u64 = 1024;
/// No model is wider than this.
pub const WIDTH: u64 = 1 << 20;
/// No vocabulary is larger than this.
pub const VOCAB: u64 = 1 << 24;
/// Positions are signed 32-bit numbers.
pub const CONTEXT: u64 = (1 << 31) - 1;
