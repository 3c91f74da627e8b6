//! A planned conversion: its files, and the export.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gguf_export::checkpoint::Checkpoint;
use gguf_export::export::{Missing, OutputFile, export_supplied, missing, outputs};
use gguf_export::supply::Supply;
use gguf_export::{ExportOptions, Plan, Progress};

use super::types::{Converted, Observer, Options, Step};

/// A planned conversion.
pub(super) struct Job<'a> {
    options: &'a Options,
    export: ExportOptions,
    checkpoint: &'a Checkpoint,
    plan: Plan,
    files: Vec<OutputFile>,
    /// The first file.
    pub(super) out: PathBuf,
}

impl<'a> Job<'a> {
    /// With `prove`, everything is proven even if the options do not request it.
    pub(super) fn new(
        options: &'a Options,
        checkpoint: &'a Checkpoint,
        plan: Plan,
        prove: bool,
    ) -> gguf_export::Result<Self> {
        let export = ExportOptions { prove: prove || options.export.prove, ..options.export.clone() };
        let out = match &options.output {
            Some(file) if !file.is_dir() => file.clone(),
            folder => folder.clone().unwrap_or_default().join(plan.file_name(checkpoint)?),
        };
        let files = outputs(&plan, &out, &export)?;
        Ok(Self { options, export, checkpoint, plan, files, out })
    }

    /// What is still to be written and read; `None` if the files only have to be renamed.
    pub(super) fn missing(&self) -> gguf_export::Result<Option<Missing>> {
        missing(self.checkpoint, &self.plan, &self.out, &self.export)
    }

    /// Writes the files, and removes those that only an interrupted run would need; nothing in a dry run.
    pub(super) fn run(
        self,
        supply: &dyn Supply,
        remove_at_end: Vec<PathBuf>,
        stop: &AtomicBool,
        observer: Observer<'_>,
    ) -> gguf_export::Result<Converted> {
        let Self { options, export, checkpoint, plan, files, out } = self;
        if options.dry_run {
            return Ok(Converted { plan, files, resumed: 0, report: None });
        }
        observer(Step::Planned(&plan));
        let from_before = AtomicU64::new(0);
        let export = ExportOptions { remove_at_end, ..export };
        let exported = export_supplied(checkpoint, &plan, &out, &export, supply, stop, &|progress| {
            if let Progress::Planned { resumed, .. } = progress {
                from_before.store(resumed, Ordering::Relaxed);
            }
            observer(Step::Export(progress));
        })?;
        Ok(Converted { plan, files, resumed: from_before.into_inner(), report: exported.report })
    }
}
