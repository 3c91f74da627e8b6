//! What is on disk: configuration, shards, tensors. Not here: what the bytes mean.

mod config;

pub use config::ModelConfig;
