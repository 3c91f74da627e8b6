//! A planned conversion: its files, and the export.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gguf_export::checkpoint::Checkpoint;
use gguf_export::export::{OutputFile, export_supplied, missing_bytes, outputs};
use gguf_export::supply::Supply;
use gguf_export::{ExportOptions, Plan, Progress};

use super::types::{Converted, Observer, Options, Step};

/// A planned conversion.
pub(super) struct Job<'a> {
    options: &'a Options,
    checkpoint: &'a Checkpoint,
    plan: Plan,
    files: Vec<OutputFile>,
    /// The first file.
    pub(super) out: PathBuf,
}

impl<'a> Job<'a> {
    pub(super) fn new(
        options: &'a Options,
        checkpoint: &'a Checkpoint,
        plan: Plan,
    ) -> gguf_export::Result<Self> {
        let out = match &options.output {
            Some(file) if !file.is_dir() => file.clone(),
            folder => folder.clone().unwrap_or_default().join(plan.file_name(checkpoint)?),
        };
        let files = outputs(&plan, &out, &options.export)?;
        Ok(Self { options, checkpoint, plan, files, out })
    }

    /// Bytes of the files that are still to be written, at most; `None` if they only have to be renamed.
    pub(super) fn missing(&self) -> gguf_export::Result<Option<u64>> {
        missing_bytes(self.checkpoint, &self.plan, &self.out, &self.options.export)
    }

    /// Writes the files, and removes those that only an interrupted run would need; nothing in a dry run.
    pub(super) fn run(
        self,
        supply: &dyn Supply,
        prove: bool,
        remove_at_end: Vec<PathBuf>,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> gguf_export::Result<Converted> {
        let Self { options, checkpoint, plan, files, out } = self;
        if options.dry_run {
            return Ok(Converted { plan, files, resumed: 0, report: None });
        }
        observer(Step::Planned(&plan));
        let from_before = AtomicU64::new(0);
        let export =
            ExportOptions { prove: prove || options.export.prove, remove_at_end, ..options.export.clone() };
        let exported = export_supplied(checkpoint, &plan, &out, &export, supply, stop, &|progress| {
            if let Progress::Planned { resumed, .. } = progress {
                from_before.store(resumed, Ordering::Relaxed);
            }
            observer(Step::Export(progress));
        })?;
        Ok(Converted { plan, files, resumed: from_before.into_inner(), report: exported.report })
    }
}
