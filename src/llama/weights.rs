//! A model in memory, and what its metadata says.

use std::path::Path;
use std::sync::Arc;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;

use super::{CacheType, ContextParams, LlamaDecoder, LlamaVocab, backend, log};
use crate::engine::{DecodeError, Pos, Row, SeqId, Token};

/// How a file becomes weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadParams<'a> {
    /// The file, or the first of its parts.
    pub path: &'a Path,
    /// Whether the file is mapped. Weights that are repacked for the CPU are then held twice.
    pub mmap: bool,
    /// Layers that go to a GPU.
    pub gpu_layers: u32,
}

/// llama.cpp could not; the lines it logged are all there is to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadFailure {
    /// Its last warnings and errors, oldest first.
    pub log: Vec<String>,
}

/// A loaded model; clones share it.
#[derive(Debug, Clone)]
pub struct Weights {
    model: Arc<LlamaModel>,
}

impl Weights {
    /// Loads a model. `progress` hears how much is done, from 0 to 1, and ends the load by returning false.
    ///
    /// # Errors
    ///
    /// When llama.cpp cannot, with what it logged.
    pub fn load(
        params: &LoadParams<'_>,
        progress: impl FnMut(f32) -> bool + 'static,
    ) -> Result<Self, LoadFailure> {
        let wanted = LlamaModelParams::default()
            .with_use_mmap(params.mmap)
            .with_n_gpu_layers(params.gpu_layers)
            .with_progress_callback(progress);
        let (loaded, mut log) =
            log::capture(|| LlamaModel::load_from_file(backend::backend(), params.path, &wanted));
        match loaded {
            Ok(model) => Ok(Self { model: Arc::new(model) }),
            Err(error) => {
                if log.is_empty() {
                    log.push(error.to_string());
                }
                Err(LoadFailure { log })
            }
        }
    }

    pub(super) fn model(&self) -> &LlamaModel {
        &self.model
    }

    /// Its vocabulary.
    #[must_use]
    pub fn vocab(&self) -> LlamaVocab {
        LlamaVocab::new(Arc::clone(&self.model))
    }

    /// Its chat template, if it has one.
    #[must_use]
    pub fn chat_template(&self) -> Option<String> {
        self.model.chat_template(None).ok()?.to_string().ok()
    }

    /// The longest context it was trained on.
    #[must_use]
    pub fn trained_context(&self) -> u32 {
        self.model.n_ctx_train()
    }

    /// A metadata value as text.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<String> {
        self.model.meta_val_str(key).ok()
    }

    /// The logits after every token of some sequences, which are read together: `[sequence][token][vocabulary]`.
    /// The KV cache is F32, so that what is compared is the weights.
    ///
    /// # Errors
    ///
    /// When the sequences cannot be read.
    pub fn logits(&self, sequences: &[&[Token]], threads: u32) -> Result<Vec<Vec<Vec<f32>>>, DecodeError> {
        let rows = rows(sequences);
        let longest = sequences.iter().map(|s| s.len()).max().unwrap_or(0);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (context, sequences) = (count(longest), count(sequences.len()));
        let cache = CacheType::F32;
        let params = ContextParams { sequences, context, batch: 512, ubatch: 512, threads, cache };
        let mut decoder = LlamaDecoder::new(self, &params)
            .map_err(|_| DecodeError::Contract { what: "no context of this size can be made" })?;
        let mut logits = vec![Vec::new(); sequences as usize];
        for chunk in rows.chunks(crate::engine::Decoder::caps(&decoder).batch as usize) {
            decoder.read(chunk)?;
            for (index, row) in chunk.iter().enumerate() {
                logits[row.seq.0 as usize].push(decoder.logits(index).to_vec());
            }
        }
        Ok(logits)
    }
}

/// All tokens of all sequences, position by position.
fn rows(sequences: &[&[Token]]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (seq, tokens) in (0u32..).zip(sequences) {
        let placed = (0u32..).zip(tokens.iter());
        rows.extend(placed.map(|(pos, &token)| Row { seq: SeqId(seq), pos: Pos(pos), token, sample: true }));
    }
    rows.sort_by_key(|row| row.pos);
    rows
}
