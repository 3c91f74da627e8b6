//! The expected speed of a placement: bytes read per token, divided by the measured speed of the device that reads them.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use gguf_export::ggml::GgmlType;

use super::bill::{Bill, Line};
use super::choice::Choice;
use super::cost::Model;
use super::types::{Placement, Work};
use super::weights::{Home, Rule, Weight};
use crate::llama::DeviceSpeed;
use crate::model::ContextSize;

/// Nodes of a layer in llama.cpp's graphs, about.
const NODES: u32 = 60;
/// The shares of the estimate that were measured with `ggrun bench`, at worst and at best.
const REACHED: (f64, f64) = (0.7, 1.1);
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
    /// The range for one sequence in the middle of a usual context, from the speed of each device, main memory first, and
    /// that of the disk in bytes per second, where experts are read from it. `None` if nothing is read, or a device that
    /// has work, or the disk, has no speed.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn speed(&self, devices: &[Option<DeviceSpeed>], disk: Option<f64>) -> Option<Speed> {
        let mut seconds = match (self.stream, disk) {
            (None, _) => 0.0,
            (Some(stream), Some(disk)) => stream.seconds_per_token(disk),
            (Some(_), None) => return None,
        };
        for (work, speed) in self.work.iter().zip(devices) {
            if work.bytes == 0 && work.layers == 0 {
                continue;
            }
            let DeviceSpeed { bytes_per_second, node, start } = (*speed)?;
            let overhead = start * work.starts.max(1) + node * work.layers * NODES;
            seconds += work.bytes as f64 / bytes_per_second + overhead.as_secs_f64();
        }
        (seconds > 0.0).then(|| Speed { least: REACHED.0 / seconds, most: REACHED.1 / seconds })
    }
}

/// The work of each device for one token: it reads all dense weights except the embedding, the experts of one token, half
/// of a KV cache of at most [`ContextSize::USUAL`] tokens, and the recurrent state of one sequence.
pub(super) fn work(model: Model<'_>, choice: &Choice, rules: &[Rule], bill: &Bill) -> Vec<Work> {
    let h = model.hparams;
    let (used, experts) = (u64::from(h.experts_used), u64::from(h.experts.max(1)));
    let sequences = u64::from(model.options.parallel.max(1));
    let (all, read) = (u64::from(choice.context.max(1)), u64::from(choice.context.min(ContextSize::USUAL)));
    let bytes = |line: &Line| {
        let kv = line.kv / all * read / 2;
        line.dense + line.experts / experts * used + (kv + line.recurrent) / sequences
    };
    let all_types = main_type(model, |_| true);
    let one = |(device, line): (usize, &Line)| {
        let here = |weight: &Weight| model.device(choice, rules, weight) == device;
        Work { bytes: bytes(line), layers: 0, starts: 0, ty: main_type(model, here).or(all_types) }
    };
    let mut work: Vec<Work> = bill.lines.iter().enumerate().map(one).collect();
    for lookup in model.weights.iter().filter(|weight| weight.is_lookup()) {
        work[model.device(choice, rules, lookup)].bytes -= lookup.bytes;
    }
    for head in model.weights.iter().filter(|weight| model.is_shared(choice, rules, weight)) {
        work[model.device(choice, rules, head)].bytes += head.bytes;
    }
    for layer in 0..h.layers - h.mtp_layers {
        work[choice.device(Home::Layer(layer), h.layers)].layers += 1;
    }
    for device in graphs(model, choice, rules) {
        work[device].starts += 1;
    }
    work
}

/// The devices of the graphs that a token is computed by, one after the other: a graph ends where the next weights are on
/// another device.
fn graphs(model: Model<'_>, choice: &Choice, rules: &[Rule]) -> Vec<usize> {
    let (layers, trunk) = (model.hparams.layers, model.hparams.layers - model.hparams.mtp_layers);
    let mut experts = BTreeMap::new();
    for weight in model.weights.iter().filter(|weight| weight.experts) {
        if let Home::Layer(layer) = weight.home {
            experts.entry(layer).or_insert_with(|| model.device(choice, rules, weight));
        }
    }
    let mut devices = Vec::new();
    for layer in 0..trunk {
        let own = choice.device(Home::Layer(layer), layers);
        devices.extend([own, experts.get(&layer).copied().unwrap_or(own), own]);
    }
    devices.push(model.head_device(choice, rules));
    devices.dedup();
    devices
}

/// The type of most of the bytes that are read for one token from some weights.
pub(super) fn main_type(model: Model<'_>, which: impl Fn(&Weight) -> bool) -> Option<GgmlType> {
    let mut bytes: BTreeMap<u32, (u64, GgmlType)> = BTreeMap::new();
    for weight in model.weights.iter().filter(|weight| weight.home != Home::Input && which(weight)) {
        bytes.entry(weight.ty.id()).or_insert((0, weight.ty)).0 += weight.bytes_per_token(model.hparams);
    }
    bytes.into_values().max_by_key(|(bytes, _)| *bytes).map(|(_, ty)| ty)
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
