//! One file for each endpoint or group of endpoints: read, submit, encode.

pub(super) mod chat;
pub(super) mod completion;
pub(super) mod completions;
pub(super) mod control;
pub(super) mod count_tokens;
pub(super) mod excluded;
pub(super) mod health;
pub(super) mod messages;
pub(super) mod metrics;
pub(super) mod models;
mod openai;
pub(super) mod openapi;
pub(super) mod props;
pub(super) mod responses;
pub(super) mod template;
pub(super) mod tokenize;
