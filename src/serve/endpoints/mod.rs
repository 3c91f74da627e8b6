//! One file for each endpoint or group of endpoints: read, submit, encode.

pub(super) mod chat;
pub(super) mod completion;
pub(super) mod completions;
pub(super) mod control;
pub(super) mod conversations;
pub(super) mod count_tokens;
pub(super) mod health;
pub(super) mod messages;
mod openai;
pub(super) mod responses;
