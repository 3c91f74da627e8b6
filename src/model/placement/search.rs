//! Tries the ways to place a model, the best first, until one fits.

use super::bill::{Bill, Line};
use super::choice::Choice;
use super::cost::Model;
use super::error::PlaceError;
use super::layout::computes_in_place;
use super::note::Note;
use super::notes::{notes, refused};
use super::prefill;
use super::reason::reason;
use super::speed;
use super::stream;
use super::types::Placement;
use super::weights::{Home, Rule, Weight, cpu_experts};
use crate::llama::{LoadMode, Override, SplitMode};
use crate::model::{ContextSize, GpuLayers, HParams};

/// A KV cache grows by this many tokens.
const STEP: u32 = 256;

/// The first choice that fits, or the bill of the one that exceeds the limits least.
pub(super) fn attempt(model: Model<'_>, rules: &[Rule]) -> Result<Result<Placement, Bill>, PlaceError> {
    let Model { machine, options, hparams, .. } = model;
    let mut found = attempt_with(model, rules, &load_modes(model), true)?;
    if found.is_err() && options.op_offload.is_none() && machine.copier().is_some() {
        // Copies take memory on the GPU.
        found = attempt_with(model, rules, &load_modes(model), false)?.or(found);
    }
    let may_stream = machine.can_stream && options.load.is_none() && options.repack != Some(true);
    match found {
        Err(_) if may_stream && hparams.experts > 0 => {
            let streamed = attempt_with(model, rules, &[(LoadMode::Stream, false)], false)?;
            Ok(streamed.or(found))
        }
        found => Ok(found),
    }
}

/// The first choice that fits with one of some load modes, or the bill of the one that exceeds the limits least. `may_copy`
/// says whether prefill may copy weights to a GPU.
fn attempt_with(
    model: Model<'_>,
    rules: &[Rule],
    ways: &[(LoadMode, bool)],
    may_copy: bool,
) -> Result<Result<Placement, Bill>, PlaceError> {
    let mut least: Option<Bill> = None;
    let contexts = contexts(model);
    let most = contexts[0];
    let (batch, ubatch) = stream::steps(model);
    for context in contexts {
        for &(load, repack) in ways {
            for (gpu_layers, on_cpu) in layers(model) {
                let Some(split) = split(model, rules, gpu_layers, on_cpu, context)? else { continue };
                let these = with_experts(rules, on_cpu, model.hparams);
                let mut choice = Choice {
                    gpu_layers,
                    cpu_experts: on_cpu,
                    split,
                    context,
                    batch,
                    ubatch,
                    load,
                    repack,
                    copies: None,
                };
                if may_copy {
                    choice.copies = prefill::copies(model, &choice, &these);
                }
                let bill = model.bill(&choice, &these);
                if bill.fits() || model.is_unlimited() {
                    let choice = if context == most { grown(model, choice, &these) } else { choice };
                    let choice = stream::with_large_steps(model, choice, &these);
                    let bill = model.bill(&choice, &these);
                    return Ok(Ok(placement(model, rules, choice, bill)));
                }
                if least.as_ref().is_none_or(|least| excess(&bill) < excess(least)) {
                    least = Some(bill);
                }
            }
        }
    }
    Ok(Err(least.unwrap_or(Bill { lines: Vec::new() })))
}

fn excess(bill: &Bill) -> u64 {
    bill.lines.iter().filter(|line| !line.fits()).map(|line| line.sum().saturating_sub(line.budget)).sum()
}

/// The contexts to try: the requested one, and smaller ones unless it was set explicitly.
fn contexts(model: Model<'_>) -> Vec<u32> {
    let Model { hparams, options, .. } = model;
    let first = match options.context {
        ContextSize::Fit => hparams.trained_context.min(ContextSize::USUAL),
        other => other.resolve(hparams.trained_context),
    };
    let mut contexts = vec![first];
    if let ContextSize::Fit | ContextSize::UpTo(_) = options.context
        && options.fit
    {
        let least = options.least_context.min(first);
        let mut next = first / 2;
        while next > least {
            contexts.push(next);
            next /= 2;
        }
        contexts.push(least);
    }
    contexts.dedup();
    contexts
}

/// The choice with the largest context that fits, where the context is not set. Weights stay where they are, as with
/// llama.cpp's `-fit`: a smaller context costs no speed. Where experts are read from disk, more of them stay in memory
/// instead.
fn grown(model: Model<'_>, choice: Choice, rules: &[Rule]) -> Choice {
    let Model { hparams, options, .. } = model;
    let trained = hparams.trained_context;
    let is_fixed = options.context != ContextSize::Fit || choice.load == LoadMode::Stream;
    if is_fixed || choice.context >= trained {
        return choice;
    }
    let with = |context: u32| Choice { context, ..choice.clone() };
    // Pages of a mapped file that make room for the context would be read again for every token.
    let fits = |context: u32| model.is_unlimited() || model.bill(&with(context), rules).fits_with_margin();
    if fits(trained) {
        return with(trained);
    }
    // In steps of llama.cpp's: between `most` that fits and `too_many`.
    let (mut most, mut too_many) = (choice.context / STEP, trained.div_ceil(STEP));
    while too_many - most > 1 {
        let middle = most.midpoint(too_many);
        if fits(middle * STEP) { most = middle } else { too_many = middle }
    }
    with((most * STEP).max(choice.context))
}

/// The load modes to try, each with or without repacking: fast ones with one copy of the weights, then smaller ones.
fn load_modes(model: Model<'_>) -> Vec<(LoadMode, bool)> {
    let in_place = computes_in_place(model);
    match (model.options.load, model.options.repack) {
        (Some(load), Some(repack)) => vec![(load, repack)],
        (Some(load), None) => vec![(load, !load.maps() && load != LoadMode::Stream && !in_place)],
        (None, Some(true)) => vec![(LoadMode::Read, true)],
        (None, _) if in_place => vec![(LoadMode::Map, false)],
        (None, Some(false)) => vec![(LoadMode::Read, false), (LoadMode::Map, false)],
        (None, None) => vec![(LoadMode::Read, true), (LoadMode::Map, false)],
    }
}

/// The numbers of offloaded layers, and of layers whose experts stay in main memory, to try: the most on GPUs first.
fn layers(model: Model<'_>) -> Vec<(u32, u32)> {
    let Model { hparams, machine, options, .. } = model;
    let all = hparams.layers + 1;
    if machine.gpus.is_empty() {
        return vec![(0, options.cpu_experts.unwrap_or(0))];
    }
    let explicit = match options.gpu_layers {
        GpuLayers::Auto if options.fit => None,
        GpuLayers::Auto | GpuLayers::All => Some(all),
        GpuLayers::Last(layers) => Some(layers.min(all)),
    };
    let by_experts = hparams.experts > 0 && options.cpu_experts.is_none() && options.overrides.is_empty();
    match explicit {
        Some(layers) => vec![(layers, options.cpu_experts.unwrap_or(0))],
        None if by_experts => {
            let fewer_experts = (0..=hparams.layers).map(|on_cpu| (all, on_cpu));
            let fewer_layers = (0..all).rev().map(|layers| (layers, hparams.layers));
            fewer_experts.chain(fewer_layers).collect()
        }
        None => (0..=all).rev().map(|layers| (layers, options.cpu_experts.unwrap_or(0))).collect(),
    }
}

/// The caller's rules, then those that keep experts in main memory.
fn with_experts(rules: &[Rule], on_cpu: u32, hparams: &HParams) -> Vec<Rule> {
    let ours = cpu_experts(on_cpu, hparams.layers);
    let parsed = ours.iter().filter_map(|over| Rule::parse(over, std::slice::from_ref(&over.buffer)).ok());
    rules.iter().cloned().chain(parsed).collect()
}

/// The share of each GPU; `None` if the layers do not fit within their limits.
fn split(
    model: Model<'_>,
    rules: &[Rule],
    gpu_layers: u32,
    on_cpu: u32,
    context: u32,
) -> Result<Option<Vec<f32>>, PlaceError> {
    let Model { machine, options, .. } = model;
    let devices = machine.gpus.len();
    let given = &options.tensor_split;
    if !given.is_empty() {
        let is_valid =
            given.iter().all(|share| share.is_finite() && *share >= 0.0) && given.iter().sum::<f32>() > 0.0;
        if given.len() > devices && devices > 0 || !is_valid {
            return Err(PlaceError::Split { given: given.len(), devices });
        }
        let mut shares = given.clone();
        shares.resize(devices, 0.0);
        return Ok(Some(shares));
    }
    Ok(match (devices, options.split_mode) {
        (0, _) => Some(Vec::new()),
        (1, _) => Some(vec![1.0]),
        (_, SplitMode::None) => {
            let main = options.main_gpu as usize;
            if main >= devices {
                return Err(PlaceError::MainGpu { index: options.main_gpu, devices });
            }
            Some((0..devices).map(|index| if index == main { 1.0 } else { 0.0 }).collect())
        }
        (_, SplitMode::Layer) if options.fit => pack(model, rules, gpu_layers, on_cpu, context),
        #[expect(clippy::cast_precision_loss, reason = "llama.cpp splits by free memory in f32 too")]
        _ => Some(machine.gpus.iter().map(|gpu| gpu.free.max(1) as f32).collect()),
    })
}

/// Fills one GPU after the other, from the first layer on. The shares are numbers of layers.
fn pack(model: Model<'_>, rules: &[Rule], gpu_layers: u32, on_cpu: u32, context: u32) -> Option<Vec<f32>> {
    let Model { hparams, machine, .. } = model;
    let all = hparams.layers + 1;
    let first = all - gpu_layers.min(all);
    let (batch, ubatch) = stream::steps(model);
    let on_first = Choice {
        gpu_layers: all,
        cpu_experts: on_cpu,
        split: vec![1.0],
        context,
        batch,
        ubatch,
        load: LoadMode::Read,
        repack: true,
        copies: None,
    };
    // A layer's cost is that of the layer alone on the first GPU; compute buffers are needed once on each GPU.
    let rules = with_experts(rules, on_cpu, hparams);
    let cost = |unit: u32| {
        let inside = |home: Home| match home {
            Home::Input => false,
            Home::Layer(layer) => layer == unit,
            Home::Output => hparams.layers == unit,
        };
        let some: Vec<Weight> = model.weights.iter().filter(|w| inside(w.home)).cloned().collect();
        let line = Model { weights: &some, ..model }.bill(&on_first, &rules).lines.swap_remove(1);
        line.dense + line.experts
    };
    let whole = model.bill(&on_first, &[]);
    let Line { compute, .. } = whole.lines[1];
    let caches = |unit: u32| {
        if unit >= hparams.trunk() || !model.options.kv_offload {
            return 0;
        }
        let (kv, recurrent) = model.memory(unit, &on_first);
        kv.saturating_add(recurrent)
    };
    let empty = model.empty_lines();
    let mut counts = vec![0.0; machine.gpus.len()];
    let copied = Choice { copies: prefill::copies(model, &on_first, &rules), ..on_first.clone() };
    let copied = machine.copier().map(|gpu| (gpu, model.copy_bytes(&copied, &rules)));
    let other =
        |device: usize| compute + copied.filter(|(gpu, _)| *gpu == device).map_or(0, |(_, bytes)| bytes);
    let (mut device, mut used) = (0, other(0));
    for unit in first..all {
        let cost = cost(unit) + caches(unit);
        while used + cost > empty[device + 1].budget {
            device += 1;
            used = other(device);
            if device == machine.gpus.len() {
                return None;
            }
        }
        used += cost;
        counts[device] += 1.0;
    }
    Some(if first == all { vec![1.0; machine.gpus.len()] } else { counts })
}

fn placement(model: Model<'_>, rules: &[Rule], choice: Choice, bill: Bill) -> Placement {
    let Model { hparams, machine, options, .. } = model;
    let overrides: Vec<Override> = if machine.gpus.is_empty() {
        options.overrides.clone()
    } else {
        let ours = cpu_experts(choice.cpu_experts, hparams.layers);
        options.overrides.iter().cloned().chain(ours).collect()
    };
    let mut notes = notes(model.weights, rules, hparams, machine, options);
    let rules = with_experts(rules, choice.cpu_experts, hparams);
    notes.extend(refused(model, &choice, &rules));
    let work = speed::work(model, &choice, &rules, &bill);
    let either = |weight: &Weight| {
        machine.can_repack()
            && weight.repackable
            && weight.has_kernel
            && model.device(&choice, &rules, weight) == 0
    };
    let either_type = speed::main_type(model, either);
    let stream = stream::stream(model, &choice, &bill);
    let prefill = prefill::prefill(model, &choice, &rules);
    notes.extend(prefill::no_copies(model, &choice, &rules).map(|reason| Note::NoCopies { reason }));
    Placement {
        reason: reason(model, &choice, &rules, stream.as_ref(), prefill.as_ref()),
        devices: machine.gpus.iter().map(|gpu| gpu.name.clone()).collect(),
        gpu_layers: choice.gpu_layers,
        cpu_experts: choice.cpu_experts,
        overrides,
        split_mode: if machine.gpus.is_empty() { SplitMode::Layer } else { options.split_mode },
        tensor_split: if machine.gpus.len() > 1 { choice.split } else { Vec::new() },
        main_gpu: options.main_gpu,
        context: choice.context,
        batch: choice.batch,
        ubatch: choice.ubatch,
        load: choice.load,
        repack: choice.repack,
        prefill,
        stream,
        bill,
        notes,
        work,
        either_type,
    }
}
