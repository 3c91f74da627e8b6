//! The data of the scheduler.

use std::collections::VecDeque;
use std::time::Duration;

use super::eviction::Eviction;
use super::limits::Limits;
use super::pace::Pace;
use super::queue::Queue;
use super::retry::Retry;
use super::sharing::Sharing;
use super::state_cache::StateCache;
use crate::engine::slot::Slot;
use crate::engine::{Caps, Counters, Distributions, Events, RequestId};

/// When a step ran, counted from any fixed moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its start.
    pub from: Duration,
    /// Its end.
    pub to: Duration,
}

/// The requests of one decoder.
#[derive(Debug)]
pub struct Scheduler<V> {
    pub(super) vocab: V,
    pub(super) caps: Caps,
    pub(super) limits: Limits,
    pub(super) slots: Vec<Slot>,
    pub(super) waiting: Queue,
    /// The tokens that the running step reads, by slot.
    pub(super) flights: Vec<Flight>,
    pub(super) states: StateCache,
    pub(super) sharing: Sharing,
    /// Requests of failed steps that are computed alone.
    pub(super) retries: VecDeque<Retry>,
    /// Whether the last step was such a retry.
    pub(super) retried: bool,
    pub(super) pace: Pace,
    pub(super) counters: Counters,
    pub(super) distributions: Distributions,
    /// Events that no commit has returned.
    pub(super) events: Events,
    /// Sequences that the next step overwrites; `None` if they are not announced.
    pub(super) evictions: Option<Vec<Eviction>>,
    pub(super) turns: u64,
}

/// The tokens of one slot in the running step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flight {
    pub(super) slot: usize,
    pub(super) id: RequestId,
    /// Tokens that the sequence held before.
    pub(super) before: usize,
    pub(super) tokens: usize,
    /// Whether they are of the prompt.
    pub(super) prompt: bool,
    /// The index of the step's token after which a token is sampled.
    pub(super) sampled: Option<usize>,
}
