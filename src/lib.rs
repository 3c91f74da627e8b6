//! Runs GGUF models with llama.cpp, and converts `AutoRound` checkpoints to GGUF.

pub mod anthropic;
pub mod atomic;
pub mod batch;
pub mod bench;
pub mod chat;
pub mod conversations;
pub mod convert;
pub mod doctor;
pub mod engine;
mod grammar;
pub mod hub;
pub mod inspect;
pub mod json;
pub mod llama;
pub mod model;
pub mod openai;
pub mod serve;
pub mod session;
pub mod state;
pub mod state_cache;
