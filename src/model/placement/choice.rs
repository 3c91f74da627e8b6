//! One of the ways to place a model that the search compares.

use super::weights::Home;
use crate::llama::LoadMode;

/// One way to place a model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    pub(super) gpu_layers: u32,
    pub(super) cpu_experts: u32,
    /// The share of each GPU, in the order of the machine. A single GPU has one share.
    pub(super) split: Vec<f32>,
    pub(super) context: u32,
    pub(super) batch: u32,
    pub(super) ubatch: u32,
    pub(super) load: LoadMode,
    pub(super) repack: bool,
    /// Tokens of a batch from which weights in main memory are copied to a GPU; `None` for never.
    pub(super) copies: Option<u32>,
}

impl Choice {
    /// The device of a layer, as in llama.cpp's `load_tensors`: 0 is main memory.
    ///
    /// `layers` includes MTP layers, as in llama.cpp.
    #[expect(
        clippy::cast_precision_loss,
        reason = "llama.cpp divides in f32, too, and numbers of layers are small"
    )]
    pub(super) fn device(&self, home: Home, layers: u32) -> usize {
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
