//! Computes the memory that a placement needs. The arithmetic is that of llama.cpp b11434; compute buffers are estimated.

use gguf_export::ggml::GgmlType;

use super::Machine;
use super::bill::{Bill, Line};
use super::buffer::work_buffer;
use super::choice::Choice;
use super::weights::{Home, Rule, Weight, largest_layer};
use crate::llama::{CacheType, Flash, LoadMode};
use crate::model::{HParams, LoadOptions};

/// llama.cpp rounds the length of a KV cache up to a multiple of this.
const CELLS: u64 = 256;
/// Memory of the program, its threads and system libraries.
const PROGRAM: u64 = 24 << 20;
/// Memory for one token of the vocabulary: its text, merges and tables.
const TOKEN: u64 = 350;

/// Vectors as long as an embedding that are kept beside the logits of a token: inputs of the graph and of the head.
/// Measured: at most 5.
const HEAD_INPUTS: u64 = 6;

/// Architectures whose head llama.cpp creates before the embedding, so that a tied head becomes a second copy.
const HEAD_FIRST: [&str; 2] = ["gemma3n", "gemma4"];

/// The values that all choices for one model share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model<'a> {
    pub(super) weights: &'a [Weight],
    pub(super) hparams: &'a HParams,
    pub(super) machine: &'a Machine,
    pub(super) options: &'a LoadOptions,
}

impl Model<'_> {
    /// Whether any placement is accepted.
    pub(super) fn is_unlimited(&self) -> bool {
        let LoadOptions { fit, cpu_memory, gpu_memory, .. } = self.options;
        !fit && cpu_memory.is_none() && gpu_memory.is_none()
    }

    /// The memory that a choice needs. `rules` are the caller's overrides and those of the choice, in order.
    pub(super) fn bill(&self, choice: &Choice, rules: &[Rule]) -> Bill {
        let mut lines = self.empty_lines();
        let repacks = choice.repack && self.machine.can_repack();
        for weight in self.weights {
            if self.is_shared(choice, rules, weight) {
                continue;
            }
            let device = self.device(choice, rules, weight);
            let line = &mut lines[device];
            if weight.experts {
                line.experts += weight.bytes;
            } else {
                line.dense += weight.bytes;
            }
            let streams = choice.load == LoadMode::Stream && weight.is_streamed();
            let is_mapped = choice.load.maps() || streams || weight.is_lazy();
            if device == 0 && is_mapped {
                line.mapped += weight.bytes;
                if repacks && weight.repackable {
                    line.second_copy += weight.bytes;
                }
            }
        }
        lines[0].pages = self.options.load.is_some_and(LoadMode::maps);
        if choice.load == LoadMode::Stream {
            lines[0].pages = true;
            lines[0].window = largest_layer(self.weights, |weight| self.device(choice, rules, weight) == 0);
        }
        for layer in 0..self.hparams.layers - self.hparams.mtp_layers {
            let home = Home::Layer(layer);
            let device = if self.options.kv_offload { choice.device(home, self.hparams.layers) } else { 0 };
            let (kv, recurrent) = self.memory(layer, choice);
            let line = &mut lines[device];
            line.kv = line.kv.saturating_add(kv);
            line.recurrent = line.recurrent.saturating_add(recurrent);
        }
        lines[0].state_cache = self.options.state_cache;
        lines[0].program = PROGRAM + self.hparams.vocab * TOKEN;
        self.compute(choice, rules, &mut lines);
        Bill { lines }
    }

    /// Whether a head is the embedding and takes no memory of its own: on the same device, and not repacked there.
    pub(super) fn is_shared(&self, choice: &Choice, rules: &[Rule], weight: &Weight) -> bool {
        if !weight.is_tied() {
            return false;
        }
        let device = self.device(choice, rules, weight);
        let embedding = Weight { home: Home::Input, ..weight.clone() };
        let repacks = device == 0 && choice.repack && self.machine.can_repack() && weight.repackable;
        let is_once =
            !HEAD_FIRST.contains(&self.hparams.architecture.as_str()) || device == 0 && choice.load.maps();
        is_once && !repacks && device == self.device(choice, rules, &embedding)
    }

    /// The device of a tensor: the wanted one, or main memory if that cannot compute with it and no override insists.
    pub(super) fn device(&self, choice: &Choice, rules: &[Rule], weight: &Weight) -> usize {
        let (device, is_override) = self.wanted(choice, rules, weight);
        if !is_override && weight.refused_by.contains(&device) { 0 } else { device }
    }

    /// The device of the first rule that matches a tensor's name, or that of its layer, and whether it is a rule's.
    pub(super) fn wanted(&self, choice: &Choice, rules: &[Rule], weight: &Weight) -> (usize, bool) {
        match rules.iter().find(|rule| rule.matches(&weight.name)) {
            Some(rule) => (rule.device, true),
            None => (choice.device(weight.home, self.hparams.layers), false),
        }
    }

    /// The device that computes logits.
    pub(super) fn head_device(&self, choice: &Choice, rules: &[Rule]) -> usize {
        let head = self.weights.iter().rev().find(|weight| weight.is_head());
        head.map_or_else(
            || choice.device(Home::Output, self.hparams.layers),
            |head| self.device(choice, rules, head),
        )
    }

    /// KV cache and recurrent state of a layer, for all sequences.
    pub(super) fn memory(&self, layer: u32, choice: &Choice) -> (u64, u64) {
        let h = self.hparams;
        let sequences = u64::from(self.options.parallel.max(1));
        if h.recurrent_layers[layer as usize] {
            let values = h.recurrent.map_or(0, |r| r.values());
            return (0, values.saturating_mul(4 * sequences));
        }
        if !h.has_kv(layer) {
            return (0, 0);
        }
        let row = |ty: CacheType, values: u64| {
            let ty = ggml(ty);
            values.div_ceil(ty.block_len()) * ty.block_bytes()
        };
        let (keys, values) = h.kv_widths(layer);
        let values = match (h.mla, self.options.flash) {
            // The values are a part of the keys.
            (Some(_), _) => 0,
            // Transposed values have the same width in all layers.
            (None, Flash::Off) => (0..h.layers).map(|other| h.kv_widths(other).1).max().unwrap_or(0),
            (None, Flash::Auto | Flash::On) => values,
        };
        let row = row(self.options.cache_k, keys) + row(self.options.cache_v, values);
        (self.cells(layer, choice).saturating_mul(sequences).saturating_mul(row), 0)
    }

    /// Cells of a sequence in a layer's cache: one with a window keeps that and a batch.
    fn cells(&self, layer: u32, choice: &Choice) -> u64 {
        let all = padded(choice.context.max(1));
        let Some(sliding) = self.hparams.window(layer) else { return all };
        let sequences = u64::from(self.options.parallel.max(1));
        let batch = u64::from(choice.ubatch.min(choice.batch).max(1)).min(all * sequences);
        (u64::from(sliding.window) + batch).min(all).next_multiple_of(CELLS)
    }

    /// The weights that the CPU computes with.
    pub(super) fn on_cpu(&self, choice: &Choice, rules: &[Rule]) -> impl Iterator<Item = &Weight> {
        let computes =
            |weight: &&Weight| weight.home != Home::Input && self.device(choice, rules, weight) == 0;
        self.weights.iter().filter(computes)
    }

    /// The weights of the CPU that can be copied to a GPU: those that the GPU can compute with.
    pub(super) fn copyable(&self, choice: &Choice, rules: &[Rule]) -> impl Iterator<Item = &Weight> {
        let copier = self.machine.copier().map(|gpu| gpu + 1);
        let takes = move |weight: &&Weight| copier.is_some_and(|gpu| !weight.refused_by.contains(&gpu));
        self.on_cpu(choice, rules).filter(takes)
    }

    /// Bytes that copies of weights take on the GPU: the largest weight, since one replaces the other.
    pub(super) fn copy_bytes(&self, choice: &Choice, rules: &[Rule]) -> u64 {
        let largest = self.copyable(choice, rules).map(|weight| weight.bytes).max();
        choice.copies.and(largest).unwrap_or(0)
    }

    /// Estimates the compute buffers of every device that has layers.
    fn compute(&self, choice: &Choice, rules: &[Rule], lines: &mut [Line]) {
        let ubatch = u64::from(choice.ubatch.min(choice.batch).min(choice.context)).max(1);
        let logits = self.hparams.vocab * 4;
        let sequences = u64::from(self.options.parallel.max(1));
        let layers = self.hparams.layers;
        let device = |layer| choice.device(Home::Layer(layer), layers);
        let head = self.head_device(choice, rules);
        let used: std::collections::BTreeSet<usize> = (0..layers).map(device).chain([head, 0]).collect();
        let token = self.token_bytes(choice.context);
        // Logits take the place of the results of the layers.
        let with_logits = token.max(logits + HEAD_INPUTS * 4 * self.hparams.embedding);
        for &index in &used {
            // Logits are reserved for every token of a batch. Of main memory that is not pinned, only what is written is used.
            let compute = match (index == head, index == 0 && self.machine.can_repack()) {
                (true, true) => ubatch * token + sequences * logits,
                (true, false) => ubatch * with_logits,
                (false, _) => ubatch * token,
            };
            lines[index].compute += compute + self.mask_bytes(ubatch, choice.context);
        }
        let threads = self.options.threads.max(self.options.threads_batch.unwrap_or(0));
        let buffer = work_buffer(self.on_cpu(choice, rules), self.hparams, threads.into(), ubatch);
        lines[0].compute = lines[0].compute.saturating_add(logits * sequences).saturating_add(buffer);
        if let Some(gpu) = self.machine.copier().filter(|_| choice.copies.is_some()) {
            let line = &mut lines[gpu + 1];
            if !used.contains(&(gpu + 1)) {
                line.compute += ubatch * token;
            }
            line.compute = line.compute.saturating_add(self.copy_bytes(choice, rules));
        }
    }

    /// Bytes of intermediate results for one token of a batch: the widest part of a layer.
    fn token_bytes(&self, context: u32) -> u64 {
        let h = self.hparams;
        let experts = u64::from(h.experts_used) * h.embedding * 2;
        let heads = h.heads.iter().copied().max().unwrap_or(0);
        let window = h.sliding.as_ref().map_or((0, 0), |sliding| (sliding.key_length, sliding.value_length));
        let (key, value) = (h.key_length.max(window.0), h.value_length.max(window.1));
        let (inputs, products) = (2 * key + value, padded(context));
        let head = if self.options.flash == Flash::Off { inputs + products.max(inputs) } else { inputs * 2 };
        let attention = u64::from(heads) * head;
        let recurrent = h.recurrent.map_or(0, |r| 5 * (r.inner + 2 * r.groups * r.state));
        4 * (2 * h.embedding + experts.max(attention).max(recurrent))
    }

    /// Bytes of the attention mask: F16 where attention is fused, or else F32.
    fn mask_bytes(&self, ubatch: u64, context: u32) -> u64 {
        let value = if self.options.flash == Flash::Off { 4 } else { 2 };
        ubatch * padded(context) * value
    }

    /// A line for each device, with its limits and nothing placed.
    pub(super) fn empty_lines(&self) -> Vec<Line> {
        let Self { machine, options, .. } = self;
        let limit = |budget: Option<u64>, by_memory: u64| match (budget, options.fit) {
            (Some(budget), true) => budget.min(by_memory),
            (Some(budget), false) => budget,
            (None, true) => by_memory,
            (None, false) => u64::MAX,
        };
        let spare = (machine.ram_available / 10).min(1 << 30);
        let ram = Line {
            device: "CPU".to_owned(),
            budget: limit(options.cpu_memory, machine.ram_available - spare),
            budget_mapped: limit(options.cpu_memory, machine.ram_available),
            free: machine.ram_available,
            total: machine.ram_total,
            ..Line::default()
        };
        let gpus = machine.gpus.iter().enumerate().map(|(index, gpu)| {
            let margin = options.margins.get(index).or(options.margins.last()).copied().unwrap_or(0);
            Line {
                device: gpu.name.clone(),
                budget: limit(options.gpu_memory, gpu.free.saturating_sub(margin)),
                free: gpu.free,
                total: gpu.total,
                ..Line::default()
            }
        });
        std::iter::once(ram).chain(gpus).collect()
    }
}

/// Cells that llama.cpp makes for a context.
fn padded(context: u32) -> u64 {
    u64::from(context).next_multiple_of(CELLS)
}

/// The tensor type of a KV cache.
pub(super) fn ggml(ty: CacheType) -> GgmlType {
    match ty {
        CacheType::F32 => GgmlType::F32,
        CacheType::F16 => GgmlType::F16,
        CacheType::BF16 => GgmlType::BF16,
        CacheType::Q8_0 => GgmlType::Q8_0,
        CacheType::Q4_0 => GgmlType::Q4_0,
        CacheType::Q4_1 => GgmlType::Q4_1,
        CacheType::IQ4_NL => GgmlType::IQ4_NL,
        CacheType::Q5_0 => GgmlType::Q5_0,
        CacheType::Q5_1 => GgmlType::Q5_1,
    }
}
