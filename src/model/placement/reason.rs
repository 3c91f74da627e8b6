//! Describes a choice and its reason, on one line.

use std::collections::{BTreeMap, BTreeSet};

use gguf_export::size;

use super::choice::Choice;
use super::cost::Model;
use super::layout::computes_in_place;
use super::prefill::{Prefill, PrefillReason};
use super::stream::Stream;
use super::weights::{Home, Rule, Weight};
use crate::llama::Kernels;
use crate::model::rates::Origin;

/// Describes a choice. `rules` are the caller's overrides and those of the choice, in order.
pub(super) fn reason(
    model: Model<'_>,
    choice: &Choice,
    rules: &[Rule],
    stream: Option<&Stream>,
    prefill: Option<&Prefill>,
) -> String {
    let held = stream.map_or_else(|| weights(model, choice, rules), streamed);
    let mut parts = vec![devices(model, choice, rules), held];
    parts.extend(prefill.map(prefilled));
    let requested = model.options.context.resolve(model.hparams.trained_context);
    if choice.context < requested {
        parts.push(format!("context reduced from {requested} to {} to fit", choice.context));
    }
    parts.join("; ")
}

/// How the weights on the CPU are held and computed, and what it costs if options ask for another way than the default.
fn weights(model: Model<'_>, choice: &Choice, rules: &[Rule]) -> String {
    let Model { machine, options, .. } = model;
    let repacked = choice.repack && machine.can_repack();
    let has_default = options.load.is_none() && options.repack.is_none();
    let held = match (choice.load.maps(), repacked) {
        (false, true) => "weights repacked for this CPU, one copy in memory",
        (false, false) => "weights not repacked, one copy in memory",
        (true, false) if has_default && !computes_in_place(model) => {
            "file mapped and weights not repacked, because repacked weights do not fit"
        }
        (true, false) => "file mapped and weights not repacked, one copy in memory",
        (true, true) => "file mapped and weights repacked, two copies in memory",
    };
    let types = |which: &dyn Fn(&Weight) -> bool| {
        let on_cpu = model.on_cpu(choice, rules).filter(|weight| which(weight));
        on_cpu.map(|weight| weight.ty.name()).collect::<BTreeSet<_>>()
    };
    let in_place = types(&|weight| weight.has_kernel && !(repacked && weight.repackable));
    let with = match &machine.kernels {
        Some(Kernels { isa, .. }) if !in_place.is_empty() => {
            format!(" ({isa} kernels for {})", listed(&in_place))
        }
        _ => String::new(),
    };
    let slower = if repacked {
        types(&|weight| weight.has_kernel && weight.repackable)
    } else {
        types(&|weight| weight.repackable && !weight.has_kernel)
    };
    let mut costs = Vec::new();
    if !has_default && (repacked || !choice.load.maps()) && computes_in_place(model) {
        costs.push("loads more slowly than a mapped file".to_owned());
    }
    if !has_default && machine.can_repack() && !slower.is_empty() {
        let than = if repacked { "mapped" } else { "repacked" };
        costs.push(format!("computes {} more slowly than {than} weights", listed(&slower)));
    }
    let at = if costs.is_empty() { "" } else { ": " };
    format!("{held}{with}{at}{}", costs.join(" and "))
}

fn listed(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

/// The experts that are read from disk.
fn streamed(stream: &Stream) -> String {
    let (room, all) = (size(stream.room), size(stream.experts));
    if stream.room < stream.experts {
        format!("experts read from disk as they are chosen, {room} of {all} stay in memory")
    } else {
        format!("experts read from disk when they are first chosen, all {all} stay in memory")
    }
}

/// How prefill computes with weights in main memory.
fn prefilled(prefill: &Prefill) -> String {
    let Prefill { copies_from, gpu, tokens, reason } = prefill;
    let how = match copies_from {
        None => "prefill computes with weights in main memory on the CPU".to_owned(),
        Some(from) => {
            format!("prefill of {from} or more tokens copies weights from main memory to {gpu}")
        }
    };
    let why = match reason {
        PrefillReason::Option => "as set by an option".to_owned(),
        PrefillReason::Default => "not measured".to_owned(),
        PrefillReason::Memory => format!("copies to {gpu} do not fit"),
        PrefillReason::Faster { cpu, copied, origin } => {
            let assumed = if *origin == Origin::Assumed { ", assumed" } else { "" };
            format!("{tokens} tokens: CPU {}, copied {}{assumed}", seconds(*cpu), seconds(*copied))
        }
    };
    format!("{how} ({why})")
}

fn seconds(seconds: f64) -> String {
    if seconds < 0.1 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.1} s") }
}

/// Where the weights are, by the devices that they are placed on and not by the options.
fn devices(model: Model<'_>, choice: &Choice, rules: &[Rule]) -> String {
    let Model { hparams, machine, .. } = model;
    if machine.gpus.is_empty() {
        return "CPU only".to_owned();
    }
    // For each layer with experts, whether all of them are on a GPU.
    let mut experts: BTreeMap<u32, bool> = BTreeMap::new();
    let (mut dense_on_cpu, mut any_on_gpu) = (false, false);
    for weight in model.weights {
        let on_gpu = model.device(choice, rules, weight) > 0;
        any_on_gpu |= on_gpu;
        match weight.home {
            Home::Layer(layer) if weight.experts => *experts.entry(layer).or_insert(true) &= on_gpu,
            Home::Input => {}
            Home::Layer(_) | Home::Output => dense_on_cpu |= !on_gpu,
        }
    }
    let there = experts.values().filter(|on_gpu| **on_gpu).count();
    let (all, layers) = (hparams.layers + 1, experts.len());
    if !any_on_gpu {
        "all in main memory".to_owned()
    } else if choice.gpu_layers == 0 {
        "overridden tensors on the GPU, the rest in main memory".to_owned()
    } else if dense_on_cpu && choice.gpu_layers < all {
        let last = format!("the last {} of {all} layers on the GPU", choice.gpu_layers);
        let offloaded = choice.gpu_layers.saturating_sub(1) as usize;
        // The last layers are the offloaded ones, and dense layers come first.
        if there < offloaded.min(layers) { format!("{last}, with the experts of {there}") } else { last }
    } else if dense_on_cpu {
        format!("all layers on the GPU, except for {}", exceptions(model, choice, rules))
    } else if there == layers {
        "all on the GPU".to_owned()
    } else {
        format!("dense weights and the experts of {there} of {layers} layers on the GPU")
    }
}

/// What is in main memory although all layers are offloaded.
fn exceptions(model: Model<'_>, choice: &Choice, rules: &[Rule]) -> String {
    let dense = model.on_cpu(choice, rules).filter(|weight| !weight.experts);
    let kinds: BTreeSet<&str> = dense
        .map(|weight| match model.wanted(choice, rules, weight) {
            (_, true) => "overridden tensors",
            (_, false) => "tensors that it cannot compute with",
        })
        .collect();
    kinds.into_iter().collect::<Vec<_>>().join(" and ")
}
