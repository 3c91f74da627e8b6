//! What a long operation tells its caller. The library itself prints nothing.

/// One step of an export or a verification.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Tensors whose type depends on their values are about to be read.
    Surveying {
        /// Bytes that they would have in the GGUF.
        bytes: u64,
        /// How many there are.
        tensors: usize,
    },
    /// The work is known: bytes and tensors in all, and bytes already done by an earlier run.
    Planned {
        /// Bytes in all.
        bytes: u64,
        /// Tensors in all.
        tensors: usize,
        /// Bytes that an interrupted run left finished.
        resumed: u64,
    },
    /// Bytes done since the last call, and the tensor they belong to.
    Advanced {
        /// GGUF name of the tensor.
        tensor: &'a str,
        /// Bytes since the last call.
        bytes: u64,
    },
    /// Something the user should know though nothing failed.
    Warning {
        /// One sentence without a full stop.
        text: &'a str,
    },
    /// Data is being flushed to the disk.
    Syncing,
    /// All done.
    Finished,
}

/// Receives [`Progress`]; called from worker threads.
pub type Observer<'a> = &'a (dyn Fn(Progress<'_>) + Sync);
