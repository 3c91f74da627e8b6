//! Measures a decoder on raw tokens: how fast it reads and writes, and how well its weights predict a text. Not here:
//! sampling, templates, and anything that is printed.

mod memory;
mod quality;
mod reference;
mod speed;

pub use memory::{Peak, peak_memory};
pub use quality::{Divergence, Perplexity, QualityError, Run, measure, save};
pub use reference::{Reference, ReferenceError};
pub use speed::{Measured, Test, first_token, run, together};
