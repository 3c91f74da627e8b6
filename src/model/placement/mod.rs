//! Where weights, caches and states go, decided before anything is loaded: a header, a machine and wishes become a
//! placement with its bill. Pure; nothing here calls llama.cpp except to ask for the machine's devices.
//!
//! The rule: what every token needs (dense weights, KV cache, states) goes to the GPUs, then as many whole layers of
//! experts as fit, the last layers first; the rest stays in main memory, held once.

mod bill;
mod command;
mod error;
mod machine;
mod search;
mod speed;
#[cfg(test)]
mod tests;
mod weights;

use crate::llama::{LoadMode, Override, SplitMode};
use crate::model::{HParams, Header, LoadOptions};

pub use bill::{Bill, Line};
pub use command::load_mode_name;
pub use error::{PlaceError, TooMuch};
pub use machine::{Gpu, Machine};
pub use speed::{Bandwidth, Speed};
use weights::Home;

/// Where everything goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// The GPUs that are used, by name.
    pub devices: Vec<String>,
    /// Layers on them, counted from the last, the head as one.
    pub gpu_layers: u32,
    /// Layers from the first whose experts stay in main memory by our choice or the caller's.
    pub cpu_experts: u32,
    /// Tensors that go elsewhere than their layer: the caller's first, then those of `cpu_experts`.
    pub overrides: Vec<Override>,
    /// How layers are split between GPUs.
    pub split_mode: SplitMode,
    /// Shares of the GPUs; empty for one.
    pub tensor_split: Vec<f32>,
    /// The GPU that has everything if nothing is split.
    pub main_gpu: u32,
    /// Tokens of a sequence.
    pub context: u32,
    /// How the file is read.
    pub load: LoadMode,
    /// Whether weights for the CPU are reordered.
    pub repack: bool,
    /// What it takes.
    pub bill: Bill,
    /// What was chosen and why, in one line.
    pub reason: String,
    /// Bytes that one token reads, by device.
    pub traffic: Vec<u64>,
}

/// One way to place a model, before its bill.
#[derive(Debug, Clone, PartialEq)]
struct Choice {
    gpu_layers: u32,
    cpu_experts: u32,
    /// Shares of the GPUs, in the order of the machine; one for a single GPU.
    split: Vec<f32>,
    context: u32,
    load: LoadMode,
    repack: bool,
}

impl Choice {
    /// The device of a layer, as llama.cpp's `load_tensors` finds it: 0 is main memory.
    ///
    /// `layers` counts prediction layers, as llama.cpp does.
    #[expect(
        clippy::cast_precision_loss,
        reason = "llama.cpp divides in f32 too, and numbers of layers are small"
    )]
    fn device(&self, home: Home, layers: u32) -> usize {
        let unit = match home {
            Home::Input => return 0,
            Home::Layer(layer) => layer,
            Home::Output => layers,
        };
        let offloaded = self.gpu_layers.min(layers + 1);
        let first = layers + 1 - offloaded;
        if unit < first || self.split.is_empty() {
            return 0;
        }
        let sum: f32 = self.split.iter().sum();
        let at = (unit - first) as f32 / offloaded as f32;
        let mut before = 0.0;
        for (index, share) in self.split.iter().enumerate() {
            before += share;
            if before / sum > at {
                return index + 1;
            }
        }
        self.split.len()
    }
}

/// Decides where everything goes.
///
/// # Errors
///
/// When a device, a buffer type or an expression is wrong, or when it does not fit.
pub fn place(
    header: &Header,
    hparams: &HParams,
    machine: &Machine,
    options: &LoadOptions,
) -> Result<Placement, PlaceError> {
    search::place(header, hparams, machine, options)
}
