//! The settings of a state cache.

use std::path::PathBuf;
use std::time::Duration;

use crate::state::Identity;

/// The default of [`Settings::budget`].
pub const BUDGET: u64 = 8 << 30;

/// The default of [`Settings::reserve`].
const RESERVE: u8 = 10;

/// The settings of a state cache.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder, which several processes may share.
    pub folder: PathBuf,
    /// Bytes that its files may take.
    pub budget: u64,
    /// The percentage of the disk that stays free.
    pub reserve: u8,
    /// The model and engine whose states are restored.
    pub identity: Identity,
    /// How long a slot must be idle before its sequence is saved.
    pub idle: Duration,
}

impl Settings {
    /// A folder for the states of one model and engine, with the default budget and a minute of idleness.
    #[must_use]
    pub fn new(folder: PathBuf, identity: Identity) -> Self {
        Self { folder, budget: BUDGET, reserve: RESERVE, identity, idle: Duration::from_mins(1) }
    }
}
