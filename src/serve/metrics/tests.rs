//! Tests of the metrics as text.

#![expect(clippy::float_cmp, reason = "counts and bounds are exact")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::engine::{
    Counters, Error, FinishReason, RequestId, SlotState, SlotStatus, StateCacheStatus, Status, Timings, Usage,
};
use crate::session::{ChatEvent, ChatUsage};
use crate::state_cache::Counted;

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new().unwrap())
}

fn meter(metrics: &Arc<Metrics>) -> Meter {
    Meter::new(Arc::clone(metrics))
}

/// Every sample by its name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

fn status() -> Status {
    let slot =
        |state| SlotStatus { state, request: None, tokens: 7, usage: Usage::default(), remaining: None };
    let mut status = Status {
        slots: vec![slot(SlotState::Decode), slot(SlotState::Idle), slot(SlotState::Prefill { done: 1 })],
        waiting: (1..5).map(RequestId).collect(),
        state_cache: StateCacheStatus { states: 1, bytes: 300, budget: 1000 },
        counters: Counters {
            tokens_read: 70,
            tokens_reused: 30,
            tokens_written: 12,
            tokens_recomputed: 5,
            steps: 8,
            step_slots: 12,
            ..Counters::default()
        },
        ..Status::default()
    };
    status.distributions.step_tokens.note(3);
    status.distributions.step_tokens.note(20_000);
    status.distributions.token_times.note(60_000);
    status
}

fn finished(reason: FinishReason) -> ChatEvent {
    let total = Usage { prompt_tokens: 100, reused_tokens: 40, completion_tokens: 11 };
    ChatEvent::Finished {
        reason,
        usage: ChatUsage { total, reasoning_tokens: 0 },
        timings: Timings {
            queued: Duration::from_millis(100),
            prefill: Duration::from_millis(300),
            decode: Duration::from_secs(2),
        },
    }
}

#[test]
fn a_finished_answer_is_in_every_histogram_of_requests() {
    let metrics = metrics();
    let mut measured = meter(&metrics);
    measured.event(&ChatEvent::Progress { total: 100, reused: 40, read: 0 });
    measured.event(&ChatEvent::Content("a".to_owned()));
    measured.event(&finished(FinishReason::Stop));
    drop(measured);
    let found = samples(&metrics.render(None, None).unwrap());
    for (name, sum) in [
        ("time_to_first_token_seconds", 0.4),
        ("e2e_request_latency_seconds", 2.4),
        ("request_queue_time_seconds", 0.1),
        ("request_prefill_time_seconds", 0.3),
        ("request_decode_time_seconds", 2.0),
        ("request_prompt_tokens", 100.0),
        ("request_generation_tokens", 11.0),
    ] {
        assert_eq!(found[&format!("ggrun_{name}_count")], 1.0, "{name}");
        assert!((found[&format!("ggrun_{name}_sum")] - sum).abs() < 1e-9, "{name}");
    }
    assert_eq!(found["ggrun_time_to_first_token_seconds_bucket{le=\"0.25\"}"], 0.0);
    assert_eq!(found["ggrun_time_to_first_token_seconds_bucket{le=\"0.5\"}"], 1.0);
    assert_eq!(found["ggrun_request_success_total{finished_reason=\"stop\"}"], 1.0);
    assert!(!found.keys().any(|name| name.starts_with("ggrun_cancelled_total")));
}

#[test]
fn an_answer_that_ends_early_is_counted_once_with_its_phase_or_as_failed() {
    let metrics = metrics();
    let progress = ChatEvent::Progress { total: 2, reused: 0, read: 0 };
    drop(meter(&metrics));
    meter(&metrics).event(&progress);
    for event in [ChatEvent::Reasoning("a".to_owned()), finished(FinishReason::Cancelled)] {
        let mut measured = meter(&metrics);
        measured.event(&ChatEvent::Content("a".to_owned()));
        measured.event(&event);
    }
    meter(&metrics).event(&ChatEvent::Failed(Error::Gone));
    let found = samples(&metrics.render(None, None).unwrap());
    let cancelled = ["waiting", "prefill", "decode"]
        .map(|phase| found[&format!("ggrun_cancelled_total{{phase=\"{phase}\"}}")]);
    assert_eq!(cancelled, [1.0, 1.0, 2.0]);
    assert_eq!(found["ggrun_requests_failed_total"], 1.0);
    assert_eq!(found["ggrun_e2e_request_latency_seconds_count"], 0.0);
}

#[test]
fn errors_connections_ignored_fields_and_states_are_counted() {
    let metrics = metrics();
    metrics.refuse(503);
    metrics.refuse(503);
    metrics.refuse(400);
    metrics.ignore(3);
    let states = Counted { states_saved: 2, states_restored: 1, states_refused: 3, ..Counted::default() };
    let found = samples(&metrics.render(None, Some(states)).unwrap());
    assert_eq!(found["ggrun_connections"], 0.0);
    assert_eq!(found["ggrun_requests_refused_total{status=\"503\"}"], 2.0);
    assert_eq!(found["ggrun_requests_refused_total{status=\"400\"}"], 1.0);
    assert_eq!(found["ggrun_ignored_fields_total"], 3.0);
    assert_eq!((found["ggrun_states_saved_total"], found["ggrun_states_restored_total"]), (2.0, 1.0));
    assert_eq!(found["ggrun_states_refused_total"], 3.0);
}

#[test]
fn the_status_of_the_engine_is_rendered() {
    let found = samples(&metrics().render(Some(&status()), None).unwrap());
    for (name, value) in [
        ("ggrun_prompt_tokens_total", 100.0),
        ("ggrun_prefix_cache_queries_total", 100.0),
        ("ggrun_prefix_cache_hits_total", 30.0),
        ("ggrun_generation_tokens_total", 12.0),
        ("ggrun_prompt_tokens_recomputed_total", 5.0),
        ("ggrun_steps_total", 8.0),
        ("ggrun_num_requests_running", 2.0),
        ("ggrun_num_requests_waiting", 4.0),
        ("ggrun_slots", 3.0),
        ("ggrun_state_cache_bytes", 300.0),
        ("ggrun_iteration_tokens_bucket{le=\"4\"}", 1.0),
        ("ggrun_iteration_tokens_bucket{le=\"16384\"}", 1.0),
        ("ggrun_iteration_tokens_bucket{le=\"+Inf\"}", 2.0),
        ("ggrun_inter_token_latency_seconds_bucket{le=\"0.05\"}", 0.0),
        ("ggrun_inter_token_latency_seconds_bucket{le=\"0.075\"}", 1.0),
        ("ggrun_inter_token_latency_seconds_sum", 0.06),
        ("llamacpp:prompt_tokens_total", 70.0),
        ("llamacpp:prompt_tokens_cached_total", 30.0),
        ("llamacpp:tokens_predicted_total", 12.0),
        ("llamacpp:n_decode_total", 8.0),
        ("llamacpp:requests_processing", 2.0),
        ("llamacpp:requests_deferred", 4.0),
        ("llamacpp:n_busy_slots_per_decode", 1.5),
    ] {
        assert_eq!(found.get(name), Some(&value), "{name}");
    }
    assert_eq!(found.keys().filter(|name| name.starts_with("llamacpp:")).count(), 15);
}

#[test]
fn llama_servers_rates_are_those_since_the_last_rendering() {
    let metrics = metrics();
    let rates = || {
        let found = samples(&metrics.render(Some(&status()), None).unwrap());
        [found["llamacpp:prompt_tokens_seconds"], found["llamacpp:predicted_tokens_seconds"]]
    };
    assert_eq!(rates(), [0.0, 0.0]);
    meter(&metrics).event(&finished(FinishReason::Length));
    assert_eq!(rates(), [200.0, 5.0]);
    assert_eq!(rates(), [0.0, 0.0]);
    let found = samples(&metrics.render(Some(&status()), None).unwrap());
    assert_eq!(found["llamacpp:n_tokens_max"], 111.0);
    assert_eq!(found["llamacpp:tokens_predicted_seconds_total"], 2.0);
}

#[test]
fn every_metric_has_a_help_and_a_type_line_and_appears_once() {
    let metrics = metrics();
    metrics.refuse(400);
    let text = metrics.render(Some(&status()), None).unwrap();
    let mut types: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    types.sort_unstable();
    let count = types.len();
    types.dedup_by_key(|line| line.split(' ').next().unwrap());
    assert_eq!(types.len(), count, "{types:?}");
    for line in types {
        let name = line.split(' ').next().unwrap();
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
    }
}
