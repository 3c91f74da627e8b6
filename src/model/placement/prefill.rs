//! Chooses how prefill computes with weights in main memory: on the CPU, or on a GPU to which they are copied for each batch.
//!
//! A copy takes the same time for one token as for many, and the CPU computes several tokens in the time of one as long as
//! memory limits it. So the CPU is faster up to some number of tokens, and the measured speeds say up to which.

use super::batch::BatchRates;
use super::choice::Choice;
use super::cost::Model;
use super::weights::{Rule, Weight};
use crate::llama::{COPIES_FROM, LoadMode};
use crate::model::rates::Origin;

/// How prefill computes with weights in main memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Prefill {
    /// Tokens of a batch from which weights are copied to the GPU; `None` for never.
    pub copies_from: Option<u32>,
    /// The GPU.
    pub gpu: String,
    /// Tokens of the largest batch.
    pub tokens: u32,
    /// The reason.
    pub reason: PrefillReason,
}

/// Why prefill computes where it does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PrefillReason {
    /// An option asks for it.
    Option,
    /// It is llama.cpp's default, and nothing was measured.
    Default,
    /// The memory for copies is not free.
    Memory,
    /// It is faster.
    Faster {
        /// Seconds that the weights in main memory take for the largest batch on the CPU.
        cpu: f64,
        /// Seconds that they take with copies.
        copied: f64,
        /// Where the speeds come from.
        origin: Origin,
    },
}

/// Bytes of the weights in main memory that can be copied.
#[derive(Debug, Clone, Copy, Default)]
struct Copyable {
    dense: f64,
    experts: f64,
    largest: u64,
}

/// Tokens from which a choice copies weights; `None` if it never does.
pub(super) fn copies(model: Model<'_>, choice: &Choice, rules: &[Rule]) -> Option<u32> {
    let copyable = copyable(model, choice, rules);
    if model.machine.copier().is_none() || choice.load == LoadMode::Stream || copyable.largest == 0 {
        return None;
    }
    match (model.options.op_offload, model.machine.batch) {
        (Some(false), _) => None,
        (Some(true), _) | (None, None) => Some(COPIES_FROM),
        (None, Some(rates)) => threshold(model, copyable, rates, tokens(choice)),
    }
    .filter(|from| *from <= tokens(choice))
}

/// Describes how a choice computes prefill; `None` if there is nothing to choose.
pub(super) fn prefill(model: Model<'_>, choice: &Choice, rules: &[Rule]) -> Option<Prefill> {
    let gpu = model.machine.copier()?;
    let (copyable, tokens) = (copyable(model, choice, rules), tokens(choice));
    if choice.load == LoadMode::Stream || copyable.largest == 0 {
        return None;
    }
    let reason = match (model.options.op_offload, model.machine.batch) {
        (Some(_), _) => PrefillReason::Option,
        (None, Some(rates)) => {
            let (cpu, copied) = times(model, copyable, rates, tokens);
            if choice.copies.is_none() && copied < cpu && tokens >= COPIES_FROM {
                PrefillReason::Memory
            } else {
                PrefillReason::Faster { cpu, copied, origin: rates.origin }
            }
        }
        (None, None) if choice.copies.is_none() && tokens >= COPIES_FROM => PrefillReason::Memory,
        (None, None) => PrefillReason::Default,
    };
    Some(Prefill { copies_from: choice.copies, gpu: model.machine.gpus[gpu].name.clone(), tokens, reason })
}

/// Why a choice copies no weights although an option asks for it; `None` if it copies some, and without GPUs.
pub(super) fn no_copies(model: Model<'_>, choice: &Choice, rules: &[Rule]) -> Option<&'static str> {
    let is_asked = model.options.op_offload == Some(true) && !model.machine.gpus.is_empty();
    if !is_asked || choice.copies.is_some() {
        return None;
    }
    Some(if model.machine.copier().is_none() {
        "weights are not copied to workers"
    } else if choice.load == LoadMode::Stream {
        "experts are read from disk as they are chosen"
    } else if model.on_cpu(choice, rules).next().is_none() {
        "no weights are in main memory"
    } else if copyable(model, choice, rules).largest == 0 {
        "the GPU cannot compute with the weights in main memory"
    } else {
        "batches have fewer than 32 tokens"
    })
}

fn tokens(choice: &Choice) -> u32 {
    choice.ubatch.min(choice.batch).min(choice.context)
}

fn copyable(model: Model<'_>, choice: &Choice, rules: &[Rule]) -> Copyable {
    let mut sum = Copyable::default();
    for Weight { experts, bytes, .. } in model.copyable(choice, rules) {
        sum.largest = sum.largest.max(*bytes);
        #[expect(clippy::cast_precision_loss, reason = "for a time")]
        let bytes = *bytes as f64;
        *(if *experts { &mut sum.experts } else { &mut sum.dense }) += bytes;
    }
    sum
}

/// The smallest batch for which copies are faster, if any is.
fn threshold(model: Model<'_>, copyable: Copyable, rates: BatchRates, most: u32) -> Option<u32> {
    let is_faster = |tokens: u32| {
        let (cpu, copied) = times(model, copyable, rates, tokens);
        copied < cpu
    };
    if most < COPIES_FROM || !is_faster(most) {
        return None;
    }
    if !model.machine.can_set_copies {
        return Some(COPIES_FROM);
    }
    let (mut below, mut from) = (COPIES_FROM - 1, most);
    while from - below > 1 {
        let middle = below.midpoint(from);
        if is_faster(middle) { from = middle } else { below = middle }
    }
    Some(from)
}

fn times(model: Model<'_>, copyable: Copyable, rates: BatchRates, tokens: u32) -> (f64, f64) {
    let chosen = f64::from(model.hparams.experts_used) / f64::from(model.hparams.experts.max(1));
    rates.times(copyable.dense, copyable.experts, chosen, tokens)
}
