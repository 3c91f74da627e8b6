//! llama-server's own `/completion`: its requests, its answers, its settings.

mod answer;
mod probabilities;
mod request;
mod settings;
#[cfg(test)]
mod tests;

pub use answer::{Completions, Continued, Shown};
pub use probabilities::Probabilities;
pub use request::{Completion, read};
pub use settings::generation_settings;
