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
use super::source::{self, HubModel, Source};
use super::{Outcome, lent, text};

pub(crate) fn run(args: &Verify) -> anyhow::Result<Outcome> {
    // Known before the work of hours, not after it.
    let folder =
        args.receipt.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        bail!("cannot write the receipt: `{}` is not a folder", folder.display());
    }
    let failed = || format!("cannot verify `{}`", args.gguf.display());
    // So is what lies here, where the other end is fetched.
    match (Source::of(&args.source), HubModel::of(&args.gguf)) {
        (Source::Repo(_), None) => drop(File::open(&args.gguf).with_context(failed)?),
        (Source::Path(path), Some(_)) => drop(Checkpoint::open(&path).with_context(failed)?),
        _ => {}
    }
    let gguf = source::gguf(&args.gguf, false, args.common.progress)?;
    let source = source::checkpoint(&args.source, args.common.progress)?;
    let bar = Bar::new("Verifying", args.common.progress);
    let interrupt = Interrupt::listen();
    let options = VerifyOptions { threads: args.common.threads(), allow_rounding: args.allow_rounding };
    let compare = || -> anyhow::Result<_> {
        let mut checkpoint = Checkpoint::open(&source)?;
        let mut borrowed = None;
        if let Some(repo) = &args.mtp_from {
            // Beside a GGUF of one's own, as a conversion keeps it; the hub's cache is no place for it.
            let folder = if gguf == args.gguf { gguf.parent() } else { None };
            let folder = folder.unwrap_or(Path::new(""));
            let shard = lent::take(repo, &checkpoint, folder, &bar, interrupt.flag())?;
            borrowed = Some(shard.path.clone());
            checkpoint = lent::with(&checkpoint, shard)?;
        }
        let report = verify(&checkpoint, &gguf, options, interrupt.flag(), &|p| bar.observe(p))?;
        let receipt = args.receipt.as_ref().map(|_| receipt(&checkpoint, &gguf, &report)).transpose()?;
        borrowed.as_deref().map(lent::give_back).transpose()?;
        Ok((report, receipt))
    };
    let done = compare().with_context(failed);
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
