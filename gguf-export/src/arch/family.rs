//! A model family.

use std::fmt;

use super::hparams::HParams;
use super::layout::{Builder, Mtp};
use super::metadata::Keys;
use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::vocab::Family as Tokenizer;

/// A model family: the checkpoints of one architecture in transformers, and how they become one of llama.cpp.
pub struct Family {
    /// Names of published models.
    pub models: &'static str,
    /// Weights for which llama.cpp reads no `.scale`, beside the MTP layer; empty if it reads one for all.
    pub unscaled: &'static str,
    /// Other tensors whose type is another than that of the rest of the model, as a clause; empty if no tensor is.
    pub exceptions: &'static str,
    /// Architecture in llama.cpp; the prefix of its keys.
    pub gguf: &'static str,
    /// Values of `model_type` in `config.json`.
    pub model_types: &'static [&'static str],
    /// First entries of `architectures` in `config.json`.
    pub architectures: &'static [&'static str],
    /// Tensor name prefixes of parts other than the language model, which are left out if the configuration describes them.
    pub other_parts: &'static [(&'static str, OtherPart)],
    /// How its tokenizer differs from others.
    pub tokenizer: Tokenizer,
    /// Reads the hyperparameters from the section of the language model.
    pub(super) read: fn(&ModelConfig) -> Result<HParams>,
    /// Lays out the tensors.
    pub(super) layout: fn(&mut Builder<'_>),
    /// The MTP layer, if checkpoints have one.
    pub(super) mtp: Option<Mtp>,
    /// Writes the keys of a model with so many MTP layers, in the order of llama.cpp's converter.
    pub(super) keys: fn(&HParams, u64, &mut Keys),
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.gguf)
    }
}

/// A part of a model other than the language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OtherPart {
    /// The encoder of images, and what joins it to the language model.
    Vision,
    /// The encoder of sound, and what joins it to the language model.
    Audio,
}

impl OtherPart {
    /// The name, `vision`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Audio => "audio",
        }
    }

    /// The section of `config.json` that describes it.
    #[must_use]
    pub fn section(self) -> &'static str {
        match self {
            Self::Vision => "vision_config",
            Self::Audio => "audio_config",
        }
    }
}
