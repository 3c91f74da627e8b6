//! Loading a model and putting an engine on it. On the CPU for now: nothing is placed elsewhere.

mod check;
mod error;
mod header;
mod hparams;
mod options;
mod running;
mod sampling;
mod threads;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::{DecodeError, SamplingParams, Token};
use crate::llama::{LlamaVocab, LoadParams, Weights};

pub use check::check;
pub use error::LoadError;
pub use header::Header;
pub use hparams::{HParams, Recurrent};
pub use options::{ContextSize, LoadOptions};
pub use running::Running;
pub use threads::default_threads;

/// A model in memory.
#[derive(Debug)]
pub struct Model {
    weights: Weights,
    options: LoadOptions,
}

impl Model {
    /// Loads a model. `progress` hears how much is done, from 0 to 1, and ends the load by returning false.
    ///
    /// # Errors
    ///
    /// When the file is missing, broken, or of a kind llama.cpp does not know.
    pub fn load(
        options: LoadOptions,
        mut progress: impl FnMut(f32) -> bool + 'static,
    ) -> Result<Self, LoadError> {
        check(&options.path)?;
        let path = options.path.as_path();
        if path.to_str().is_none_or(|p| p.contains('\0')) {
            return Err(LoadError::Path { path: path.to_owned() });
        }
        let stopped = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stopped);
        let progress = move |done| {
            let go_on = progress(done);
            told.fetch_or(!go_on, Ordering::Relaxed);
            go_on
        };
        match Weights::load(&LoadParams { path, mmap: options.mmap, gpu_layers: 0 }, progress) {
            Ok(weights) => Ok(Self { weights, options }),
            Err(_) if stopped.load(Ordering::Relaxed) => Err(LoadError::Cancelled { path: path.to_owned() }),
            Err(failure) => Err(LoadError::Refused { path: path.to_owned(), log: failure.log }),
        }
    }

    /// Starts an engine on a thread of its own. It shares the weights and may outlive this value.
    ///
    /// # Errors
    ///
    /// When there is not enough memory for the context.
    pub fn spawn(&self) -> Result<Running, LoadError> {
        running::spawn(self.weights.clone(), &self.options)
    }

    /// The file it came from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.options.path
    }

    /// Its vocabulary.
    #[must_use]
    pub fn vocab(&self) -> LlamaVocab {
        self.weights.vocab()
    }

    /// Its chat template, if it has one.
    #[must_use]
    pub fn chat_template(&self) -> Option<String> {
        self.weights.chat_template()
    }

    /// The longest context it was trained on.
    #[must_use]
    pub fn trained_context(&self) -> u32 {
        self.weights.trained_context()
    }

    /// A metadata value as text.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.weights.metadata(key)
    }

    /// The sampling its file advises, the rest as llama.cpp has it.
    #[must_use]
    pub fn sampling(&self, seed: u32) -> SamplingParams {
        sampling::advised(|key| self.metadata(key), seed)
    }

    /// The logits after every token of some sequences, read together: `[sequence][token][vocabulary]`.
    ///
    /// # Errors
    ///
    /// When the sequences cannot be read.
    pub fn logits(&self, sequences: &[&[Token]]) -> Result<Vec<Vec<Vec<f32>>>, DecodeError> {
        self.weights.logits(sequences, self.options.threads)
    }
}
