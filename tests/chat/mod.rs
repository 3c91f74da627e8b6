//! Chat templates and answers, held against what others make of them.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod corpus;
mod templates;
