//! The expected speed of a placement: bytes read per token, divided by the memory bandwidth.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use super::choice::Choice;
use super::cost::Model;
use super::types::Placement;
use super::weights::{Home, Rule};

/// The assumed bandwidth of a GPU's memory, which is not measured: that of small and old GPUs.
const GPU_BANDWIDTH: f64 = 300e9;
/// The share of the bandwidth that published and own measurements reach, at worst and at best.
const REACHED: (f64, f64) = (0.3, 0.9);
/// Size of each of the two blocks that a thread reads repeatedly: larger than any cache.
const BLOCK: usize = 64 << 20;

/// The bandwidth of main memory in bytes per second, read by all threads together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bandwidth(pub f64);

impl Bandwidth {
    /// The memory that each measuring thread allocates.
    pub const BYTES_PER_THREAD: u64 = 2 * BLOCK as u64;

    /// Measures for about `time`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn measure(threads: u32, time: Duration) -> Self {
        // Comparing two equal blocks is the fastest loop of the C library that only reads.
        let reader = move || {
            let (one, other) = (vec![1u8; BLOCK], vec![1u8; BLOCK]);
            let (start, mut read) = (Instant::now(), 0usize);
            while start.elapsed() < time {
                black_box(black_box(&one) == black_box(&other));
                read += 2 * BLOCK;
            }
            read as f64 / start.elapsed().as_secs_f64()
        };
        let readers: Vec<_> =
            (0..threads.max(1)).filter_map(|_| thread::Builder::new().spawn(reader).ok()).collect();
        Self(readers.into_iter().filter_map(|reader| reader.join().ok()).sum())
    }
}

/// Tokens per second to expect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// At worst.
    pub least: f64,
    /// At best.
    pub most: f64,
}

impl Placement {
    /// The range for one sequence with a half-full context. `None` if nothing is read.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn speed(&self, ram: Bandwidth) -> Option<Speed> {
        let seconds: f64 = self
            .traffic
            .iter()
            .enumerate()
            .map(|(device, bytes)| *bytes as f64 / if device == 0 { ram.0 } else { GPU_BANDWIDTH.max(ram.0) })
            .sum();
        (seconds > 0.0).then(|| Speed { least: REACHED.0 / seconds, most: REACHED.1 / seconds })
    }
}

/// Bytes read per token, by device: all dense weights except the embedding, the experts of one token, half of one
/// sequence's KV cache, and its recurrent state.
pub(super) fn traffic(model: Model<'_>, choice: &Choice, rules: &[Rule]) -> Vec<u64> {
    let h = model.hparams;
    let (used, experts) = (u64::from(h.experts_used), u64::from(h.experts.max(1)));
    let lookup = model.weights.iter().filter(|w| w.name == "token_embd.weight" && w.home == Home::Input);
    let embedding: u64 = lookup.map(|w| w.bytes).sum();
    let sequences = u64::from(model.options.parallel.max(1));
    let mut traffic: Vec<u64> = model
        .bill(choice, rules)
        .lines
        .iter()
        .map(|line| line.dense + line.experts / experts * used + (line.kv / 2 + line.recurrent) / sequences)
        .collect();
    traffic[0] -= embedding;
    traffic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_bandwidth_is_plausible() {
        let Bandwidth(rate) = Bandwidth::measure(1, Duration::from_millis(20));
        assert!((1e8..1e13).contains(&rate), "{rate}");
    }
}
