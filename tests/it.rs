//! The integration tests, in one binary.

mod run;
mod support;
