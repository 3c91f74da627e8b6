//! A note about an option of a placement.

use std::fmt;

use gguf_export::size;

/// An option without effect, or with one that is hardly intended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// An override of tensors matches none, or only those that an earlier one matches.
    Unmatched {
        /// The pattern.
        pattern: String,
        /// Whether an earlier override matches first.
        shadowed: bool,
    },
    /// An option for GPUs, and no GPU is in use.
    NoGpu {
        /// The option, as typed.
        option: &'static str,
    },
    /// An option for several GPUs, and there is one in use.
    OneGpu {
        /// The option, as typed.
        option: &'static str,
    },
    /// An option for experts, and the model has none.
    NoExperts {
        /// The option, as typed.
        option: &'static str,
    },
    /// An option for copies of weights, and none is made.
    NoCopies {
        /// The reason.
        reason: &'static str,
    },
    /// A GPU cannot compute with weights that it would hold.
    Refused {
        /// The GPU.
        gpu: String,
        /// The number of tensors.
        tensors: usize,
        /// Their size in bytes.
        bytes: u64,
        /// The name of the largest.
        largest: String,
        /// Its type.
        ty: &'static str,
        /// Whether an override places them there all the same.
        is_override: bool,
    },
    /// A context that is longer than the one that the model was trained with.
    LongContext {
        /// Tokens of a sequence.
        context: u32,
        /// The context of the training.
        trained: u32,
    },
    /// More threads than processors.
    Threads {
        /// The option, as typed.
        option: &'static str,
        /// The number of threads.
        threads: u32,
        /// The number of processors that the process may use.
        processors: u32,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmatched { pattern, shadowed: false } => {
                write!(f, "`-ot {pattern}=…` matches no tensor of the model")
            }
            Self::Unmatched { pattern, shadowed: true } => {
                write!(f, "`-ot {pattern}=…` has no effect: earlier patterns match its tensors first")
            }
            Self::NoGpu { option } => write!(f, "`{option}` has no effect: no GPU is in use"),
            Self::OneGpu { option } => write!(f, "`{option}` has no effect: only one GPU is in use"),
            Self::NoExperts { option } => write!(f, "`{option}` has no effect: the model has no experts"),
            Self::NoCopies { reason } => write!(f, "`--op-offload` has no effect: {reason}"),
            Self::Refused { gpu, tensors, bytes, largest, ty, is_override } => {
                let bytes = size(*bytes);
                let what = match tensors {
                    1 => format!("`{largest}` ({ty}, {bytes})"),
                    _ => format!("{tensors} tensors ({bytes}), such as `{largest}` ({ty})"),
                };
                let then = if *is_override {
                    "copied to main memory for every batch, which is slow"
                } else {
                    "left in main memory"
                };
                write!(f, "{gpu} cannot compute with {what}: {then}")
            }
            Self::LongContext { context, trained } => write!(
                f,
                "a context of {context} tokens is longer than the {trained} that the model was trained with; \
                 answers may degrade"
            ),
            Self::Threads { option, threads, processors } => write!(
                f,
                "`{option} {threads}` is more than the {processors} processors that this process may use; \
                 more threads than processors are slower"
            ),
        }
    }
}
