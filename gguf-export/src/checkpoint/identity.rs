//! Recognizes a shard as the same file in a later run.

/// Identifies the content of a shard, so that an export resumes only from the same files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Path, length and modification time.
    File {
        /// Modification time in nanoseconds since 1970.
        changed: u128,
    },
    /// The SHA-256 of the content, independent of path and time.
    Content {
        /// The hash.
        sha256: [u8; 32],
    },
}
