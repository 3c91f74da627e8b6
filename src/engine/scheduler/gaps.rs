//! Keeps busy slots adjacent: a decoder may read only sequences that follow each other in one pass.

use super::seq::seq;
use super::value::Scheduler;
use crate::engine::slot::runs;
use crate::engine::{BatchToken, Namespace, Prompt, SeqOp, Step, Vocab};

impl<V: Vocab> Scheduler<V> {
    /// Moves sequences into idle slots, as few as possible, so that all busy slots are adjacent. Not while
    /// requests wait, because they fill the gaps, and not while a request is retried.
    pub(super) fn close_gaps(&mut self, step: &mut Step) {
        let works = |index: &usize| self.slots[*index].job.is_some();
        let working: Vec<usize> = (0..self.slots.len()).filter(works).collect();
        let count = working.len();
        let may = self.caps.can_copy && self.waiting.is_empty() && self.retries.is_empty();
        if !may || runs(&self.slots, None) < 2 || working.iter().any(|&index| self.slots[index].broken) {
            return;
        }
        let idle = |first: usize| (first..first + count).filter(|index| !works(index));
        // Among equals, those whose sequences were least recently used.
        let lost =
            |first: usize| (idle(first).count(), idle(first).map(|index| self.slots[index].used).max());
        let Some(first) = (0..=self.slots.len() - count).min_by_key(|&first| lost(first)) else { return };
        let to: Vec<usize> = idle(first).collect();
        let from = working.into_iter().filter(|index| !(first..first + count).contains(index));
        for (from, to) in from.zip(to) {
            self.move_slot(from, to, step);
        }
    }

    /// Moves a request and its sequence to an idle slot.
    fn move_slot(&mut self, from: usize, to: usize, step: &mut Step) {
        self.note_eviction(to, Prompt { namespace: Namespace::default(), tokens: &[] });
        self.states.release(&mut self.slots, to, 0);
        self.slots[to] = std::mem::take(&mut self.slots[from]);
        step.ops.push(SeqOp::Move { from: seq(from), to: seq(to) });
    }

    /// Orders the tokens of a step by slot.
    pub(super) fn order(&mut self, step: &mut Step) {
        step.tokens.sort_by_key(|token| token.seq.0);
        for flight in &mut self.flights {
            let last = |token: &BatchToken| token.seq == seq(flight.slot);
            flight.sampled = flight.sampled.and_then(|_| step.tokens.iter().rposition(last));
        }
    }
}
