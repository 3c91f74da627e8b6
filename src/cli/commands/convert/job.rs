//! A conversion that is planned, and what it made.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gguf_export::checkpoint::Checkpoint;
use gguf_export::export::{OutputFile, export_supplied, outputs};
use gguf_export::plan::{Plan, PlanOptions};
use gguf_export::supply::Supply;
use gguf_export::verify::Report;
use gguf_export::{ExportOptions, Progress};

use super::args::Convert;
use crate::cli::ui::progress::Bar;

pub(super) fn plan_options(args: &Convert) -> PlanOptions {
    PlanOptions {
        outtype: args.outtype.into(),
        fp8: args.fp8.map(Into::into),
        lm_head: args.lm_head.map(Into::into),
        token_embd: args.token_embd.map(Into::into),
        mtp: args.mtp_type.map(Into::into),
        allow_rounding: args.allow_rounding,
        name: args.name.clone(),
        ..PlanOptions::default()
    }
}

pub(super) fn observer(bar: &Bar) -> impl Fn(Progress<'_>) + Sync {
    |progress| bar.observe(progress)
}

/// What a conversion made, or would.
pub(super) struct Converted {
    pub(super) plan: Plan,
    pub(super) files: Vec<OutputFile>,
    /// Bytes that an interrupted run had written.
    pub(super) resumed: u64,
    pub(super) report: Option<Report>,
}

/// A conversion that is planned.
pub(super) struct Job<'a> {
    args: &'a Convert,
    checkpoint: &'a Checkpoint,
    pub(super) plan: Plan,
    pub(super) out: PathBuf,
    options: ExportOptions,
    pub(super) files: Vec<OutputFile>,
}

impl<'a> Job<'a> {
    pub(super) fn new(args: &'a Convert, checkpoint: &'a Checkpoint, plan: Plan) -> anyhow::Result<Self> {
        let out = match &args.output {
            Some(file) if !file.is_dir() => file.clone(),
            folder => folder.clone().unwrap_or_default().join(plan.file_name(checkpoint)?),
        };
        let options = ExportOptions {
            threads: args.common.threads(),
            overwrite: args.force,
            resume: !args.no_resume,
            split_max_bytes: args.split_max_size,
            prove: false,
        };
        let files = outputs(&plan, &out, &options)?;
        Ok(Self { args, checkpoint, plan, out, options, files })
    }

    /// Bytes of the files that are still to be written, at most.
    pub(super) fn missing(&self) -> u64 {
        let held = |file: &OutputFile| {
            let mut part = file.path.clone().into_os_string();
            part.push(".part");
            gguf_export::io::allocated(part.as_ref())
        };
        self.files.iter().map(|file| file.bytes.saturating_sub(held(file))).sum()
    }

    pub(super) fn run(
        self,
        supply: &dyn Supply,
        prove: bool,
        bar: &Bar,
        stop: &AtomicBool,
    ) -> anyhow::Result<Converted> {
        let Self { args, checkpoint, plan, out, options, files } = self;
        if args.dry_run {
            return Ok(Converted { plan, files, resumed: 0, report: None });
        }
        let from_before = AtomicU64::new(0);
        let options = ExportOptions { prove, ..options };
        let exported = export_supplied(checkpoint, &plan, &out, &options, supply, stop, &|progress| {
            if let Progress::Planned { resumed, .. } = progress {
                from_before.store(resumed, Ordering::Relaxed);
            }
            bar.observe(progress);
        })?;
        Ok(Converted { plan, files, resumed: from_before.into_inner(), report: exported.report })
    }
}
