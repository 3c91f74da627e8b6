//! Which states of sequences are saved to disk and restored, so that prompts are not read again after a restart.
//!
//! The decisions are values without clock or files: `blocks` compares sequences, `index` finds a state for a prompt,
//! `room` chooses files to remove, `rates` weighs times, `turns` and `idle` say what is saved and when. Around
//! them, `folder` does the I/O, `notes` is a queue of answers, `shared` combines them, and `worker` has the threads.

mod blocks;
mod cache;
mod counters;
mod error;
mod folder;
mod idle;
mod index;
mod name;
mod notes;
mod rates;
mod room;
mod settings;
mod shared;
#[cfg(test)]
mod tests;
mod turns;
mod worker;

pub use cache::StateCache;
pub use counters::{Counted, Counters};
pub use error::OpenError;
pub use folder::check_folder;
pub use settings::{BUDGET, Settings};
