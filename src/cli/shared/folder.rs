//! The folder of this user for what programs keep.

use std::path::PathBuf;

/// `ggrun` in the state folder of the XDG conventions, or of the system.
pub(crate) fn state_folder() -> Option<PathBuf> {
    let state = dirs::state_dir().or_else(dirs::data_local_dir)?;
    Some(state.join("ggrun"))
}
