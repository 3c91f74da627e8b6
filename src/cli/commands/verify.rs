//! `ggrun verify`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ggrun::atomic::{self, Access};
use ggrun::convert::{Origin, mtp};
use ggrun::hub::{Event, Hub, Settings};
use gguf_export::checkpoint::Checkpoint;
use gguf_export::verify::{Report, VerifyOptions, receipt, verify};
use serde_json::json;

use crate::cli::exit::Outcome;
use crate::cli::interrupt::Interrupt;
use crate::cli::options::common::{Common, OUTPUT};
use crate::cli::options::file;
use crate::cli::options::hub::{self, Source};
use crate::cli::options::types::ZeroPoints;
use crate::cli::shared::conversion::{sentence, unwrapped};
use crate::cli::shared::source;
use crate::cli::ui::out::print_result;
use crate::cli::ui::progress::Bar;

/// Verifies that a GGUF holds exactly what its checkpoint holds
///
/// Compares every value, every scale, the metadata and the tokenizer, with decoders that share no code with the
/// converter. Prints the first differences and exits with 3 if there are any.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ggrun verify model.gguf ./checkpoint --receipt model.receipt.json
  ggrun verify model.gguf ORG/NAME                  a checkpoint on the hub
  ggrun verify ORG/NAME-GGUF:Q4_0 ./checkpoint      a GGUF from the hub
  ggrun verify model.gguf ORG/NAME --mtp-from ORG/ORIGINAL")]
pub(crate) struct Verify {
    /// GGUF: a file, the first file of a split one, or ORG/NAME[@REVISION][:QUANT] on the hub
    pub(crate) gguf: PathBuf,
    /// Checkpoint it was made from: a folder, or ORG/NAME[@REVISION] on the hub
    pub(crate) source: PathBuf,
    /// Compare the MTP layer (mtp.*) with this repository, as `convert --mtp-from` took it
    #[arg(long, value_name = "REPO", hide_short_help = true)]
    pub(crate) mtp_from: Option<ggrun::hub::RepoName>,
    /// Accept tensors that the file declares as rounded, within the rounding of their type
    #[arg(long)]
    pub(crate) allow_rounding: bool,
    /// Set how GPTQ zero points are stored, as for `convert` [default: from the configuration]
    #[arg(long, value_enum, value_name = "VERSION", hide_short_help = true)]
    pub(crate) zero_points: Option<ZeroPoints>,
    /// Write the result and the SHA-256 of every file to this file
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub(crate) receipt: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
}

pub(crate) fn run(args: &Verify) -> anyhow::Result<Outcome> {
    // Checked before hours of work.
    let folder = args.receipt.as_deref().map(atomic::folder);
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        bail!("cannot write the receipt: `{}` is not a folder", folder.display());
    }
    refuse_swapped(&args.gguf, &args.source)?;
    let failed = || format!("cannot verify `{}`", args.gguf.display());
    // The local end is checked before the other end is fetched.
    match (Source::of(&args.source)?, hub::model(&args.gguf)?) {
        (Source::Repo(_), None) => file::regular(&args.gguf).with_context(failed)?,
        (Source::Path(path), Some(_)) => drop(Checkpoint::open(&path).with_context(failed)?),
        _ => {}
    }
    let gguf = source::gguf(&args.gguf, false, args.common.progress)?;
    let source = source::checkpoint(&args.source, args.common.progress)?;
    let bar = Bar::new("Verifying", args.common.progress);
    let interrupt = Interrupt::listen();
    let options = VerifyOptions {
        threads: args.common.threads(),
        zero_points: args.zero_points.map(Into::into),
        allow_rounding: args.allow_rounding,
    };
    let compare = || -> anyhow::Result<_> {
        let mut checkpoint = Checkpoint::open(&source)?;
        let mut borrowed = None;
        if let Some(repo) = &args.mtp_from {
            // Beside a local GGUF, where a conversion keeps it, and not in the hub's cache.
            let folder = if gguf == args.gguf { gguf.parent() } else { None };
            let folder = folder.unwrap_or(Path::new(""));
            let client = Hub::new(Settings::read()?)?;
            let (origin, arrives) = (Origin { hub: &client, repo }, |event: Event<'_>| bar.fetch(event));
            let shard =
                mtp::borrow(origin, &checkpoint, folder, interrupt.flag(), &arrives).map_err(unwrapped)?;
            borrowed = Some(shard.path.clone());
            checkpoint = mtp::beside(&checkpoint, shard)?;
        }
        let report = verify(&checkpoint, &gguf, options, interrupt.flag(), &|p| bar.observe(p))?;
        let receipt = args.receipt.as_ref().map(|_| receipt(&checkpoint, &gguf, &report)).transpose()?;
        borrowed.as_deref().map(mtp::remove).transpose()?;
        Ok((report, receipt))
    };
    let done = compare().with_context(failed);
    bar.clear();
    let (report, receipt) = done?;
    if let (Some(path), Some(receipt)) = (&args.receipt, receipt) {
        let text = serde_json::to_string_pretty(&receipt)? + "\n";
        atomic::write(path, text.as_bytes(), Access::Usual)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    if args.common.json {
        print_result(&format!("{:#}\n", describe(&report)))?;
    } else {
        let differences = report.differences.iter().map(|difference| format!("  {difference}\n"));
        print_result(&(sentence(&report) + "\n" + &differences.collect::<String>()))?;
    }
    Ok(if report.equal() { Outcome::Success } else { Outcome::Differs })
}

/// Refuses a checkpoint in place of the GGUF, and a GGUF in place of the checkpoint.
fn refuse_swapped(gguf: &Path, source: &Path) -> anyhow::Result<()> {
    let (one, other) = (gguf.display(), source.display());
    if source.is_file() && !gguf.is_file() {
        bail!(
            "`{other}` is a file, expected a checkpoint; pass the GGUF first: `ggrun verify {other} {one}`"
        );
    }
    if gguf.is_dir() {
        bail!("`{one}` is a folder, expected a GGUF; pass the GGUF first, then the folder of its checkpoint");
    }
    if source.is_file() {
        bail!(
            "`{other}` is a file, expected a checkpoint: a folder with `config.json` and safetensors files"
        );
    }
    Ok(())
}

fn describe(report: &Report) -> serde_json::Value {
    let differences: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
    json!({
        "schema_version": 1, "equal": report.equal(), "tensors": report.tensors, "values": report.values,
        "keys": report.keys, "rounded": report.rounded, "rounded_values": report.inexact,
        "left_out": report.left_out, "other_parts": report.other_parts,
        "second_copies": report.second_copies, "ignored_config_keys": report.ignored_keys,
        "differences": report.count, "first_differences": differences,
    })
}
