//! Places a model on a machine, with what is measured for the purpose: devices are measured only where it makes a difference.

use std::time::Duration;

use super::placement::{BatchRates, Gpu, Machine, PerByte, PlaceError, Placement, PrefillReason, place};
use super::rates::{Origin, Rate, Rates};
use super::{DeviceSpeed, HParams, Header, LoadOptions, Multiplication};

/// The memory that measuring takes, unless too little is free.
const ROOM: u64 = 256 << 20;
/// Bytes per second that are copied to a GPU that is not there: `PCIe` 4.0 with 8 lanes, or 3.0 with 16.
pub const ASSUMED_TRANSFER: f64 = 12e9;
/// The speed of a GPU that is not there: that of small and old ones.
pub const ASSUMED_GPU: DeviceSpeed =
    DeviceSpeed { bytes_per_second: 300e9, node: Duration::from_micros(3), start: Duration::from_micros(20) };
/// The speed at which such a GPU multiplies weights by [`PerByte::MANY`] vectors.
const ASSUMED_BATCH: DeviceSpeed = DeviceSpeed { bytes_per_second: 150e9, ..ASSUMED_GPU };

/// Decides where weights, caches and states are placed. If weights stay in main memory beside a GPU, the CPU and the GPU
/// are measured, unless options say which computes prefill; `before` is called first.
///
/// # Errors
///
/// When a device, a buffer type or a pattern is invalid, or when the model does not fit.
pub fn place_measured<E: From<PlaceError>>(
    header: &Header,
    hparams: &HParams,
    machine: &Machine,
    options: &LoadOptions,
    rates: &mut Rates,
    before: impl FnOnce() -> Result<(), E>,
) -> Result<Placement, E> {
    let placed = place(header, hparams, machine, options)?;
    let undecided = placed.prefill.as_ref().filter(|prefill| prefill.reason != PrefillReason::Option);
    let gpu = undecided.and_then(|prefill| machine.gpus.iter().find(|gpu| gpu.name == prefill.gpu));
    let Some(gpu) = gpu else { return Ok(placed) };
    before()?;
    let batch = measured(&placed, gpu, machine, options, rates);
    rates.save();
    let Some(batch) = batch else { return Ok(placed) };
    Ok(place(header, hparams, &Machine { batch: Some(batch), ..machine.clone() }, options)?)
}

/// The speeds by which prefill is placed.
fn measured(
    placed: &Placement,
    gpu: &Gpu,
    machine: &Machine,
    options: &LoadOptions,
    rates: &mut Rates,
) -> Option<BatchRates> {
    let ty = placed.work.first()?.ty?.id();
    let repacked = placed.repack && placed.either_type.is_some_and(|either| either.id() == ty);
    let threads = options.threads_batch.unwrap_or(options.threads);
    let one = |repacked| Multiplication { repacked, ..Multiplication::one_token(ty) };
    let many = |repacked| Multiplication { vectors: PerByte::MANY, ..one(repacked) };
    let room = ROOM.min(machine.ram_available / 8);
    let cpu = PerByte::of(
        rates.cpu(one(repacked), threads, room)?.value,
        rates.cpu(many(repacked), threads, room)?.value,
    );
    if gpu.is_assumed() {
        let gpu = Some(PerByte::of(ASSUMED_GPU, ASSUMED_BATCH));
        return Some(BatchRates { cpu, gpu, transfer: ASSUMED_TRANSFER, origin: Origin::Assumed });
    }
    let room = ROOM.min(gpu.free / 8);
    let Rate { value: transfer, origin } = rates.transfer(gpu, room)?;
    let mut batch = BatchRates { cpu, gpu: None, transfer, origin };
    if batch.may_copy() {
        let (one, many) = (rates.gpu(gpu, one(false), room)?, rates.gpu(gpu, many(false), room)?);
        batch.gpu = Some(PerByte::of(one.value, many.value));
    }
    Some(batch)
}
