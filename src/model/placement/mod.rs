//! Decides where weights, caches and states are placed before anything is loaded: turns a header, a machine and options
//! into a placement and the memory that it needs. Pure: llama.cpp is called only to list the machine's devices and to ask
//! which matrices they multiply by.
//!
//! The rule: everything that each token needs (dense weights, KV cache, recurrent states) is offloaded to GPUs first,
//! then the experts of as many whole layers as fit, from the last layer down. The rest stays in main memory, in one
//! copy: in the mapped file if the CPU has kernels for its layout, otherwise repacked.

mod batch;
mod bill;
mod buffer;
mod choice;
mod command;
mod cost;
mod disk;
mod error;
mod layout;
mod machine;
mod note;
mod notes;
mod pattern;
mod place;
mod prefill;
mod reason;
mod remedies;
mod search;
mod speed;
mod stream;
#[cfg(test)]
mod tests;
mod types;
mod weights;

pub use batch::{BatchRates, PerByte};
pub use bill::{Bill, Line};
pub use command::load_mode_name;
pub use disk::DiskSpeed;
pub use error::{OutOfMemory, PlaceError};
pub use machine::{Gpu, Machine};
pub use note::Note;
pub use place::place;
pub use prefill::{Prefill, PrefillReason};
pub use speed::{Bandwidth, Speed};
pub use stream::Stream;
pub use types::{Placement, Work};
