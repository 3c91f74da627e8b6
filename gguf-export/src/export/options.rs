//! Options of an export.

use std::path::PathBuf;

/// Options of an export.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// Number of threads that transcode.
    pub threads: usize,
    /// Replaces an existing output.
    pub overwrite: bool,
    /// Resumes an interrupted run of the same export.
    pub resume: bool,
    /// Splits the output into files with at most this many bytes of tensor data each; a larger tensor gets its own file.
    pub split_max_bytes: Option<u64>,
    /// Reads every tile back and compares it with the checkpoint before its shards are released.
    pub prove: bool,
    /// Removes these files when all outputs have their final names: files that only an interrupted run would need.
    pub remove_at_end: Vec<PathBuf>,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            threads: 1,
            overwrite: false,
            resume: true,
            split_max_bytes: None,
            prove: false,
            remove_at_end: Vec::new(),
        }
    }
}
