//! `ggrun verify`.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, bail};
use gguf_export::checkpoint::Checkpoint;
use gguf_export::verify::{Report, VerifyOptions, receipt, verify};
use serde_json::json;

use super::args::Verify;
use super::interrupt::Interrupt;
use super::progress::Bar;
use super::source::{self, Source, Want};
use super::{Outcome, text};

pub(crate) fn run(args: &Verify) -> anyhow::Result<Outcome> {
    // Known before the work of hours, not after it.
    let folder =
        args.receipt.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        bail!("cannot write the receipt: `{}` is not a folder", folder.display());
    }
    if let Source::Repo(_) = Source::of(&args.source) {
        // So is this.
        File::open(&args.gguf).with_context(|| format!("cannot verify `{}`", args.gguf.display()))?;
    }
    let source = source::local(&args.source, Want::Checkpoint, false, args.common.progress)?;
    let bar = Bar::new("Verifying", args.common.progress);
    let interrupt = Interrupt::listen();
    let options = VerifyOptions { threads: args.common.threads(), allow_rounding: args.allow_rounding };
    let compare = || -> gguf_export::Result<_> {
        let checkpoint = Checkpoint::open(&source)?;
        let report = verify(&checkpoint, &args.gguf, options, interrupt.flag(), &|p| bar.observe(p))?;
        let receipt = args.receipt.as_ref().map(|_| receipt(&checkpoint, &args.gguf, &report)).transpose()?;
        Ok((report, receipt))
    };
    let done = compare().with_context(|| format!("cannot verify `{}`", args.gguf.display()));
    bar.clear();
    let (report, receipt) = done?;
    if let (Some(path), Some(receipt)) = (&args.receipt, receipt) {
        let text = serde_json::to_string_pretty(&receipt)? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    if args.common.json {
        super::print(&format!("{:#}\n", describe(&report)))?;
    } else {
        super::print(&(sentence(&report) + "\n"))?;
        for difference in &report.differences {
            super::print(&format!("  {difference}\n"))?;
        }
    }
    Ok(if report.equal() { Outcome::Success } else { Outcome::Differs })
}

/// The result in one line.
pub(crate) fn sentence(report: &Report) -> String {
    let tensors = text::plural(report.tensors as u64, "tensor");
    let values = text::plural(report.values, "value");
    let keys = text::plural(report.keys as u64, "metadata key");
    if !report.equal() {
        let differences = text::plural(report.count, "difference");
        return format!("differs: {differences} in {tensors}, {values}, {keys}; the first:");
    }
    let rounded = match report.rounded {
        0 => String::new(),
        n => format!("; {} rounded, as the file says", text::plural(n as u64, "tensor")),
    };
    format!("equal: {tensors}, {values}, {keys}{rounded}")
}

fn describe(report: &Report) -> serde_json::Value {
    let differences: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
    json!({
        "schema_version": 1, "equal": report.equal(), "tensors": report.tensors, "values": report.values,
        "keys": report.keys, "rounded": report.rounded, "differences": report.count,
        "first_differences": differences,
    })
}
