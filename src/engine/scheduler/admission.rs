//! Gives waiting requests a slot, and makes a slot's sequence the beginning of its request's prompt.

use std::sync::Arc;

use super::eviction::Eviction;
use super::seq::seq;
use super::sharing::{Place, Reuse};
use super::state_cache;
use super::value::Scheduler;
use crate::engine::slot::Slot;
use crate::engine::{Prompt, SeqOp, Step, Vocab};

impl<V: Vocab> Scheduler<V> {
    /// Makes [`take_evictions`](Self::take_evictions) return sequences; otherwise they are not recorded.
    pub fn announce_evictions(&mut self) {
        self.evictions.get_or_insert_default();
    }

    /// The sequences that the most recent step overwrites. Call this before the decoder gets that step.
    pub fn take_evictions(&mut self) -> Vec<Eviction> {
        self.evictions.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Brings sequences that a failed or aborted step has damaged back to where their requests can continue.
    pub(super) fn repair(&mut self, step: &mut Step) {
        for index in 0..self.slots.len() {
            if !self.is_retried(index) {
                self.repair_slot(index, step);
            }
        }
    }

    pub(super) fn repair_slot(&mut self, index: usize, step: &mut Step) {
        let slot = &self.slots[index];
        if let Some(job) = slot.job.as_ref().filter(|_| slot.broken) {
            let reuse = self.sharing.within(&self.slots, index, job.prompt());
            self.take_over(index, reuse, step);
        }
    }

    /// In the order of the queue, except for requests that wait for the prefill of a prompt with the same beginning.
    pub(super) fn admit(&mut self, step: &mut Step) {
        let mut next = 0;
        while let Some(job) = self.waiting.get(next) {
            let place = self.sharing.place(&self.slots, job.prompt(), self.states.any());
            let Some(place) = place else { return };
            let (index, reuse) = match place {
                Place::Now(index, reuse) => (index, reuse),
                Place::Later(index, length) => {
                    self.slots[index].job.iter_mut().for_each(|reader| reader.stop_at(length));
                    next += 1;
                    continue;
                }
            };
            let Some(mut job) = self.waiting.take(next) else { return };
            self.turns += 1;
            job.turn = self.turns;
            if let Some(length) = self.sharing.missed(&self.slots, job.prompt(), reuse.length) {
                job.stop_at(length);
            }
            self.note_eviction(index, Prompt { tokens: &job.tokens[..reuse.length], ..job.prompt() });
            self.take_over(index, reuse, step);
            let slot = &mut self.slots[index];
            slot.namespace = job.namespace;
            slot.used = job.turn;
            slot.states.iter_mut().for_each(|state| state.used = job.turn);
            job.reuses(reuse.length);
            self.counters.tokens_reused += u64::from(job.reused_tokens());
            if let Some((sampling, prepared)) = job.sampling.take() {
                let (sampling, prompt) = (Box::new(sampling), Arc::clone(&job.tokens));
                step.ops.push(SeqOp::Sample { seq: seq(index), sampling, prompt, prepared });
            }
            self.events.push((job.id, job.progress(reuse.length)));
            slot.job = Some(job);
        }
    }

    /// Records that an idle slot's sequence is about to become these tokens of this namespace.
    pub(super) fn note_eviction(&mut self, index: usize, becomes: Prompt<'_>) {
        let slot = &self.slots[index];
        if slot.broken || self.evictions.is_none() {
            return;
        }
        let same = slot.history.iter().zip(becomes.tokens).take_while(|(a, b)| a == b).count();
        let stays = if slot.namespace == becomes.namespace { same } else { 0 };
        if stays < slot.history.len() {
            let eviction = Eviction { sequence: self.idle_sequence(index), stays };
            self.evictions.get_or_insert_default().push(eviction);
        }
    }

    /// Turns the sequence of a slot into the reused beginning.
    pub(super) fn take_over(&mut self, index: usize, reuse: Reuse, step: &mut Step) {
        let Reuse { length, from, state } = reuse;
        state_cache::mark_used(&mut self.slots, state, self.turns);
        let stays = if from.is_none() { length } else { 0 };
        self.states.release(&mut self.slots, index, stays);
        match from.filter(|_| length > 0) {
            None => step.ops.extend(self.slots[index].rewind(seq(index), length, state)),
            Some(from) => {
                let Slot { history, namespace, .. } = &self.slots[from];
                let (tokens, namespace) = (history[..length].to_vec(), *namespace);
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                step.ops.push(SeqOp::Copy { from: seq(from), to: seq(index), length, state });
                let slot = &mut self.slots[index];
                (slot.history, slot.namespace, slot.broken) = (tokens, namespace, false);
            }
        }
    }
}
