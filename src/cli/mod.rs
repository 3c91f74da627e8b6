//! The command line: the only part that reads arguments and prints.

pub(crate) mod args_compat;
pub(crate) mod interrupt;
pub(crate) mod open;
pub(crate) mod run;
mod style;
