//! What a caller wishes for when a model is loaded.

use std::path::PathBuf;

use super::default_threads;

/// How many tokens a sequence can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextSize {
    /// As many as the model was trained on, but no more than this.
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

/// How a model is loaded and run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// The GGUF file, or the first of its parts.
    pub path: PathBuf,
    /// Tokens of each sequence.
    pub context: ContextSize,
    /// Requests answered at once.
    pub parallel: u32,
    /// Rows of one step: the longest a cancellation waits.
    pub batch: u32,
    /// Rows computed together.
    pub ubatch: u32,
    /// Threads that compute.
    pub threads: u32,
    /// Whether the file is mapped instead of read. llama.cpp repacks weights for the CPU and keeps the
    /// mapping too, so that they are held twice; reading holds them once.
    pub mmap: bool,
    /// Bytes of memory for states that later prompts go on from, where the model cannot do without.
    pub kept_states: u64,
}

impl LoadOptions {
    /// The defaults for a file: one request at a time, up to 8192 tokens, all physical cores.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            context: ContextSize::UpTo(8192),
            parallel: 1,
            batch: 512,
            ubatch: 512,
            threads: default_threads(),
            mmap: false,
            kept_states: 1 << 30,
        }
    }
}
