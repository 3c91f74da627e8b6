//! Metrics of the engine, from its status.

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, Metric, MetricFamily, MetricType};

use crate::engine::{Distribution, SlotState, Status};

/// The `ggrun_` metrics of a status.
pub(super) fn engine(status: &Status) -> Vec<MetricFamily> {
    let Status { slots, waiting, state_cache, counters, distributions } = status;
    let prompt = counters.tokens_read + counters.tokens_reused;
    let counters = [
        ("prompt_tokens_total", "Tokens of prompts", prompt),
        ("generation_tokens_total", "Tokens of answers", counters.tokens_written),
        ("prefix_cache_queries_total", "Prompt tokens that were looked for in the cache", prompt),
        ("prefix_cache_hits_total", "Prompt tokens that were found in the cache", counters.tokens_reused),
        (
            "prompt_tokens_recomputed_total",
            "Tokens that were computed again because a step had lost them",
            counters.tokens_recomputed,
        ),
        ("steps_total", "Steps that were computed", counters.steps),
    ];
    let gauges = [
        ("num_requests_running", "Requests in slots", running(status)),
        ("num_requests_waiting", "Requests that wait for a slot", waiting.len() as u64),
        ("slots", "Slots", slots.len() as u64),
        ("state_cache_bytes", "Memory used by cached states", state_cache.bytes),
    ];
    let counters = counters.map(|(name, help, value)| counter(&format!("ggrun_{name}"), help, float(value)));
    let gauges = gauges.map(|(name, help, value)| gauge(&format!("ggrun_{name}"), help, float(value)));
    let histograms = [
        histogram("ggrun_iteration_tokens", "Tokens of a step", &distributions.step_tokens, 1.0),
        histogram(
            "ggrun_inter_token_latency_seconds",
            "From one step that wrote tokens of an answer to the next",
            &distributions.token_times,
            1e6,
        ),
    ];
    counters.into_iter().chain(gauges).chain(histograms).collect()
}

/// Requests in slots.
pub(super) fn running(status: &Status) -> u64 {
    status.slots.iter().filter(|slot| slot.state != SlotState::Idle).count() as u64
}

pub(super) fn counter(name: &str, help: &str, value: f64) -> MetricFamily {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = Metric::default();
    metric.set_counter(counter);
    family(name, help, MetricType::COUNTER, metric)
}

pub(super) fn gauge(name: &str, help: &str, value: f64) -> MetricFamily {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    family(name, help, MetricType::GAUGE, Metric::from_gauge(gauge))
}

/// A distribution with its values divided by `scale`.
fn histogram<const N: usize>(name: &str, help: &str, values: &Distribution<N>, scale: f64) -> MetricFamily {
    let bucket = |(bound, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(float(bound) / scale);
        bucket.set_cumulative_count(count);
        bucket
    };
    let mut histogram = Histogram::default();
    histogram.set_bucket(values.cumulative().map(bucket).collect());
    histogram.set_sample_count(values.count());
    histogram.set_sample_sum(float(values.sum()) / scale);
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    family(name, help, MetricType::HISTOGRAM, metric)
}

fn family(name: &str, help: &str, kind: MetricType, metric: Metric) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(vec![metric]);
    family
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus' values are `f64`, exact to 2^53")]
pub(super) fn float(value: u64) -> f64 {
    value as f64
}
