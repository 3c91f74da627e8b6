//! `ggrun plan`: places a model on this machine or an assumed one, and estimates its speed. Loads nothing.

use std::time::Duration;

use ggrun::model::rpc::WorkerError;
use ggrun::model::{
    ASSUMED_GPU, Bill, DeviceSpeed, DiskSpeed, Gpu, HParams, Line, LoadOptions, Machine, Multiplication,
    OutOfMemory, PlaceError, Placement, Speed, Stream, Work, check_with, measure, place,
};
use serde_json::json;

use crate::cli::exit::Outcome;
use crate::cli::options::common::OUTPUT;
use crate::cli::options::model::ModelArgs;
use crate::cli::options::placement::PlacementArgs;
use crate::cli::options::size::size;
use crate::cli::options::words::ModelWord;
use crate::cli::shared::{open, source};
use crate::cli::ui::out::print;
use crate::cli::ui::text;
use crate::cli::ui::when::When;

/// Time for which a device is measured.
const MEASURE: Duration = Duration::from_millis(300);
/// Tokens of the batch that layouts are compared with.
const BATCH: u32 = 64;
/// Time for which the disk is measured, if experts are read from it.
const MEASURE_DISK: Duration = Duration::from_millis(800);
/// The memory that measuring takes on a device: larger than most caches, unless too little is free.
const ROOM: u64 = 512 << 20;
/// Bytes per second below which a disk is called slow: about what SATA allows.
const SLOW_DISK: f64 = 600e6;

/// Prints how a model would be placed, the memory it needs and its expected speed
///
/// Reads the header of the file and measures this machine; loads nothing. Commands that load a model place it in the same
/// way.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun plan model.gguf
  ggrun plan model.gguf -c 32768 --gpu-memory 8G
  ggrun plan model.gguf --assume-gpu 24G --assume-ram 64G    for another machine
  ggrun plan ORG/NAME-GGUF:Q4_0 --json              a GGUF from the hub, downloaded first")]
pub(crate) struct Plan {
    #[command(flatten)]
    _model: ModelWord,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    pub(crate) placement: PlacementArgs,
    /// Plan for GPUs of these sizes instead of this machine's: 24G,24G
    #[arg(long, help_heading = "Other machine", action = clap::ArgAction::Set, value_name = "SIZE,...", value_delimiter = ',', value_parser = size)]
    assume_gpu: Option<Vec<u64>>,
    /// Plan for this much free main memory: 64G
    #[arg(long, help_heading = "Other machine", value_name = "SIZE", value_parser = size)]
    assume_ram: Option<u64>,
    /// Print one JSON object
    #[arg(long, help_heading = OUTPUT)]
    json: bool,
}

pub(crate) fn run(args: &Plan) -> anyhow::Result<Outcome> {
    let model = &source::model(&args.model, When::Auto)?;
    let options = args.placement.options(model);
    let machine = machine(args, &options)?;
    let header = check_with(model, &options.metadata, options.tensor_check)?;
    let hparams = HParams::read(&header)?;
    let placement = match place(&header, &hparams, &machine, &options) {
        Err(PlaceError::Memory(refused)) => {
            let out = if args.json { format!("{:#}\n", too_large(&refused)) } else { memory(&refused.bill) };
            open::warn(&refused.notes);
            print(&out)?;
            return Err(PlaceError::Memory(refused).into());
        }
        placement => placement?,
    };
    open::warn(&placement.notes);
    let speeds = Speeds {
        disk: placement.stream.and_then(|_| DiskSpeed::measure(model, MEASURE_DISK)),
        devices: speeds(args, &placement, &options),
    };
    let layouts = Layouts::measure(&placement, &options);
    let out = if args.json {
        let mut object = object(&placement, &options, &speeds);
        object["mapped_over_repacked"] = json!(layouts.as_ref().map(Layouts::object));
        format!("{object:#}\n")
    } else {
        show(&placement, &options, &speeds) + &layouts.map_or_else(String::new, |layouts| layouts.line())
    };
    print(&out)?;
    Ok(Outcome::Success)
}

/// What was measured.
struct Speeds {
    /// Each device that has work, main memory first.
    devices: Vec<Option<DeviceSpeed>>,
    /// The disk, if experts are read from it.
    disk: Option<DiskSpeed>,
}

impl Speeds {
    fn of(&self, placement: &Placement) -> Option<Speed> {
        placement.speed(&self.devices, self.disk.map(|disk| disk.bytes_per_second))
    }
}

/// The speed of each device that has work, main memory first.
fn speeds(args: &Plan, placement: &Placement, options: &LoadOptions) -> Vec<Option<DeviceSpeed>> {
    let threads = options.threads;
    let measured = |(work, line): (&Work, &Line)| {
        if work.bytes == 0 && work.layers == 0 {
            None
        } else if args.assume_gpu.is_some() && line.device != "CPU" {
            Some(ASSUMED_GPU)
        } else {
            let ty = placement.main_type?;
            let repacked = placement.repack && placement.either_type == Some(ty) && line.device == "CPU";
            let what = Multiplication { repacked, ..Multiplication::one_token(ty.id()) };
            measure(&line.device, what, threads, ROOM.min(line.free / 8), MEASURE)
        }
    };
    placement.work.iter().zip(&placement.bill.lines).map(measured).collect()
}

/// How fast the CPU computes a type in the layout of the file, relative to the repacked one.
struct Layouts {
    ty: &'static str,
    one_token: f64,
    batch: f64,
}

impl Layouts {
    /// Measures both, if the CPU has both for a type of the model.
    fn measure(placement: &Placement, options: &LoadOptions) -> Option<Self> {
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

    fn line(&self) -> String {
        let Self { ty, one_token, batch } = self;
        format!(
            "layout     {ty} as in the file is {one_token:.2} times as fast as repacked for one token, {batch:.2} times for a \
             batch of {BATCH}\n"
        )
    }

    fn object(&self) -> serde_json::Value {
        json!({ "type": self.ty, "one_token": self.one_token, "batch": self.batch, "batch_tokens": BATCH })
    }
}

fn machine(args: &Plan, options: &LoadOptions) -> Result<Machine, WorkerError> {
    let mut machine = Machine::with(&options.rpc)?;
    if let Some(bytes) = args.assume_ram {
        (machine.ram_total, machine.ram_available) = (bytes, bytes);
    }
    if let Some(sizes) = &args.assume_gpu {
        let gpu = |(index, bytes): (usize, &u64)| Gpu {
            name: format!("GPU{index}"),
            description: "assumed".to_owned(),
            buffer: format!("GPU{index}"),
            total: *bytes,
            free: *bytes,
            host_buffer: true,
        };
        machine.gpus = sizes.iter().enumerate().map(gpu).collect();
    }
    Ok(machine)
}

fn show(placement: &Placement, options: &LoadOptions, speeds: &Speeds) -> String {
    let mut lines = vec![
        memory(&placement.bill),
        format!(
            "context    {} tokens for each of {}",
            placement.context,
            text::plural(options.parallel.into(), "slot")
        ),
        format!("chosen     {}", placement.reason),
        format!("llama.cpp  {}", placement.command(options)),
    ];
    lines.extend(placement.stream.map(|stream| disk(&stream, speeds.disk)));
    if let Some(Speed { least, most }) = speeds.of(placement) {
        let devices = placement.work.iter().zip(&placement.bill.lines).zip(&speeds.devices);
        let reads: Vec<String> = devices
            .filter_map(|((work, line), speed)| {
                let rate = (*speed)?.bytes_per_second / f64::from(1 << 30);
                Some(format!(
                    "{} reads {} per token at {rate:.0} GiB/s",
                    line.device,
                    text::bytes(work.bytes)
                ))
            })
            .collect();
        lines.push(format!(
            "speed      {} to {} tokens/s expected: {}",
            about(least),
            about(most),
            reads.join(", ")
        ));
    }
    lines.join("\n") + "\n"
}

fn about(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// What the disk allows if experts are read from it.
fn disk(stream: &Stream, speed: Option<DiskSpeed>) -> String {
    let hits = format!("{:.0} % of chosen experts in memory", stream.hit_rate() * 100.0);
    let Some(DiskSpeed { bytes_per_second, is_steady }) = speed else {
        return format!(
            "disk       not measured: the file is too small, or cannot be read past the page cache; {hits}"
        );
    };
    let mut parts = vec![format!("reads {:.2} GiB/s", bytes_per_second / f64::from(1 << 30)), hits];
    parts.push(format!("{:.0} ms per token", stream.seconds_per_token(bytes_per_second) * 1e3));
    if let Some(rate) = stream.prompt_tokens_per_second(bytes_per_second) {
        parts.push(format!("at most {} tokens/s of a prompt", about(rate)));
    }
    if !is_steady {
        parts.push("unsteady: its slowest part was less than half as fast as its fastest".to_owned());
    } else if bytes_per_second < SLOW_DISK {
        parts.push("slow: an NVMe SSD reads 2 GiB/s and more".to_owned());
    }
    format!("disk       {}", parts.join(", "))
}

/// The memory that is needed, as a table.
fn memory(bill: &Bill) -> String {
    let head = [
        "",
        "dense",
        "experts",
        "KV cache",
        "state",
        "state cache",
        "compute",
        "program",
        "total",
        "may use",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for line in &bill.lines {
        let parts = [
            line.dense,
            line.experts + line.second_copy,
            line.kv,
            line.recurrent,
            line.state_cache,
            line.compute,
        ];
        let mut row = vec![line.device.clone()];
        row.extend(parts.into_iter().chain([line.program, line.sum()]).map(text::bytes));
        row.push(if line.budget == u64::MAX { "all".to_owned() } else { text::bytes(line.budget) });
        rows.push(row);
    }
    text::table(&rows, &[1, 2, 3, 4, 5, 6, 7, 8, 9])
}

fn object(placement: &Placement, options: &LoadOptions, speeds: &Speeds) -> serde_json::Value {
    let mut devices = devices(&placement.bill);
    for ((device, work), speed) in devices.iter_mut().zip(&placement.work).zip(&speeds.devices) {
        device["read_per_token_bytes"] = json!(work.bytes);
        device["read_bytes_per_second"] = json!(speed.map(|speed| speed.bytes_per_second));
    }
    json!({
        "schema_version": 1,
        "fits": true,
        "devices": devices,
        "gpu_layers": placement.gpu_layers,
        "cpu_expert_layers": placement.cpu_experts,
        "context": placement.context,
        "slots": options.parallel,
        "batch": placement.batch,
        "ubatch": placement.ubatch,
        "load_mode": ggrun::model::load_mode_name(placement.load),
        "repack": placement.repack,
        "reason": placement.reason,
        "llama_cpp": placement.command(options),
        "disk": placement.stream.map(|stream| disk_object(&stream, speeds.disk)),
        "tokens_per_second": speeds.of(placement).map(|Speed { least, most }| json!({ "least": least, "most": most })),
    })
}

fn disk_object(stream: &Stream, speed: Option<DiskSpeed>) -> serde_json::Value {
    let rate = speed.map(|speed| speed.bytes_per_second);
    json!({
        "read_bytes_per_second": rate,
        "is_steady": speed.map(|speed| speed.is_steady),
        "expert_bytes": stream.experts,
        "expert_bytes_in_memory": stream.room,
        "expert_bytes_per_token": stream.per_token,
        "hit_rate": stream.hit_rate(),
        "seconds_per_token": rate.map(|rate| stream.seconds_per_token(rate)),
        "prompt_tokens_per_second": rate.and_then(|rate| stream.prompt_tokens_per_second(rate)),
    })
}

/// The result for a model that does not fit.
fn too_large(refused: &OutOfMemory) -> serde_json::Value {
    json!({
        "schema_version": 1,
        "fits": false,
        "devices": devices(&refused.bill),
        "remedies": refused.remedies,
    })
}

fn devices(bill: &Bill) -> Vec<serde_json::Value> {
    let device = |line: &Line| {
        json!({
            "name": line.device, "total_bytes": line.total, "free_bytes": line.free,
            "budget_bytes": (line.budget != u64::MAX).then_some(line.budget),
            "dense_bytes": line.dense, "expert_bytes": line.experts, "second_copy_bytes": line.second_copy,
            "kv_bytes": line.kv, "recurrent_bytes": line.recurrent, "state_cache_bytes": line.state_cache,
            "compute_bytes": line.compute, "program_bytes": line.program, "mapped_bytes": line.mapped,
            "used_bytes": line.sum(),
        })
    };
    bill.lines.iter().map(device).collect()
}
