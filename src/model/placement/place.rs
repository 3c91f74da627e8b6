//! Places a model, or says what would make it fit.

use super::Machine;
use super::cost::Model;
use super::error::{OutOfMemory, PlaceError};
use super::remedies::remedies;
use super::search::attempt;
use super::types::Placement;
use super::weights::{Rule, weights};
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
    let machine = &with_devices(machine, options.devices.as_deref())?;
    let weights = &weights(header, hparams);
    let rules = rules(machine, options)?;
    let model = Model { weights, hparams, machine, options };
    match attempt(model, &rules)? {
        Ok(placement) => Ok(placement),
        Err(bill) => {
            let remedies = remedies(model, &rules);
            Err(PlaceError::Memory(Box::new(OutOfMemory { bill, remedies })))
        }
    }
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
