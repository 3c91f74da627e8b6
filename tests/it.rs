//! The integration tests, in one binary.

mod chat;
mod model;
mod run;
mod support;
