//! The integration tests, in one binary.

mod model;
mod run;
mod setup;
mod support;
