//! A batch whose arguments are checked.

use std::path::{Path, PathBuf};

use ggrun::batch::{Defaults, Format, Targets};
use ggrun::model::model_digest;

use super::args::BatchArgs;
use crate::cli::interrupt::Interrupt;

/// A batch whose arguments are checked.
pub(super) struct Job<'a> {
    pub(super) args: &'a BatchArgs,
    pub(super) input: &'a Path,
    pub(super) format: Format,
    /// The file of answers; a dry run needs none.
    pub(super) output: Option<PathBuf>,
    /// Without the sampling that the model recommends.
    pub(super) defaults: Defaults,
    /// The chat template of the command line.
    pub(super) template: Option<String>,
    /// The model.
    pub(super) path: &'a Path,
    pub(super) interrupt: &'a Interrupt,
}

impl Job<'_> {
    pub(super) fn targets(&self) -> Targets {
        Targets {
            out: self.output.clone().unwrap_or_default(),
            errors: self.args.errors.clone(),
            order: self.args.order.into(),
        }
    }

    /// The identity of the model in rows.
    pub(super) fn model_id(&self) -> anyhow::Result<String> {
        let digest = model_digest(&self.args.placement.options(self.path), self.template.as_deref())?;
        Ok(format!("{:016x}", u64::from_be_bytes(digest.as_chunks::<8>().0[0])))
    }
}
