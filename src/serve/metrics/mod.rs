//! Metrics of answers, connections and the engine, in Prometheus' text format. The registry is the server's own.

mod buckets;
mod families;
mod llamacpp;
mod meter;
mod registry;
#[cfg(test)]
mod tests;

pub(super) use meter::Meter;
pub use registry::Metrics;
