//! Checkpoints whose shards are provided one after the other and released as soon as nothing needs them any more.

mod ledger;
mod provider;

pub(crate) use ledger::{Ledger, Watch};
pub use provider::{Needed, Present, Supply};
