//! Anthropic's Messages API: its reader on fuzz seeds.

mod corpus;
