//! Options that several commands share.

pub(crate) mod checks;
pub(crate) mod common;
pub(crate) mod file;
pub(crate) mod generation;
pub(crate) mod hub;
pub(crate) mod log;
mod metadata;
pub(crate) mod model;
pub(crate) mod output;
mod pairs;
pub(crate) mod placement;
pub(crate) mod prompt;
pub(crate) mod reason;
mod rope;
mod rules;
pub(crate) mod sampling;
pub(crate) mod size;
pub(crate) mod threads;
pub(crate) mod types;
pub(crate) mod values;
pub(crate) mod words;
