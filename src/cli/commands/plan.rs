//! `ggrun plan`: places a model on this machine or an assumed one, and estimates its speed. Loads nothing.

mod speeds;

use ggrun::model::rates::Rates;
use ggrun::model::rpc::WorkerError;
use ggrun::model::{
    Bill, DiskSpeed, Gpu, HParams, Line, LoadOptions, Machine, OutOfMemory, PlaceError, Placement, Prefill,
    PrefillReason, Speed, Stream, check_with, place_measured,
};
use serde_json::json;
use speeds::{Layouts, Speeds, name};

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

/// Bytes per second below which a disk is called slow: about what SATA allows.
const SLOW_DISK: f64 = 600e6;

/// Prints how a model would be placed, the memory it needs and its expected speed
///
/// Reads the header of the file and measures this machine; loads nothing. Commands that load a model place it in the same
/// way. Speeds of GPUs are kept in the cache folder. A worker is measured briefly each time, because the network is part of
/// its speed; copies to it are not, because weights in main memory are never copied to a worker.
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
    let rates = &mut Rates::of_user();
    let placement = match place_measured(&header, &hparams, &machine, &options, rates, || Ok(())) {
        Err(PlaceError::Memory(refused)) => {
            let out = if args.json { format!("{:#}\n", too_large(&refused)) } else { memory(&refused.bill) };
            open::warn(&refused.notes);
            print(&out)?;
            return Err(PlaceError::Memory(refused).into());
        }
        placement => placement?,
    };
    open::warn(&placement.notes);
    let speeds = Speeds::measure(model, &placement, &options, &machine, rates);
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

fn machine(args: &Plan, options: &LoadOptions) -> Result<Machine, WorkerError> {
    let mut machine = Machine::with(&options.rpc)?;
    if let Some(bytes) = args.assume_ram {
        (machine.ram_total, machine.ram_available) = (bytes, bytes);
    }
    if let Some(sizes) = &args.assume_gpu {
        let gpu = |(index, bytes): (usize, &u64)| Gpu::assumed(index, *bytes);
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
        lines.push(format!(
            "speed      {} to {} tokens/s expected: {}",
            about(least),
            about(most),
            speeds.reads(placement).join(", ")
        ));
    }
    lines.extend(speeds.origins(placement));
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
    speeds.describe(placement, &mut devices);
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
        "prefill": placement.prefill.as_ref().map(prefill_object),
        "disk": placement.stream.map(|stream| disk_object(&stream, speeds.disk)),
        "tokens_per_second": speeds.of(placement).map(|Speed { least, most }| json!({ "least": least, "most": most })),
    })
}

/// How prefill computes with weights in main memory.
fn prefill_object(prefill: &Prefill) -> serde_json::Value {
    let (reason, times) = match prefill.reason {
        PrefillReason::Option => ("option", None),
        PrefillReason::Default => ("default", None),
        PrefillReason::Memory => ("memory", None),
        PrefillReason::Faster { cpu, copied, origin } => ("faster", Some((cpu, copied, origin))),
    };
    json!({
        "gpu": prefill.gpu,
        "tokens": prefill.tokens,
        "copies_from_tokens": prefill.copies_from,
        "reason": reason,
        "cpu_seconds": times.map(|(cpu, ..)| cpu),
        "copied_seconds": times.map(|(_, copied, _)| copied),
        "origin": times.map(|(.., origin)| name(origin)),
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
