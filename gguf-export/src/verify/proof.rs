//! A file that is proven while it is written, tile by tile, before its sources go.

use std::ops::Range;
use std::path::PathBuf;

use super::{Opened, Report, compare};
use crate::checkpoint::Checkpoint;
use crate::gguf::Header;
use crate::plan::{Fidelity, Plan};
use crate::{Error, Result};

/// Reads tiles back from unfinished files and compares them with the checkpoint, as a verification would.
#[derive(Debug)]
pub(crate) struct Proof {
    /// The files as they are named now, and what their headers are going to be.
    files: Vec<(PathBuf, Header)>,
}

impl Proof {
    pub(crate) fn new(files: Vec<(PathBuf, Header)>) -> Self {
        Self { files }
    }

    /// Compares rows of a tensor.
    ///
    /// # Errors
    /// [`Error::Differs`] naming the first difference.
    pub(crate) fn check(
        &self,
        checkpoint: &Checkpoint,
        plan: &Plan,
        tensor: usize,
        rows: Range<u64>,
    ) -> Result<()> {
        let report =
            compare::rows(checkpoint, plan, &plan.tensors[tensor], &Opened::new(&self.files)?, rows)?;
        match report.differences.first() {
            None => Ok(()),
            Some(first) => Err(Error::Differs { path: self.files[0].0.clone(), what: first.to_string() }),
        }
    }
}

/// What is known of a file all of whose tiles were proven. `plan` is what it was written by.
pub(crate) fn proven(plan: &Plan) -> Report {
    Report {
        tensors: plan.tensors.len(),
        values: plan.tensors.iter().map(|t| t.dims.iter().product::<u64>()).sum(),
        keys: plan.metadata.iter().count(),
        rounded: plan.tensors.iter().filter(|t| t.fidelity == Some(Fidelity::Rounded)).count(),
        ..Report::default()
    }
}
