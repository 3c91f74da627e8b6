//! The plan of an export: source, type and fidelity of every GGUF tensor, complete before the first byte is written.
//!
//! Combines the tensors of `arch` with the encodings of `quant`. Not here: reading weights, which only `survey` and
//! `export` do.

mod candidate;
mod draft;
mod exact;
mod left_out;
mod metadata;
mod model;
mod options;
mod tensor;
mod tied;

pub use candidate::{Candidate, Certainty, Form};
pub use left_out::{LeftOut, Reason};
pub(crate) use model::refuse;
pub use model::{Expanded, Plan};
pub use options::{OutType, PlanOptions, Source};
pub use tensor::{Content, Fidelity, Piece, TensorPlan};
pub(crate) use tied::{TiedHead, equal, pair};
