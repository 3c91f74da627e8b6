//! The four steps of the library: open, survey, export, verify. Prints the time and the throughput of each.
//!
//! ```text
//! cargo run --release -p gguf-export --example convert -- CHECKPOINT OUT.gguf [--no-verify]
//! ```
#![expect(clippy::print_stdout, reason = "an example prints its results")]
#![expect(clippy::cast_precision_loss, reason = "a rate needs few digits")]

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use gguf_export::checkpoint::Checkpoint;
use gguf_export::verify::{VerifyOptions, verify};
use gguf_export::{ExportOptions, PlanOptions, Result, export, survey};

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let (Some(source), Some(out)) = (args.next().map(PathBuf::from), args.next().map(PathBuf::from)) else {
        println!("usage: convert CHECKPOINT OUT.gguf [--no-verify]");
        return Ok(());
    };
    let check = args.next().is_none();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let stop = AtomicBool::new(false);

    let clock = Instant::now();
    let checkpoint = Checkpoint::open(&source)?;
    let read: u64 = checkpoint.tensors().iter().map(|t| t.bytes).sum();
    report("open", clock, None);

    let clock = Instant::now();
    let plan = survey(&checkpoint, &PlanOptions::default(), threads, &stop, &|_| {})?;
    report("survey", clock, None);

    let clock = Instant::now();
    let options = ExportOptions { threads, overwrite: true, resume: false, ..ExportOptions::default() };
    export(&checkpoint, &plan, &out, &options, &stop, &|_| {})?;
    report("export", clock, Some(read));

    if check {
        let clock = Instant::now();
        let options = VerifyOptions { threads, ..VerifyOptions::default() };
        let found = verify(&checkpoint, &out, options, &stop, &|_| {})?;
        report("verify", clock, Some(read));
        println!("{} values, {} differences", found.values, found.count);
    }
    Ok(())
}

fn report(step: &str, clock: Instant, bytes: Option<u64>) {
    let seconds = clock.elapsed().as_secs_f64();
    let rate =
        bytes.map_or_else(String::new, |b| format!(", {:.2} GB/s of source", b as f64 / seconds / 1e9));
    println!("{step}: {seconds:.3} s{rate}{}", peak_memory());
}

/// Peak resident set size of this process; empty if unknown.
fn peak_memory() -> String {
    let status = gguf_export::io::read_to_string("/proc/self/status".as_ref(), 1 << 16).unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    if peak.is_empty() { String::new() } else { format!(", peak memory {}", peak.trim()) }
}
