//! All metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

use super::buckets::{LATENCY, TIME_TO_FIRST_TOKEN, tokens};
use super::families::{counter, engine, float, gauge};
use super::llamacpp::{Totals, Window, families as llamacpp};
use crate::engine::{FinishReason, Status, Timings, Usage};
use crate::openai::finish_reason;
use crate::serve::listen::Connections;
use crate::session::ChatUsage;
use crate::state_cache::Counted;

/// The metrics of a server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    time_to_first_token: Histogram,
    latency: Histogram,
    queue_time: Histogram,
    prefill_time: Histogram,
    decode_time: Histogram,
    prompt_tokens: Histogram,
    generation_tokens: Histogram,
    success: IntCounterVec,
    refused: IntCounterVec,
    pub(super) cancelled: IntCounterVec,
    pub(super) failed: IntCounter,
    ignored_fields: IntCounter,
    connections: OnceLock<Arc<Connections>>,
    /// Tokens read for the prompts of finished answers.
    read: AtomicU64,
    /// Tokens written after the first of finished answers.
    written: AtomicU64,
    /// The longest sequence of a finished answer.
    longest: AtomicU64,
    /// The totals at the last rendering.
    window: Mutex<Window>,
}

impl Metrics {
    /// All metrics at zero.
    ///
    /// # Errors
    ///
    /// When two metrics have the same name.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let options = HistogramOpts::new(format!("ggrun_{name}"), help).buckets(buckets.to_vec());
            let metric = Histogram::with_opts(options)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let counters = |name: &str, help: &str, label: &str| {
            let metric = IntCounterVec::new(Opts::new(format!("ggrun_{name}"), help), &[label])?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::new(format!("ggrun_{name}"), help)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        Ok(Self {
            time_to_first_token: histogram(
                "time_to_first_token_seconds",
                "From the arrival of a request to its first token",
                &TIME_TO_FIRST_TOKEN,
            )?,
            latency: histogram(
                "e2e_request_latency_seconds",
                "From the arrival of a request to its last token",
                &LATENCY,
            )?,
            queue_time: histogram(
                "request_queue_time_seconds",
                "From the arrival of a request to its first step",
                &LATENCY,
            )?,
            prefill_time: histogram(
                "request_prefill_time_seconds",
                "From the first step of a request to its first token",
                &LATENCY,
            )?,
            decode_time: histogram(
                "request_decode_time_seconds",
                "From the first token of a request to its last",
                &LATENCY,
            )?,
            prompt_tokens: histogram("request_prompt_tokens", "Tokens of a prompt", &tokens())?,
            generation_tokens: histogram("request_generation_tokens", "Tokens of an answer", &tokens())?,
            success: counters("request_success_total", "Answers that finished", "finished_reason")?,
            refused: counters("requests_refused_total", "Requests that got an error", "status")?,
            cancelled: counters("cancelled_total", "Requests that were cancelled", "phase")?,
            failed: counter("requests_failed_total", "Answers that ended with an error")?,
            ignored_fields: counter(
                "ignored_fields_total",
                "Fields of requests that are unknown and were ignored",
            )?,
            connections: OnceLock::new(),
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            window: Mutex::default(),
            registry,
        })
    }

    /// Shows how many of these connections are open; those of the first call.
    pub fn watch(&self, connections: Arc<Connections>) {
        // A server has one set of connections.
        drop(self.connections.set(connections));
    }

    /// Counts a request that gets an error with this status.
    pub fn refuse(&self, status: u16) {
        self.refused.with_label_values(&[&status.to_string()]).inc();
    }

    /// Counts fields that were ignored.
    pub fn ignore(&self, fields: usize) {
        self.ignored_fields.inc_by(fields as u64);
    }

    /// All metrics as text. `status` is `None` while the model is loading, and `saved` if no states are saved to disk.
    ///
    /// # Errors
    ///
    /// When a metric has no values.
    pub fn render(&self, status: Option<&Status>, saved: Option<Counted>) -> prometheus::Result<String> {
        let mut families = self.registry.gather();
        let open = self.connections.get().map_or(0, |connections| connections.open());
        families.push(gauge("ggrun_connections", "Open connections", float(open as u64)));
        let Counted { states_saved, states_restored, states_refused, .. } = saved.unwrap_or_default();
        families.push(counter("ggrun_states_saved_total", "States saved to disk", float(states_saved)));
        families.push(counter(
            "ggrun_states_restored_total",
            "States restored from disk",
            float(states_restored),
        ));
        families.push(counter(
            "ggrun_states_refused_total",
            "Damaged states on disk that were removed",
            float(states_refused),
        ));
        if let Some(status) = status {
            families.extend(engine(status));
            let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
            families.extend(llamacpp(status, &self.totals(), &mut window));
        }
        TextEncoder::new().encode_to_string(&families)
    }

    fn totals(&self) -> Totals {
        Totals {
            read: self.read.load(Ordering::Relaxed),
            read_seconds: self.prefill_time.get_sample_sum(),
            written: self.written.load(Ordering::Relaxed),
            written_seconds: self.decode_time.get_sample_sum(),
            longest: self.longest.load(Ordering::Relaxed),
        }
    }

    /// Takes the end of an answer into account.
    pub(super) fn finish(&self, reason: FinishReason, calls: bool, usage: ChatUsage, timings: Timings) {
        let Usage { prompt_tokens, completion_tokens, .. } = usage.total;
        self.success.with_label_values(&[finish_reason(reason, calls)]).inc();
        self.queue_time.observe(timings.queued.as_secs_f64());
        self.latency.observe((timings.time_to_first_token() + timings.decode).as_secs_f64());
        self.prompt_tokens.observe(f64::from(prompt_tokens));
        self.generation_tokens.observe(f64::from(completion_tokens));
        if let Some(after) = completion_tokens.checked_sub(1) {
            self.time_to_first_token.observe(timings.time_to_first_token().as_secs_f64());
            self.prefill_time.observe(timings.prefill.as_secs_f64());
            self.decode_time.observe(timings.decode.as_secs_f64());
            self.read.fetch_add(u64::from(usage.total.read_tokens()), Ordering::Relaxed);
            self.written.fetch_add(u64::from(after), Ordering::Relaxed);
        }
        let length = u64::from(prompt_tokens) + u64::from(completion_tokens);
        self.longest.fetch_max(length, Ordering::Relaxed);
    }
}
