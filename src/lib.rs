//! Runs GGUF models through llama.cpp, and makes them from AutoRound checkpoints.

pub mod chat;
pub mod engine;
