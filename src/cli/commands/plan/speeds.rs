//! What `ggrun plan` measures: devices, copies to them, the disk, and layouts of weights.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ggrun::model::rates::{Origin, Rate, Rates};
use ggrun::model::{
    ASSUMED_GPU, ASSUMED_TRANSFER, DeviceSpeed, DiskSpeed, Gpu, Line, LoadOptions, Machine, Multiplication,
    Placement, Speed, Work, measure,
};
use serde_json::json;

use crate::cli::ui::text;

/// Time for which the CPU is measured.
const MEASURE: Duration = Duration::from_millis(300);
/// Tokens of the batch that layouts are compared with.
const BATCH: u32 = 64;
/// Time for which the disk is measured, if experts are read from it.
const MEASURE_DISK: Duration = Duration::from_millis(800);
/// The memory that measuring takes on a device: larger than most caches, unless too little is free.
const ROOM: u64 = 512 << 20;

/// What was measured.
pub(super) struct Speeds {
    /// Each device that has work, main memory first.
    devices: Vec<Option<Rate<DeviceSpeed>>>,
    /// Copies from main memory to each device.
    transfers: Vec<Option<Rate<f64>>>,
    /// The disk, if experts are read from it.
    pub(super) disk: Option<DiskSpeed>,
    /// The file that keeps speeds of GPUs.
    file: Option<PathBuf>,
}

impl Speeds {
    /// Measures what a placement uses.
    pub(super) fn measure(
        model: &Path,
        placement: &Placement,
        options: &LoadOptions,
        machine: &Machine,
        rates: &mut Rates,
    ) -> Self {
        let gpu = |line: &Line| machine.gpus.iter().find(|gpu| gpu.name == line.device);
        let work = placement.work.iter().zip(&placement.bill.lines);
        let devices = work
            .map(|(work, line)| {
                is_used(work).then(|| device(gpu(line), (work, line), placement, options, rates)).flatten()
            })
            .collect();
        let work = placement.work.iter().zip(&placement.bill.lines);
        let transfers = work.map(|(_, line)| transfer(gpu(line)?, rates)).collect();
        rates.save();
        let disk = placement.stream.and_then(|_| DiskSpeed::measure(model, MEASURE_DISK));
        Self { devices, transfers, disk, file: rates.path().map(Path::to_owned) }
    }

    /// The speed to expect.
    pub(super) fn of(&self, placement: &Placement) -> Option<Speed> {
        let devices: Vec<_> = self.devices.iter().map(|rate| rate.map(|rate| rate.value)).collect();
        placement.speed(&devices, self.disk.map(|disk| disk.bytes_per_second))
    }

    /// What each device reads for a token, and how fast.
    pub(super) fn reads(&self, placement: &Placement) -> Vec<String> {
        let devices = placement.work.iter().zip(&placement.bill.lines).zip(&self.devices);
        devices
            .filter_map(|((work, line), rate)| {
                let rate = rate.as_ref()?.value.bytes_per_second / f64::from(1 << 30);
                Some(format!(
                    "{} reads {} per token at {rate:.1} GiB/s",
                    line.device,
                    text::bytes(work.bytes)
                ))
            })
            .collect()
    }

    /// What was measured and what is assumed; `None` without GPUs.
    pub(super) fn origins(&self, placement: &Placement) -> Option<String> {
        let mut parts = Vec::new();
        for ((line, rate), transfer) in placement.bill.lines.iter().zip(&self.devices).zip(&self.transfers) {
            parts.extend(rate.map(|rate| format!("{} {}", line.device, origin(rate.origin))));
            parts.extend(transfer.map(|Rate { value, origin: from }| {
                let rate = value / f64::from(1 << 30);
                format!("copies to {} at {rate:.1} GiB/s {}", line.device, origin(from))
            }));
        }
        let is_kept = |from: Origin| from == Origin::Kept;
        let is_any_kept = self.devices.iter().flatten().any(|rate| is_kept(rate.origin))
            || self.transfers.iter().flatten().any(|rate| is_kept(rate.origin));
        let file = self.file.as_ref().filter(|_| is_any_kept);
        let file =
            file.map_or_else(String::new, |file| format!("; delete `{}` to measure again", file.display()));
        (placement.bill.lines.len() > 1).then(|| format!("rates      {}{file}", parts.join(", ")))
    }

    /// Adds the speeds to devices in JSON.
    pub(super) fn describe(&self, placement: &Placement, devices: &mut [serde_json::Value]) {
        let speeds = placement.work.iter().zip(&self.devices).zip(&self.transfers);
        for (device, ((work, rate), transfer)) in devices.iter_mut().zip(speeds) {
            device["read_per_token_bytes"] = json!(work.bytes);
            device["read_bytes_per_second"] = json!(rate.map(|rate| rate.value.bytes_per_second));
            device["read_origin"] = json!(rate.map(|rate| name(rate.origin)));
            device["copy_bytes_per_second"] = json!(transfer.map(|rate| rate.value));
            device["copy_origin"] = json!(transfer.map(|rate| name(rate.origin)));
        }
    }
}

fn is_used(work: &Work) -> bool {
    work.bytes > 0 || work.layers > 0
}

/// How fast a device, the CPU or a GPU, multiplies the weights of the model by one vector.
fn device(
    gpu: Option<&Gpu>,
    (work, line): (&Work, &Line),
    placement: &Placement,
    options: &LoadOptions,
    rates: &mut Rates,
) -> Option<Rate<DeviceSpeed>> {
    let ty = work.ty?;
    let room = ROOM.min(line.free / 8);
    let one = Multiplication::one_token(ty.id());
    match gpu {
        Some(gpu) if gpu.is_assumed() => Some(Rate { value: ASSUMED_GPU, origin: Origin::Assumed }),
        Some(gpu) => rates.gpu(gpu, one, room),
        None => {
            let repacked = placement.repack && placement.either_type == Some(ty);
            let what = Multiplication { repacked, ..one };
            let value = measure(&line.device, what, options.threads, room, MEASURE)?;
            Some(Rate { value, origin: Origin::Measured })
        }
    }
}

fn transfer(gpu: &Gpu, rates: &mut Rates) -> Option<Rate<f64>> {
    if gpu.is_assumed() {
        return Some(Rate { value: ASSUMED_TRANSFER, origin: Origin::Assumed });
    }
    rates.transfer(gpu, ROOM.min(gpu.free / 8))
}

/// How fast the CPU computes a type in the layout of the file, relative to the repacked one.
pub(super) struct Layouts {
    ty: &'static str,
    one_token: f64,
    batch: f64,
}

impl Layouts {
    /// Measures both, if the CPU has both for a type of the model.
    pub(super) fn measure(placement: &Placement, options: &LoadOptions) -> Option<Self> {
        let (ty, line) = (placement.either_type?, placement.bill.lines.first()?);
        let room = ROOM.min(line.free / 8);
        let speed = |repacked, vectors| {
            let what = Multiplication { ty: ty.id(), repacked, vectors };
            let speed = measure(&line.device, what, options.threads, room, MEASURE / 2)?;
            Some(speed.bytes_per_second)
        };
        let ratio = |vectors| Some(speed(false, vectors)? / speed(true, vectors)?);
        Some(Self { ty: ty.name(), one_token: ratio(1)?, batch: ratio(BATCH)? })
    }

    pub(super) fn line(&self) -> String {
        let Self { ty, one_token, batch } = self;
        format!(
            "layout     {ty} as in the file is {one_token:.2} times as fast as repacked for one token, {batch:.2} times for a \
             batch of {BATCH}\n"
        )
    }

    pub(super) fn object(&self) -> serde_json::Value {
        json!({ "type": self.ty, "one_token": self.one_token, "batch": self.batch, "batch_tokens": BATCH })
    }
}

/// An origin in text.
fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Measured => "measured",
        Origin::Kept => "measured earlier",
        Origin::Assumed => "assumed",
    }
}

/// An origin in JSON.
pub(super) fn name(origin: Origin) -> &'static str {
    match origin {
        Origin::Measured => "measured",
        Origin::Kept => "kept",
        Origin::Assumed => "assumed",
    }
}
