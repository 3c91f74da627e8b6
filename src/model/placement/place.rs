//! Places a model, or says what would make it fit.

use super::Machine;
use super::cost::{Model, ggml};
use super::error::{OutOfMemory, PlaceError};
use super::notes::notes;
use super::remedies::remedies;
use super::search::attempt;
use super::types::Placement;
use super::weights::{Multiplies, Rule, weights};
use crate::llama::{self, Flash, LoadMode};
use crate::model::{HParams, Header, LoadOptions};

/// Decides where weights, caches and states are placed.
///
/// # Errors
///
/// When a device, a buffer type or a pattern is invalid, or when the model does not fit.
pub fn place(
    header: &Header,
    hparams: &HParams,
    machine: &Machine,
    options: &LoadOptions,
) -> Result<Placement, PlaceError> {
    place_with(header, hparams, machine, options, &|gpu, matrix| llama::multiplies(&gpu.name, matrix))
}

/// As [`place`], where `multiplies` answers for the GPUs.
pub(super) fn place_with(
    header: &Header,
    hparams: &HParams,
    machine: &Machine,
    options: &LoadOptions,
    multiplies: Multiplies<'_>,
) -> Result<Placement, PlaceError> {
    refuse_caches(hparams, options)?;
    refuse_stream(hparams, machine, options)?;
    let machine = &with_devices(machine, options.devices.as_deref())?;
    let weights = &weights(header, hparams, machine, multiplies);
    let rules = rules(machine, options)?;
    let model = Model { weights, hparams, machine, options };
    match attempt(model, &rules)? {
        Ok(placement) => Ok(placement),
        Err(bill) => {
            let is_limited = options.cpu_memory.is_some() || options.gpu_memory.is_some();
            let notes = notes(weights, &rules, hparams, machine, options);
            let remedies = remedies(model, &rules);
            Err(PlaceError::Memory(Box::new(OutOfMemory { bill, remedies, is_limited, notes })))
        }
    }
}

/// Refuses to read experts from disk where that is not possible.
fn refuse_stream(hparams: &HParams, machine: &Machine, options: &LoadOptions) -> Result<(), PlaceError> {
    let reason = match options {
        _ if options.load != Some(LoadMode::Stream) => return Ok(()),
        _ if !machine.can_stream => "this build or this system cannot do it",
        _ if hparams.experts == 0 => "the model has none",
        LoadOptions { repack: Some(true), .. } => "they are not repacked",
        _ => return Ok(()),
    };
    Err(PlaceError::Stream { reason })
}

/// Refuses types of the KV cache that llama.cpp refuses once the model is loaded.
fn refuse_caches(hparams: &HParams, options: &LoadOptions) -> Result<(), PlaceError> {
    let (key, value) = (ggml(options.cache_k), ggml(options.cache_v));
    if hparams.mla.is_some() && key != value {
        return Err(PlaceError::CacheTypes { keys: key.name(), values: value.name() });
    }
    if options.flash == Flash::Off {
        // A type of whole blocks is quantized.
        return if value.block_len() > 1 {
            Err(PlaceError::CacheValues { ty: value.name() })
        } else {
            Ok(())
        };
    }
    let window = hparams
        .sliding
        .iter()
        .flat_map(|sliding| [("-ctk", key, sliding.key_length), ("-ctv", value, sliding.value_length)]);
    let full = [("-ctk", key, hparams.key_length), ("-ctv", value, hparams.value_length)];
    for (option, ty, length) in full.into_iter().chain(window) {
        if !length.is_multiple_of(ty.block_len()) {
            return Err(PlaceError::CacheBlocks { option, ty: ty.name(), length, block: ty.block_len() });
        }
    }
    Ok(())
}

/// The machine with only the requested devices, in that order.
fn with_devices(machine: &Machine, requested: Option<&[String]>) -> Result<Machine, PlaceError> {
    let Some(requested) = requested else { return Ok(machine.clone()) };
    let mut gpus = Vec::new();
    for name in requested {
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
    options.overrides.iter().map(|requested| Rule::parse(requested, &buffers)).collect()
}
