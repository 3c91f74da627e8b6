//! Benchmarks of a decoder on raw tokens: the speed of prefill and generation, and the perplexity of a text. Not here:
//! sampling, templates and printing.

mod memory;
mod quality;
mod reference;
mod speed;

pub use memory::{Peak, peak_memory};
pub use quality::{Divergence, Perplexity, QualityError, Run, measure, save};
pub use reference::{Reference, ReferenceError};
pub use speed::{Measured, Test, first_token, run, together};
