//! Chat templates and the parsers of answers, compared with transformers and run on fuzz seeds.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod corpus;
mod templates;
