//! The options, the progress and the result of a conversion.

use std::path::PathBuf;

use gguf_export::export::OutputFile;
use gguf_export::verify::Report;
use gguf_export::{ExportOptions, Plan, PlanOptions, Progress};

use crate::hub::{Event, Hub, RepoName};

/// How to convert.
#[derive(Debug, Clone)]
pub struct Options {
    /// Types of the tensors.
    pub plan: PlanOptions,
    /// How files are written. If the source is deleted or its MTP layer is borrowed, everything is proven.
    pub export: ExportOptions,
    /// The GGUF to write, or a folder for it; without one it is named after the model, in the current folder.
    pub output: Option<PathBuf>,
    /// Plan only, and write nothing.
    pub dry_run: bool,
    /// Shards of a repository that are fetched at once.
    pub jobs: usize,
    /// Delete each shard of a repository when everything made from it is written and proven.
    pub delete_shards: bool,
}

impl Options {
    /// Lossless, into the current folder.
    #[must_use]
    pub fn new() -> Self {
        let (plan, export) = (PlanOptions::default(), ExportOptions::default());
        Self { plan, export, output: None, dry_run: false, jobs: 2, delete_shards: false }
    }

    /// The folder of the GGUF.
    #[must_use]
    pub fn output_folder(&self) -> PathBuf {
        match &self.output {
            Some(path) if path.is_dir() => path.clone(),
            Some(path) => path.parent().map(ToOwned::to_owned).unwrap_or_default(),
            None => PathBuf::new(),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// The repository from which the MTP layer is taken, if the checkpoint has none.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Where it is fetched.
    pub hub: &'a Hub,
    /// Its name.
    pub repo: &'a RepoName,
}

/// The progress of a conversion.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Step<'a> {
    /// Files of the source arrive while others are converted: their bytes are added to those to convert.
    Source(Event<'a>),
    /// Only the MTP layer of another repository is being downloaded.
    Mtp(Event<'a>),
    /// Everything is planned; files are about to be written.
    Planned(&'a Plan),
    /// Tensors are read, written and compared.
    Export(Progress<'a>),
}

/// Receives every [`Step`]; called from several threads.
pub type Observer<'a> = &'a (dyn Fn(Step<'_>) + Sync);

/// The files that a conversion wrote, or would write in a dry run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Converted {
    /// Every tensor and its type.
    pub plan: Plan,
    /// The files.
    pub files: Vec<OutputFile>,
    /// Bytes that an interrupted run had written.
    pub resumed: u64,
    /// The comparison with the source, if it was proven.
    pub report: Option<Report>,
}
