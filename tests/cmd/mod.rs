//! The commands as processes: streams, exit codes, files. Tests of `ggrun run` are in `tests/run/command.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod arguments;
mod choices;
mod closed;
mod config;
mod convert;
mod doctor;
mod files;
mod inspect;
mod interrupt;
mod keys;
mod sandbox;
mod transcripts;
mod verify;

use sandbox::{Sandbox, data};
