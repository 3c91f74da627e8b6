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
pub(crate) struct Proof<'a> {
    file: Opened<'a>,
}

impl<'a> Proof<'a> {
    /// `files` as they are named now, and what their headers are to be.
    ///
    /// # Errors
    /// [`Error::Io`] if one cannot be opened.
    pub(crate) fn new(files: &'a [(PathBuf, Header)]) -> Result<Self> {
        Ok(Self { file: Opened::new(files)? })
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
        let tensor = &plan.tensors[tensor];
        let report = compare::rows(checkpoint, plan, tensor, &self.file, rows)?;
        match report.differences.first() {
            None => Ok(()),
            Some(first) => {
                let (shard, _) = self.file.places[tensor.name.as_str()];
                Err(Error::Differs { path: self.file.shards[shard].0.clone(), what: first.to_string() })
            }
        }
    }

    /// What is known of the files once all their tiles were compared: reads their headers back, too. `plan` is what they
    /// were written by.
    ///
    /// # Errors
    /// [`Error::Differs`] for a header that is not what was written.
    pub(crate) fn report(&self, plan: &Plan) -> Result<Report> {
        for ((path, expected), source) in self.file.shards.iter().zip(&self.file.sources) {
            if Header::read(path, source)? != *expected {
                let what = "its header is not what was written".to_owned();
                return Err(Error::Differs { path: path.clone(), what });
            }
        }
        Ok(Report {
            tensors: plan.tensors.len(),
            values: plan.tensors.iter().map(|t| t.dims.iter().product::<u64>()).sum(),
            keys: plan.metadata.iter().count(),
            rounded: plan.tensors.iter().filter(|t| t.fidelity == Some(Fidelity::Rounded)).count(),
            ..Report::default()
        })
    }
}
