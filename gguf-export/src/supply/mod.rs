//! Checkpoints whose shards are provided one after another and released as soon as nothing needs them any longer.

mod ledger;
mod provider;

pub(crate) use ledger::{Ledger, Watch};
pub use provider::{Needed, Present, Supply};
