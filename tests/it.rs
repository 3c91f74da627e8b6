//! All integration tests, in one binary.

mod batch;
mod bench;
mod bodies;
mod chat;
mod cmd;
mod deadline;
mod dense;
mod hub;
mod hub_cache;
mod layouts;
mod model;
mod ports;
mod rpc;
mod run;
mod served;
mod setup;
mod support;
#[cfg(feature = "vulkan")]
mod vulkan;
