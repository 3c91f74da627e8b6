//! The timings of an answer that is being written, for `timings_per_token`.

use std::time::Duration;

use serde_json::Value;

use super::parts::timings;
use crate::engine::Timings;
use crate::session::{ChatEvent, ChatUsage};

/// Measures an answer from its events.
#[derive(Debug, Clone, Copy, Default)]
pub struct SoFar {
    usage: ChatUsage,
    admitted: Option<Duration>,
    read: Option<Duration>,
    now: Duration,
}

impl SoFar {
    /// Takes an event, the time since the request was submitted, and the number of tokens of the answer so far.
    pub fn event(&mut self, event: &ChatEvent, since: Duration, written: u32) {
        self.now = since;
        self.usage.total.completion_tokens = written;
        match event {
            &ChatEvent::Progress { reused, read, .. } => {
                self.admitted.get_or_insert(since);
                self.usage.total.prompt_tokens = reused.saturating_add(read);
                self.usage.total.reused_tokens = reused;
            }
            _ => {
                self.read.get_or_insert(since);
            }
        }
    }

    /// The timings up to the last event.
    #[must_use]
    pub fn timings(&self) -> Value {
        let queued = self.admitted.unwrap_or(self.now);
        let read = self.read.unwrap_or(self.now).max(queued);
        let took =
            Timings { queued, prefill: read.saturating_sub(queued), decode: self.now.saturating_sub(read) };
        timings(&[(self.usage, took)], 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_phase_is_measured_up_to_the_last_event() {
        let mut so_far = SoFar::default();
        let at = Duration::from_millis;
        let text = ChatEvent::Content("x".to_owned());
        so_far.event(&ChatEvent::Progress { total: 20, reused: 10, read: 0 }, at(5), 0);
        assert_eq!((&so_far.timings()["prompt_n"], &so_far.timings()["prompt_ms"]), (&json!(0), &json!(0.0)));
        so_far.event(&ChatEvent::Progress { total: 20, reused: 10, read: 10 }, at(90), 0);
        assert_eq!(so_far.timings()["prompt_ms"], 85.0);
        assert_eq!(so_far.timings()["predicted_per_second"], 0.0);
        so_far.event(&text, at(105), 1);
        so_far.event(&text, at(305), 5);
        let found = so_far.timings();
        for (name, value) in [
            ("queued_ms", json!(5.0)),
            ("cache_n", json!(10)),
            ("prompt_n", json!(10)),
            ("prompt_ms", json!(100.0)),
            ("prompt_per_second", json!(100.0)),
            ("predicted_n", json!(5)),
            ("predicted_ms", json!(200.0)),
            ("predicted_per_second", json!(20.0)),
        ] {
            assert_eq!(found[name], value, "{name}");
        }
    }
}
