//! How fast a placement may answer: bytes that one token reads, over what the memories give.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use super::bill::Model;
use super::weights::Rule;
use super::{Choice, Placement};

/// A GPU's memory where nobody measured it: that of small and old ones.
const GPU_BANDWIDTH: f64 = 300e9;
/// Published and own runs reach this part of what the memory gives, at worst and at best.
const REACHED: (f64, f64) = (0.3, 0.9);
/// Bytes of each of the two blocks that a thread reads over and over: more than any cache.
const BLOCK: usize = 64 << 20;

/// Bytes per second that all threads together read from main memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bandwidth(pub f64);

impl Bandwidth {
    /// What each thread that measures takes of the memory meanwhile.
    pub const BYTES_OF_A_THREAD: u64 = 2 * BLOCK as u64;

    /// Measures for about `time`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn measure(threads: u32, time: Duration) -> Self {
        // Comparing two equal blocks is the C library's fastest loop that only reads.
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
    /// The band for one sequence with a half-full context. `None` if nothing is read.
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

/// Bytes that one token reads, by device: all dense weights but the embedding, the experts it goes to, half of one
/// sequence's cache and its state.
pub(super) fn traffic(model: Model<'_>, choice: &Choice, rules: &[Rule]) -> Vec<u64> {
    let h = model.hparams;
    let (used, experts) = (u64::from(h.experts_used), u64::from(h.experts.max(1)));
    let lookup =
        model.weights.iter().filter(|w| w.name == "token_embd.weight" && w.home == super::Home::Input);
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
    fn memory_gives_something() {
        let Bandwidth(rate) = Bandwidth::measure(1, Duration::from_millis(20));
        assert!((1e8..1e13).contains(&rate), "{rate}");
    }
}
