//! Errors of a disk without space.

use std::io::{self, ErrorKind};

/// Whether the disk, a quota or a limit of the process has no more space.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::FileTooLarge | ErrorKind::QuotaExceeded)
}
