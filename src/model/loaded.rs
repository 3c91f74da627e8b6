//! A model in memory: loading it, and its properties.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::placed::place_measured;
use super::placement::{Machine, Placement};
use super::rates::Rates;
use super::{
    Abort, HParams, LlamaDecoder, LoadError, LoadOptions, Running, check::check_with, running, sampling,
};
use crate::engine::{DecodeError, OnEviction, SamplingError, SamplingParams, Token};
use crate::llama::{self, LlamaVocab, LoadParams, Weights};

/// A model in memory.
#[derive(Debug)]
pub struct Model {
    weights: Weights,
    pub(super) options: LoadOptions,
    placement: Placement,
}

/// The progress of loading a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loading {
    /// Bytes that were read, as far as llama.cpp reports it.
    pub done: u64,
    /// Bytes of all its files.
    pub total: u64,
}

impl Loading {
    /// The progress for llama.cpp's fraction, from 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "shown to people, and within the total"
    )]
    fn of(fraction: f32, total: u64) -> Self {
        let done = (total as f64 * f64::from(fraction.clamp(0.0, 1.0))) as u64;
        Self { done: done.min(total), total }
    }
}

impl Model {
    /// Checks, places and loads a model. `progress` is called while it is read, and cancels loading by returning false.
    ///
    /// # Errors
    ///
    /// When the file is missing, invalid or not supported by llama.cpp, or when there is not enough memory.
    pub fn load(options: LoadOptions, mut progress: impl FnMut(Loading) -> bool) -> Result<Self, LoadError> {
        let header = check_with(&options.path, &options.metadata, options.tensor_check)?;
        let (hparams, machine) = (HParams::read(&header)?, Machine::with(&options.rpc)?);
        // Measuring starts threads, and so does computing.
        let numa = || options.numa.map_or(Ok(()), |numa| llama::set_numa(numa).map_err(LoadError::from));
        let rates = &mut Rates::of_user();
        let placement = place_measured(&header, &hparams, &machine, &options, rates, numa)?;
        numa()?;
        let path = options.path.as_path();
        if path.to_str().is_none_or(|p| p.contains('\0')) {
            return Err(LoadError::Path { path: path.to_owned() });
        }
        let stopped = Arc::new(AtomicBool::new(false));
        let cancelled = Arc::clone(&stopped);
        let total = header.file_bytes;
        let progress = move |done| {
            let proceed = progress(Loading::of(done, total));
            cancelled.fetch_or(!proceed, Ordering::Relaxed);
            proceed
        };
        let params = LoadParams {
            path,
            devices: &placement.devices,
            gpu_layers: placement.gpu_layers,
            split_mode: placement.split_mode,
            main_gpu: placement.main_gpu,
            tensor_split: &placement.tensor_split,
            overrides: &placement.overrides,
            load: placement.load,
            room: placement.stream.map_or(0, |stream| stream.room),
            repack: placement.repack,
            metadata: &options.metadata,
            check_tensors: options.check_tensors,
        };
        match Weights::load(&params, progress) {
            Ok(weights) => Ok(Self { weights, options, placement }),
            Err(_) if stopped.load(Ordering::Relaxed) => Err(LoadError::Cancelled { path: path.to_owned() }),
            Err(failure) => Err(LoadError::Refused { path: path.to_owned(), log: failure.log }),
        }
    }

    /// Where its parts are placed.
    #[must_use]
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Starts an engine on its own thread. It shares the weights and may outlive this value.
    ///
    /// # Errors
    ///
    /// When there is not enough memory for the context.
    pub fn spawn(&self) -> Result<Running, LoadError> {
        running::spawn(self.weights.clone(), &self.options, &self.placement, None)
    }

    /// Starts an engine like [`spawn`](Self::spawn), with a callback on its thread before a slot's sequence is
    /// overwritten.
    ///
    /// # Errors
    ///
    /// When there is not enough memory for the context.
    pub fn spawn_with(&self, on_eviction: OnEviction) -> Result<Running, LoadError> {
        running::spawn(self.weights.clone(), &self.options, &self.placement, Some(on_eviction))
    }

    /// A context without an engine, for callers that decode step by step.
    ///
    /// # Errors
    ///
    /// When there is not enough memory for the context.
    pub fn decoder(&self, abort: Abort) -> Result<LlamaDecoder<'_>, LoadError> {
        let params = running::context_params(&self.options, &self.placement, abort);
        running::decoder(&self.weights, &params)
    }

    /// llama.cpp's description: architecture, size and type of the weights.
    #[must_use]
    pub fn description(&self) -> String {
        self.weights.description()
    }

    /// The size of the weights in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.weights.size()
    }

    /// The number of weights.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.weights.parameters()
    }

    /// The file.
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

    /// The context length that it was trained with.
    #[must_use]
    pub fn trained_context(&self) -> u32 {
        self.weights.trained_context()
    }

    /// A metadata value as text.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<String> {
        if let Some(found) = self.options.metadata.iter().find(|found| found.key == key) {
            return Some(found.value.to_string());
        }
        self.weights.metadata(key)
    }

    /// The sampling parameters that its file recommends, otherwise llama.cpp's defaults.
    #[must_use]
    pub fn sampling(&self, seed: u32) -> SamplingParams {
        sampling::recommended(|key| self.metadata(key), seed)
    }

    /// llama.cpp's default sampling parameters.
    #[must_use]
    pub fn default_sampling(seed: u32) -> SamplingParams {
        sampling::recommended(|_| None, seed)
    }

    /// Checks sampling parameters.
    ///
    /// # Errors
    ///
    /// When a value is out of range, or a grammar or a schema is invalid.
    pub fn check_sampling(&self, params: &SamplingParams) -> Result<(), SamplingError> {
        self.weights.check_sampling(params)
    }

    /// The logits after every token of some sequences, which are decoded together: `[sequence][token][vocabulary]`.
    ///
    /// # Errors
    ///
    /// When the sequences cannot be decoded.
    pub fn logits(&self, sequences: &[&[Token]]) -> Result<Vec<Vec<Vec<f32>>>, DecodeError> {
        self.weights.logits(sequences, self.options.threads)
    }
}
