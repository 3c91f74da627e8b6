//! Measures one answer.

use std::fmt;
use std::sync::Arc;

use super::registry::Metrics;
use crate::session::ChatEvent;

/// How far an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Prefill,
    Decode,
    Over,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::Over => "over",
        }
    }
}

/// Measures an answer by its events. Dropped before the last one, the answer counts as cancelled.
pub(in crate::serve) struct Meter {
    metrics: Arc<Metrics>,
    phase: Phase,
    calls: bool,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("phase", &self.phase).finish_non_exhaustive()
    }
}

impl Meter {
    /// Begins to measure an answer.
    #[must_use]
    pub(in crate::serve) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, phase: Phase::Waiting, calls: false }
    }

    /// Takes the next event of the answer.
    pub(in crate::serve) fn event(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Progress { .. } => self.phase = Phase::Prefill,
            ChatEvent::Reasoning(_) | ChatEvent::Content(_) => self.phase = Phase::Decode,
            ChatEvent::ToolCall(_) => (self.phase, self.calls) = (Phase::Decode, true),
            &ChatEvent::Finished { reason, usage, timings } => {
                use crate::engine::FinishReason::Cancelled;
                // A cancelled answer has no times of a whole one.
                if reason != Cancelled {
                    self.metrics.finish(reason, self.calls, usage, timings);
                    self.phase = Phase::Over;
                }
            }
            ChatEvent::Failed(_) => {
                self.metrics.failed.inc();
                self.phase = Phase::Over;
            }
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.phase != Phase::Over {
            self.metrics.cancelled.with_label_values(&[self.phase.name()]).inc();
        }
    }
}
