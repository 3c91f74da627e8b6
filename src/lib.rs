//! Runs GGUF models through llama.cpp, and makes them from AutoRound checkpoints.

pub mod engine;
