//! Tries ways to place a model, the best first, until one fits.

use super::bill::{Bill, Model};
use super::weights::{Home, Rule, Weight, cpu_experts, weights};
use super::{Choice, Line, Machine, PlaceError, Placement, TooMuch, speed};
use crate::llama::{CacheType, LoadMode, Override, SplitMode};
use crate::model::{ContextSize, GpuLayers, HParams, Header, LoadOptions};

/// The smallest context worth a proposal.
const SMALLEST_CONTEXT: u32 = 512;

pub(super) fn place(
    header: &Header,
    hparams: &HParams,
    machine: &Machine,
    options: &LoadOptions,
) -> Result<Placement, PlaceError> {
    let machine = &chosen(machine, options.devices.as_deref())?;
    let weights = &weights(header, hparams);
    let rules = rules(machine, options)?;
    let model = Model { weights, hparams, machine, options };
    match attempt(model, &rules)? {
        Ok(placement) => Ok(placement),
        Err(bill) => {
            let remedies = remedies(model, &rules);
            Err(PlaceError::Memory(Box::new(TooMuch { bill, remedies })))
        }
    }
}

/// The machine with the devices that were asked for, in that order.
fn chosen(machine: &Machine, wanted: Option<&[String]>) -> Result<Machine, PlaceError> {
    let Some(wanted) = wanted else { return Ok(machine.clone()) };
    let mut gpus = Vec::new();
    for name in wanted {
        let gpu = machine.gpus.iter().find(|gpu| gpu.name == *name).ok_or_else(|| PlaceError::Device {
            device: name.clone(),
            known: machine.gpus.iter().map(|gpu| gpu.name.clone()).collect(),
        })?;
        gpus.push(gpu.clone());
    }
    Ok(Machine { gpus, ..machine.clone() })
}

fn rules(machine: &Machine, options: &LoadOptions) -> Result<Vec<Rule>, PlaceError> {
    let buffers: Vec<String> =
        std::iter::once("CPU".to_owned()).chain(machine.gpus.iter().map(|gpu| gpu.buffer.clone())).collect();
    options.overrides.iter().map(|wanted| Rule::parse(wanted, &buffers)).collect()
}

/// The first choice that fits, or the bill of the one that takes the least of what is scarce.
fn attempt(model: Model<'_>, rules: &[Rule]) -> Result<Result<Placement, Bill>, PlaceError> {
    let mut least: Option<Bill> = None;
    for context in contexts(model) {
        for (load, repack) in reads(model.options) {
            for (gpu_layers, on_cpu) in layers(model) {
                let Some(split) = split(model, rules, gpu_layers, on_cpu, context)? else { continue };
                let choice = Choice { gpu_layers, cpu_experts: on_cpu, split, context, load, repack };
                let bill = model.bill(&choice, &with_experts(rules, on_cpu, model.hparams));
                if bill.fits()
                    || !model.options.fit
                        && model.options.cpu_memory.is_none()
                        && model.options.gpu_memory.is_none()
                {
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

/// Contexts to try: the one asked for, and smaller ones where nobody insists.
fn contexts(model: Model<'_>) -> Vec<u32> {
    let Model { hparams, options, .. } = model;
    let first = options.context.resolve(hparams.trained_context);
    let mut contexts = vec![first];
    if let ContextSize::UpTo(_) = options.context
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

/// Ways to read the file: what is fast and holds weights once, then what takes less.
fn reads(options: &LoadOptions) -> Vec<(LoadMode, bool)> {
    match (options.load, options.repack) {
        (Some(load), Some(repack)) => vec![(load, repack)],
        (Some(load), None) => vec![(load, !load.maps())],
        (None, Some(true)) => vec![(LoadMode::Read, true)],
        (None, Some(false)) => vec![(LoadMode::Read, false), (LoadMode::Map, false)],
        (None, None) => vec![(LoadMode::Read, true), (LoadMode::Map, false)],
    }
}

/// Numbers of layers on GPUs and of layers whose experts stay in main memory, the most on GPUs first.
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
    let parsed =
        ours.iter().filter_map(|wanted| Rule::parse(wanted, std::slice::from_ref(&wanted.buffer)).ok());
    rules.iter().cloned().chain(parsed).collect()
}

/// Shares of the GPUs; `None` if the layers cannot be packed into their budgets.
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
        let sound =
            given.iter().all(|share| share.is_finite() && *share >= 0.0) && given.iter().sum::<f32>() > 0.0;
        if given.len() > devices && devices > 0 || !sound {
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
                return Err(PlaceError::Split { given: main + 1, devices });
            }
            Some((0..devices).map(|index| if index == main { 1.0 } else { 0.0 }).collect())
        }
        (_, SplitMode::Layer) if options.fit => pack(model, rules, gpu_layers, on_cpu, context),
        #[expect(clippy::cast_precision_loss, reason = "llama.cpp splits by free memory in f32 too")]
        _ => Some(machine.gpus.iter().map(|gpu| gpu.free.max(1) as f32).collect()),
    })
}

/// Fills one GPU after the other, first layer first. The shares are numbers of layers.
fn pack(model: Model<'_>, rules: &[Rule], gpu_layers: u32, on_cpu: u32, context: u32) -> Option<Vec<f32>> {
    let Model { hparams, machine, .. } = model;
    let all = hparams.layers + 1;
    let first = all - gpu_layers.min(all);
    // Each layer alone on a first GPU tells what it costs there; what no layer costs is there once on each.
    let cost = |units: std::ops::Range<u32>| {
        let mut shares = vec![0.0; machine.gpus.len()];
        shares[0] = 1.0;
        let choice = Choice {
            gpu_layers: all,
            cpu_experts: on_cpu,
            split: shares,
            context,
            load: LoadMode::Read,
            repack: true,
        };
        let rules = with_experts(rules, on_cpu, hparams);
        let inside = |home: Home| match home {
            Home::Input => false,
            Home::Layer(layer) => units.contains(&layer),
            Home::Output => units.contains(&hparams.layers),
        };
        let some: Vec<Weight> = model.weights.iter().filter(|w| inside(w.home)).cloned().collect();
        let line = Model { weights: &some, ..model }.bill(&choice, &rules).lines.swap_remove(1);
        line.dense + line.experts
    };
    let whole = model.bill(
        &Choice {
            gpu_layers: all,
            cpu_experts: on_cpu,
            split: vec![1.0],
            context,
            load: LoadMode::Read,
            repack: true,
        },
        &[],
    );
    let Line { compute, kv, recurrent, .. } = whole.lines[1];
    let attention = hparams.recurrent_layers.iter().filter(|recurrent| !**recurrent).count().max(1) as u64;
    let states = (hparams.recurrent_layers.len() as u64 - attention).max(1);
    let caches = |unit: u32| match hparams.recurrent_layers.get(unit as usize) {
        Some(true) => recurrent.div_ceil(states),
        Some(false) if model.options.kv_offload => kv.div_ceil(attention),
        _ => 0,
    };
    let empty = model.bill(
        &Choice {
            gpu_layers: 0,
            cpu_experts: 0,
            split: Vec::new(),
            context,
            load: LoadMode::Read,
            repack: true,
        },
        &[],
    );
    let mut counts = vec![0.0; machine.gpus.len()];
    let (mut device, mut used) = (0, compute);
    for unit in first..all {
        let cost = cost(unit..unit + 1) + caches(unit);
        while used + cost > empty.lines[device + 1].budget {
            device += 1;
            used = compute;
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
    let traffic = speed::traffic(model, &choice, &with_experts(rules, choice.cpu_experts, hparams));
    Placement {
        reason: reason(model, &choice),
        devices: machine.gpus.iter().map(|gpu| gpu.name.clone()).collect(),
        gpu_layers: choice.gpu_layers,
        cpu_experts: choice.cpu_experts,
        overrides,
        split_mode: if machine.gpus.is_empty() { SplitMode::Layer } else { options.split_mode },
        tensor_split: if machine.gpus.len() > 1 { choice.split } else { Vec::new() },
        main_gpu: options.main_gpu,
        context: choice.context,
        load: choice.load,
        repack: choice.repack,
        bill,
        traffic,
    }
}

/// What was chosen and why.
fn reason(model: Model<'_>, choice: &Choice) -> String {
    let Model { hparams, machine, options, .. } = model;
    let trunk = hparams.layers - hparams.prediction_layers;
    let all = hparams.layers + 1;
    let mut parts = Vec::new();
    if machine.gpus.is_empty() {
        parts.push("CPU only".to_owned());
    } else if choice.gpu_layers == 0 {
        parts.push("all in main memory".to_owned());
    } else if choice.gpu_layers < all {
        parts.push(format!("the last {} of {all} layers on the GPU", choice.gpu_layers));
    } else if choice.cpu_experts == 0 && options.overrides.is_empty() {
        parts.push("all on the GPU".to_owned());
    } else if hparams.experts > 0 {
        let there = trunk.saturating_sub(choice.cpu_experts);
        parts.push(format!("dense weights and the experts of {there} of {trunk} layers on the GPU"));
    } else {
        parts.push("all layers on the GPU".to_owned());
    }
    // Beside a GPU, weights for the CPU go where it reads them quickly, as they are.
    let reordered = choice.repack && !machine.gpus.iter().any(|gpu| gpu.host_buffer);
    parts.push(match (choice.load.maps(), reordered) {
        (false, true) => "weights read and reordered for speed, held once".to_owned(),
        (false, false) => "weights read as they are, held once".to_owned(),
        (true, false) if options.load.is_none() => {
            "the file mapped and not reordered, because read and reordered it would not fit".to_owned()
        }
        (true, false) => "the file mapped, weights held once".to_owned(),
        (true, true) => "the file mapped and weights reordered beside it, held twice".to_owned(),
    });
    let wished = options.context.resolve(hparams.trained_context);
    if choice.context < wished {
        parts.push(format!("context {} instead of {wished}, so that it fits", choice.context));
    }
    parts.join("; ")
}

/// Changes that make it fit, each tried alone.
fn remedies(model: Model<'_>, rules: &[Rule]) -> Vec<String> {
    let Model { hparams, options, .. } = model;
    let fits =
        |changed: LoadOptions| attempt(Model { options: &changed, ..model }, rules).ok().and_then(Result::ok);
    let mut remedies = Vec::new();
    let wished = options.context.resolve(hparams.trained_context);
    let mut context = if wished > hparams.trained_context { hparams.trained_context } else { wished / 2 };
    while context >= SMALLEST_CONTEXT {
        if fits(LoadOptions { context: ContextSize::Tokens(context), ..options.clone() }).is_some() {
            remedies.push(format!("-c {}", u64::from(context) * u64::from(options.parallel.max(1))));
            break;
        }
        context /= 2;
    }
    if (options.cache_k, options.cache_v) == (CacheType::F16, CacheType::F16)
        && fits(LoadOptions { cache_k: CacheType::Q8_0, cache_v: CacheType::Q8_0, ..options.clone() })
            .is_some()
    {
        remedies.push("-ctk q8_0 -ctv q8_0".to_owned());
    }
    if options.gpu_layers != GpuLayers::Auto || options.cpu_experts.is_some() {
        let auto =
            LoadOptions { gpu_layers: GpuLayers::Auto, cpu_experts: None, fit: true, ..options.clone() };
        if let Some(found) = fits(auto) {
            remedies.push(match found.cpu_experts {
                0 => format!("-ngl {}", found.gpu_layers),
                on_cpu => format!("-ngl {} -ncmoe {on_cpu}", found.gpu_layers),
            });
        }
    }
    if !options.load.is_some_and(LoadMode::maps)
        && fits(LoadOptions { load: Some(LoadMode::Map), repack: Some(false), ..options.clone() }).is_some()
    {
        remedies.push("-lm mmap -nr (slow: weights come from the disk as they are needed)".to_owned());
    }
    remedies
}
