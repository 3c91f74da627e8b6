//! When a slot's sequence is saved because nothing has used it for a while.

use std::time::Duration;

use crate::engine::{SlotState, SlotStatus};

/// What was seen of the slots.
#[derive(Debug, Default)]
pub(super) struct IdleSlots {
    seen: Vec<Seen>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    tokens: usize,
    /// Since when the slot has been idle with these tokens.
    since: Option<Duration>,
    settled: bool,
}

impl IdleSlots {
    /// The slots that have been idle for as long as `wait` with at least `least` tokens, and are not settled.
    pub(super) fn due(
        &mut self,
        slots: &[SlotStatus],
        now: Duration,
        wait: Duration,
        least: usize,
    ) -> Vec<usize> {
        self.seen.resize(slots.len(), Seen { tokens: 0, since: None, settled: false });
        let mut due = Vec::new();
        for (index, (seen, slot)) in self.seen.iter_mut().zip(slots).enumerate() {
            let is_idle = slot.state == SlotState::Idle;
            if !is_idle || seen.tokens != slot.tokens || seen.since.is_none() {
                *seen = Seen { tokens: slot.tokens, since: is_idle.then_some(now), settled: false };
            }
            let waited = seen.since.is_some_and(|since| now.saturating_sub(since) >= wait);
            if waited && !seen.settled && slot.tokens >= least {
                due.push(index);
            }
        }
        due
    }

    /// Records that a slot needs nothing more until its sequence changes.
    pub(super) fn settle(&mut self, index: usize) {
        if let Some(seen) = self.seen.get_mut(index) {
            seen.settled = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{RequestId, Usage};

    fn slot(tokens: usize, busy: bool) -> SlotStatus {
        let (state, request) =
            if busy { (SlotState::Decode, Some(RequestId(0))) } else { (SlotState::Idle, None) };
        SlotStatus { state, request, tokens, usage: Usage::default(), remaining: None }
    }

    #[test]
    fn a_slot_is_due_once_after_it_was_idle_for_a_while() {
        let mut idle = IdleSlots::default();
        let mut at = |second: u64, slots: &[SlotStatus]| {
            let (now, wait) = (Duration::from_secs(second), Duration::from_mins(1));
            let due = idle.due(slots, now, wait, 1024);
            for &index in &due {
                idle.settle(index);
            }
            due
        };
        assert_eq!(at(100, &[slot(2000, false), slot(2000, true)]), [0; 0]);
        assert_eq!(at(159, &[slot(2000, false), slot(2001, false)]), [0; 0]);
        assert_eq!(at(160, &[slot(2000, false), slot(2001, false)]), [0]);
        assert_eq!(at(161, &[slot(2000, false), slot(2001, true)]), [0; 0], "it is settled");
        assert_eq!(at(219, &[slot(3000, true), slot(2001, false)]), [0; 0]);
        assert_eq!(at(279, &[slot(3000, false), slot(2001, false)]), [1]);
        assert_eq!(at(338, &[slot(3000, false), slot(2001, false)]), [0; 0]);
        assert_eq!(at(339, &[slot(3000, false), slot(2001, false)]), [0]);
        // A short sequence is never due.
        assert_eq!(at(400, &[slot(1023, false)]), [0; 0]);
        assert_eq!(at(500, &[slot(1023, false)]), [0; 0]);
    }

    #[test]
    fn a_slot_that_is_not_settled_is_due_again() {
        let mut idle = IdleSlots::default();
        let mut at =
            |second: u64| idle.due(&[slot(9, false)], Duration::from_secs(second), Duration::from_secs(1), 9);
        assert_eq!([at(0), at(1), at(2)], [vec![], vec![0], vec![0]]);
    }
}
