//! Errors of the files.

use std::io;
use std::path::Path;

use crate::batch::error::Error;

/// Maps an error of an action on a path.
pub(super) fn wrong(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Write { action, path, source }
}
