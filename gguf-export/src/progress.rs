//! Progress reports of long operations. The library itself prints nothing.

/// A progress report of a survey, an export or a verification.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// The survey is about to read tensors whose type depends on their values.
    Surveying {
        /// Their size in the GGUF in bytes.
        bytes: u64,
        /// Number of tensors.
        tensors: usize,
    },
    /// The amount of work.
    Planned {
        /// Total bytes.
        bytes: u64,
        /// Total tensors.
        tensors: usize,
        /// Bytes that an earlier, interrupted run finished.
        resumed: u64,
    },
    /// Bytes finished since the last report, and their tensor.
    Advanced {
        /// GGUF name of the tensor.
        tensor: &'a str,
        /// Bytes since the last report.
        bytes: u64,
    },
    /// A warning for the user; the operation continues.
    Warning {
        /// One sentence without a period.
        text: &'a str,
    },
    /// Written data is being synced to the disk.
    Syncing,
    /// The operation is complete.
    Finished,
}

/// Receives [`Progress`]; called from worker threads.
pub type Observer<'a> = &'a (dyn Fn(Progress<'_>) + Sync);
