//! Describes a choice and its reason, on one line.

use std::collections::BTreeMap;

use gguf_export::size;

use super::choice::Choice;
use super::cost::Model;
use super::stream::Stream;
use super::weights::{Home, Rule};

/// Describes a choice. `rules` are the caller's overrides and those of the choice, in order.
pub(super) fn reason(model: Model<'_>, choice: &Choice, rules: &[Rule], stream: Option<&Stream>) -> String {
    let Model { hparams, machine, options, .. } = model;
    let mut parts = vec![devices(model, choice, rules)];
    // With a GPU, weights for the CPU are put into a buffer that the GPU reads fast, and not repacked.
    let repacked = choice.repack && !machine.gpus.iter().any(|gpu| gpu.host_buffer);
    let weights = match (choice.load.maps(), repacked) {
        (false, true) => "weights repacked for this CPU, one copy in memory".to_owned(),
        (false, false) => "weights not repacked, one copy in memory".to_owned(),
        (true, false) if options.load.is_none() => {
            "file mapped and weights not repacked, because repacked weights do not fit".to_owned()
        }
        (true, false) => "file mapped, one copy of the weights in memory".to_owned(),
        (true, true) => "file mapped and weights repacked, two copies in memory".to_owned(),
    };
    parts.push(stream.map_or(weights, streamed));
    let requested = options.context.resolve(hparams.trained_context);
    if choice.context < requested {
        parts.push(format!("context reduced from {requested} to {} to fit", choice.context));
    }
    parts.join("; ")
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
    } else if dense_on_cpu && choice.gpu_layers < all {
        let last = format!("the last {} of {all} layers on the GPU", choice.gpu_layers);
        let offloaded = choice.gpu_layers.saturating_sub(1) as usize;
        // The last layers are the offloaded ones, and dense layers come first.
        if there < offloaded.min(layers) { format!("{last}, with the experts of {there}") } else { last }
    } else if dense_on_cpu {
        "all layers on the GPU, except for overridden tensors".to_owned()
    } else if there == layers {
        "all on the GPU".to_owned()
    } else {
        format!("dense weights and the experts of {there} of {layers} layers on the GPU")
    }
}
