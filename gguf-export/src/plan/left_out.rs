//! Tensors of the checkpoint that the GGUF leaves out, each with the reason.

use std::path::PathBuf;

use crate::TensorRef;
use crate::arch::OtherPart;
use crate::error::size;

/// A tensor of the checkpoint that no tensor of the GGUF is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The tensor.
    pub at: TensorRef,
    /// Its size in bytes.
    pub bytes: u64,
    /// Why it is left out.
    pub reason: Reason,
}

/// Why a tensor is left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// It belongs to an MTP layer that lacks other tensors.
    IncompleteMtp,
    /// It belongs to an MTP layer of an architecture for which llama.cpp has none.
    UnusedMtp,
    /// It is a tied head, equal to the token embedding, which llama.cpp uses in its place.
    TiedHead,
    /// It belongs to a part other than the language model.
    OtherPart {
        /// The part.
        part: OtherPart,
    },
    /// Another file holds the tensor of this name that counts.
    Superseded {
        /// The other file.
        by: PathBuf,
    },
    /// It scales a quantized KV cache.
    CacheScale,
    /// It scales quantized activations.
    ActivationScale,
    /// It holds frequencies that follow from the configuration.
    Frequencies,
}

/// Suffixes of scales of a KV cache.
const CACHE: [&str; 3] = [".k_scale", ".v_scale", ".q_scale"];
/// Suffixes of scales of activations.
const ACTIVATIONS: [&str; 6] = [
    ".activation_scale",
    ".input_scale",
    ".input_global_scale",
    ".act_scales",
    ".w_bf16_to_fp8_scale",
    ".output_scale",
];

impl Reason {
    /// The reason for which a tensor of any model may be left out, by its name; `None` if it has to be used.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
        match name {
            _ if ends(&CACHE) => Some(Self::CacheScale),
            _ if ends(&ACTIVATIONS) => Some(Self::ActivationScale),
            _ if name.ends_with("rotary_emb.inv_freq") => Some(Self::Frequencies),
            _ => None,
        }
    }

    /// The reason as a clause after the names of the tensors.
    #[must_use]
    pub fn clause(&self) -> String {
        match self {
            Self::IncompleteMtp => "the MTP layer is incomplete".to_owned(),
            Self::UnusedMtp => "llama.cpp's converter leaves out the MTP layers of this model".to_owned(),
            Self::TiedHead => "equal to the token embedding, to which the head is tied".to_owned(),
            Self::OtherPart { part } => format!("the {} part of the model", part.name()),
            Self::Superseded { by } => format!("superseded by `{}`", by.display()),
            Self::CacheScale => "scales of a quantized KV cache, which llama.cpp does not use".to_owned(),
            Self::ActivationScale => {
                "scales of quantized activations, which llama.cpp does not use".to_owned()
            }
            Self::Frequencies => "llama.cpp computes the frequencies from the configuration".to_owned(),
        }
    }

    /// Returns true if the GGUF lists the tensors in [`crate::gguf::keys::LEFT_OUT`], because nothing else in the GGUF or
    /// the checkpoint shows that they are unused.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        matches!(self, Self::IncompleteMtp | Self::UnusedMtp)
    }
}

/// One sentence for each reason, with the number of tensors and the name of the first.
pub(super) fn notes(list: &[LeftOut]) -> Vec<String> {
    let mut groups: Vec<(&Reason, Vec<&LeftOut>)> = Vec::new();
    for item in list {
        match groups.iter_mut().find(|(reason, _)| **reason == item.reason) {
            Some((_, group)) => group.push(item),
            None => groups.push((&item.reason, vec![item])),
        }
    }
    groups.sort_by_key(|(reason, _)| *reason);
    let note = |(reason, group): (&Reason, Vec<&LeftOut>)| {
        let first = &group[0].at;
        if let Reason::OtherPart { .. } = reason {
            let bytes: u64 = group.iter().map(|item| item.bytes).sum();
            let (tensors, bytes) = (group.len(), size(bytes));
            return format!("left out {}: {tensors} tensors, {bytes} in total", reason.clause());
        }
        match group.len() {
            1 => format!("left out {first}: {}", reason.clause()),
            n => format!("left out {n} tensors, `{}` and others: {}", first.tensor, reason.clause()),
        }
    };
    groups.into_iter().map(note).collect()
}
