//! Loading a model, placing it on what the machine has, and putting an engine on it.

mod check;
mod error;
mod header;
mod hparams;
mod identity;
mod options;
mod placement;
mod running;
mod sampling;
pub mod system;
mod threads;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::{DecodeError, SamplingError, SamplingParams, Token};
use crate::llama::{self, LlamaVocab, LoadParams, Weights};

pub use crate::llama::{
    Abort, CacheType, Device, DeviceKind, EngineCaps, Flash, LONGEST_OVERRIDE, LlamaDecoder, LoadMode,
    MetadataOverride, MetadataValue, Numa, Override, Rope, RopeScaling, SplitMode, caps, check_rules, check_values, devices, rpc,
};
pub use check::{check, check_with};
pub use error::LoadError;
pub use header::Header;
pub use hparams::{HParams, Recurrent};
pub use identity::weights_digest;
pub use options::{ContextSize, GpuLayers, LoadOptions};
pub use placement::{
    Bandwidth, Bill, Gpu, Line, Machine, PlaceError, Placement, Speed, TooMuch, load_mode_name, place,
};
pub use running::Running;
pub use threads::default_threads;

/// A model in memory.
#[derive(Debug)]
pub struct Model {
    weights: Weights,
    options: LoadOptions,
    placement: Placement,
}

impl Model {
    /// Checks, places and loads a model. `progress` hears how much is done, from 0 to 1, and ends the load by
    /// returning false.
    ///
    /// # Errors
    ///
    /// When the file is missing, broken, of a kind llama.cpp does not know, or does not fit into the memory there is.
    pub fn load(options: LoadOptions, mut progress: impl FnMut(f32) -> bool) -> Result<Self, LoadError> {
        let header = check_with(&options.path, &options.metadata)?;
        let placement = place(&header, &HParams::read(&header)?, &Machine::with(&options.rpc)?, &options)?;
        if let Some(numa) = options.numa {
            llama::share_out(numa);
        }
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
        let params = LoadParams {
            path,
            devices: &placement.devices,
            gpu_layers: placement.gpu_layers,
            split_mode: placement.split_mode,
            main_gpu: placement.main_gpu,
            tensor_split: &placement.tensor_split,
            overrides: &placement.overrides,
            load: placement.load,
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

    /// Where its parts are.
    #[must_use]
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Starts an engine on a thread of its own. It shares the weights and may outlive this value.
    ///
    /// # Errors
    ///
    /// When there is not enough memory for the context.
    pub fn spawn(&self) -> Result<Running, LoadError> {
        running::spawn(self.weights.clone(), &self.options, self.placement.context)
    }

    /// A context for whoever drives it step by step, with no engine around it.
    ///
    /// # Errors
    ///
    /// When there is not enough memory for the context.
    pub fn decoder(&self, abort: Abort) -> Result<LlamaDecoder<'_>, LoadError> {
        let params = running::context_params(&self.options, self.placement.context, abort);
        running::decoder(&self.weights, &params)
    }

    /// What llama.cpp calls it: architecture, size and type of its weights.
    #[must_use]
    pub fn description(&self) -> String {
        self.weights.description()
    }

    /// Bytes of its weights.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.weights.size()
    }

    /// The number of its weights.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.weights.parameters()
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
        // The last one counts, as in the file's own reader.
        if let Some(found) = self.options.metadata.iter().rev().find(|found| found.key == key) {
            return Some(found.value.to_string());
        }
        self.weights.metadata(key)
    }

    /// The sampling its file advises, the rest as llama.cpp has it.
    #[must_use]
    pub fn sampling(&self, seed: u32) -> SamplingParams {
        sampling::advised(|key| self.metadata(key), seed)
    }

    /// Whether tokens can be chosen so.
    ///
    /// # Errors
    ///
    /// When a value is out of range, or a grammar or a schema is none.
    pub fn check_sampling(&self, params: &SamplingParams) -> Result<(), SamplingError> {
        self.weights.check_sampling(params)
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
