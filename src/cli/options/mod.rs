//! Options that several commands share.

pub(crate) mod common;
pub(crate) mod generation;
pub(crate) mod hub;
pub(crate) mod log;
pub(crate) mod model;
pub(crate) mod placement;
pub(crate) mod sampling;
pub(crate) mod types;
pub(crate) mod values;
