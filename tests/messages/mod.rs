//! Anthropic's Messages API: its reader on fuzz seeds.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod corpus;
