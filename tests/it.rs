//! The integration tests, in one binary.

mod chat;
mod cmd;
mod model;
mod run;
mod setup;
mod support;
