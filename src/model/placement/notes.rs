//! Finds options that have no effect on a placement, or an effect that is hardly intended. Every command that places a model
//! shows them.

use std::collections::BTreeMap;

use super::Machine;
use super::choice::Choice;
use super::cost::Model;
use super::note::Note;
use super::weights::{Rule, Weight};
use crate::model::threads::processors;
use crate::model::{ContextSize, GpuLayers, HParams, LoadOptions, Rope};

/// The notes about some options.
pub(super) fn notes(
    weights: &[Weight],
    rules: &[Rule],
    hparams: &HParams,
    machine: &Machine,
    options: &LoadOptions,
) -> Vec<Note> {
    let mut notes = unmatched(weights, rules, options);
    for option in for_gpus(options) {
        match machine.gpus.len() {
            0 => notes.push(Note::NoGpu { option }),
            1 if matches!(option, "-ts" | "-mg") => notes.push(Note::OneGpu { option }),
            _ => {}
        }
    }
    let for_experts = if options.cpu_experts == Some(u32::MAX) { "-cmoe" } else { "-ncmoe" };
    if options.cpu_experts.is_some() && hparams.experts == 0 {
        notes.push(Note::NoExperts { option: for_experts });
    }
    if let ContextSize::Tokens(context) = options.context
        && context > hparams.trained_context
        && options.rope == Rope::default()
    {
        notes.push(Note::LongContext { context, trained: hparams.trained_context });
    }
    let processors = processors();
    for (option, threads) in [("-t", Some(options.threads)), ("-tb", options.threads_batch)] {
        if let Some(threads) = threads.filter(|threads| *threads > processors) {
            notes.push(Note::Threads { option, threads, processors });
        }
    }
    notes
}

/// The overrides that no tensor matches first.
fn unmatched(weights: &[Weight], rules: &[Rule], options: &LoadOptions) -> Vec<Note> {
    let first = |weight: &Weight| rules.iter().position(|rule| rule.matches(&weight.name));
    let hit: Vec<Option<usize>> = weights.iter().map(first).collect();
    let useless = options.overrides.iter().zip(rules).enumerate();
    useless
        .filter(|(index, _)| !hit.contains(&Some(*index)))
        .map(|(_, (given, rule))| Note::Unmatched {
            pattern: given.pattern.clone(),
            shadowed: weights.iter().any(|weight| rule.matches(&weight.name)),
        })
        .collect()
}

/// The weights that the GPU of their layer, or of an override, cannot compute with.
pub(super) fn refused(model: Model<'_>, choice: &Choice, rules: &[Rule]) -> Vec<Note> {
    let mut found: BTreeMap<(usize, bool), Vec<&Weight>> = BTreeMap::new();
    for weight in model.weights {
        let wanted = model.wanted(choice, rules, weight);
        if weight.refused_by.contains(&wanted.0) {
            found.entry(wanted).or_default().push(weight);
        }
    }
    let note = |((device, is_override), weights): ((usize, bool), Vec<&Weight>)| {
        let largest = weights.iter().max_by_key(|weight| weight.bytes)?;
        Some(Note::Refused {
            gpu: model.machine.name(device).to_owned(),
            tensors: weights.len(),
            bytes: weights.iter().map(|weight| weight.bytes).sum(),
            largest: largest.name.clone(),
            ty: largest.ty.name(),
            is_override,
        })
    };
    found.into_iter().filter_map(note).collect()
}

/// The given options that only GPUs have a use for.
fn for_gpus(options: &LoadOptions) -> Vec<&'static str> {
    [
        ("-ngl", matches!(options.gpu_layers, GpuLayers::All | GpuLayers::Last(1..))),
        ("-cmoe", options.cpu_experts == Some(u32::MAX)),
        ("-ncmoe", options.cpu_experts.is_some_and(|layers| layers < u32::MAX)),
        ("-ts", !options.tensor_split.is_empty()),
        ("-mg", options.main_gpu > 0),
        ("--gpu-memory", options.gpu_memory.is_some()),
        ("-nkvo", !options.kv_offload),
        ("-nopo", options.op_offload == Some(false)),
        ("--op-offload", options.op_offload == Some(true)),
    ]
    .into_iter()
    .filter_map(|(option, given)| given.then_some(option))
    .collect()
}
