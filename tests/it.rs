//! The integration tests, in one binary.

mod cmd;
mod model;
mod run;
mod setup;
mod support;
