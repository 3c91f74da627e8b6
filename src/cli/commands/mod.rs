//! The commands: a file or folder for each, with its arguments.

pub(crate) mod batch;
pub(crate) mod bench;
pub(crate) mod cache;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod download;
pub(crate) mod inspect;
pub(crate) mod man;
pub(crate) mod plan;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod verify;
pub(crate) mod worker;
