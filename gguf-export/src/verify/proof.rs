//! Verification during an export, tile by tile, before the shards are released.

use std::ops::Range;
use std::path::PathBuf;

use super::opened::Opened;
use super::{Report, compare, reading};
use crate::checkpoint::Checkpoint;
use crate::gguf::Header;
use crate::io::ByteSource as _;
use crate::plan::{Fidelity, Plan};
use crate::{Error, Result};

/// Reads tiles back from unfinished files and compares them with the checkpoint, like [`verify`](super::verify).
#[derive(Debug)]
pub(crate) struct Proof<'a> {
    file: Opened<'a>,
}

impl<'a> Proof<'a> {
    /// Compares the readings of the configuration, before any file exists.
    ///
    /// # Errors
    /// [`Error::Readings`] if the plan reads the configuration otherwise.
    pub(crate) fn agree(checkpoint: &Checkpoint, plan: &Plan) -> Result<()> {
        reading::check(checkpoint, plan)
    }

    /// Opens the unfinished files. `files` are their current paths with the expected headers.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be opened.
    pub(crate) fn new(files: &'a [(PathBuf, Header)]) -> Result<Self> {
        Ok(Self { file: Opened::new(files)? })
    }

    /// Compares rows of a tensor.
    ///
    /// # Errors
    /// [`Error::Differs`] with the first difference, [`Error::Io`] if a file cannot be read.
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

    /// The report after all tiles were compared. Reads the headers back as well. `plan` is the plan of the export.
    ///
    /// # Errors
    /// [`Error::Differs`] for a header that differs from the one written, [`Error::Io`] if a file cannot be read.
    pub(crate) fn report(&self, plan: &Plan) -> Result<Report> {
        for ((path, expected), source) in self.file.shards.iter().zip(&self.file.sources) {
            let mut bytes = vec![0; usize::try_from(expected.data_offset).unwrap_or(usize::MAX)];
            source.read_at(0, &mut bytes)?;
            if bytes != expected.encode() {
                let what = "its header differs from the one written".to_owned();
                return Err(Error::Differs { path: path.clone(), what });
            }
        }
        Ok(Report {
            tensors: plan.tensors.len(),
            values: plan.tensors.iter().map(|t| t.dims.iter().product::<u64>()).sum(),
            keys: plan.metadata.iter().count(),
            rounded: plan.tensors.iter().filter(|t| t.fidelity == Some(Fidelity::Rounded)).count(),
            ignored_keys: plan.options.config.ignored_keys.clone(),
            zero_points: plan.options.config.zero_points,
            ..Report::default()
        })
    }
}
