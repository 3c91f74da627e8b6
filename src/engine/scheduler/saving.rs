//! Sequences that are copied out of the decoder and back: which slot, cut to which length.

use std::cmp::Reverse;

use super::seq::seq;
use super::sharing::Reuse;
use super::value::Scheduler;
use crate::engine::check;
use crate::engine::{Cuts, Error, IdleSequence, Namespace, Prompt, SeqId, Step, Token, Vocab};

impl<V: Vocab> Scheduler<V> {
    /// The sequences of idle slots.
    #[must_use]
    pub fn idle_sequences(&self) -> Vec<IdleSequence> {
        let idle = (0..self.slots.len()).filter(|&index| {
            let slot = &self.slots[index];
            slot.job.is_none() && !slot.broken && !slot.history.is_empty()
        });
        idle.map(|index| self.idle_sequence(index)).collect()
    }

    pub(super) fn idle_sequence(&self, index: usize) -> IdleSequence {
        let slot = &self.slots[index];
        let cuts = if self.caps.can_trim {
            Cuts::Anywhere
        } else {
            Cuts::States(slot.states.iter().map(|state| (state.length, state.state)).collect())
        };
        IdleSequence { seq: seq(index), namespace: slot.namespace, tokens: slot.history.clone(), cuts }
    }

    /// The idle slot's sequence that holds most of a prompt, cut to that; its tokens, and the step that cuts it.
    pub fn hold(&mut self, prompt: Prompt<'_>) -> Option<(SeqId, Vec<Token>, Step)> {
        let idle = self.slots.iter().enumerate().filter(|(_, slot)| slot.job.is_none());
        let fits = idle.map(|(index, _)| (index, self.sharing.best(&self.slots, index, prompt)));
        let (index, reuse) =
            fits.max_by_key(|(_, reuse)| reuse.length).filter(|(_, reuse)| reuse.length > 0)?;
        Some(self.cut_to(index, reuse))
    }

    /// Cuts a sequence to its first `length` tokens, if its slot still holds it and is idle; its tokens, and the step
    /// that cuts it.
    pub fn cut(&mut self, sequence: &IdleSequence, length: usize) -> Option<(SeqId, Vec<Token>, Step)> {
        let index = sequence.seq.0 as usize;
        let slot = self.slots.get(index).filter(|slot| slot.job.is_none() && !slot.broken)?;
        if slot.history != sequence.tokens || slot.namespace != sequence.namespace {
            return None;
        }
        let state = self.idle_sequence(index).cut(length)?;
        Some(self.cut_to(index, Reuse { length, from: None, state }))
    }

    fn cut_to(&mut self, index: usize, reuse: Reuse) -> (SeqId, Vec<Token>, Step) {
        let mut step = Step::default();
        self.take_over(index, reuse, &mut step);
        self.states.drop_released(&mut step.ops);
        (seq(index), self.slots[index].history.clone(), step)
    }

    /// Frees the least recently used idle slot for these tokens; the step empties its sequence.
    ///
    /// # Errors
    ///
    /// When the tokens do not fit into a sequence, or no slot is idle. Nothing has changed then.
    pub fn vacate(&mut self, namespace: Namespace, tokens: &[Token]) -> Result<(SeqId, Step), Error> {
        check::check_sequence(tokens, self.caps.context, self.vocab.size())?;
        let idle = self.slots.iter().enumerate().filter(|(_, slot)| slot.job.is_none());
        let least = idle.min_by_key(|(_, slot)| (Reverse(slot.history.is_empty()), slot.used));
        let index = least.map(|(index, _)| index).ok_or(Error::Busy)?;
        self.note_eviction(index, Prompt { namespace, tokens });
        self.lose(seq(index));
        let mut step = Step::default();
        step.ops.extend(self.slots[index].rewind(seq(index), 0, None));
        self.states.drop_released(&mut step.ops);
        Ok((seq(index), step))
    }

    /// Records that the sequence of a vacated slot now holds these tokens; the step caches its state.
    pub fn occupy(&mut self, seq: SeqId, namespace: Namespace, tokens: Vec<Token>) -> Step {
        let (index, mut step) = (seq.0 as usize, Step::default());
        self.turns += 1;
        if let Some(slot) = self.slots.get_mut(index) {
            (slot.history, slot.namespace) = (tokens, namespace);
            slot.used = self.turns;
            self.states.cache(index, self.turns, &mut self.slots, &mut step.ops);
            self.states.drop_released(&mut step.ops);
        }
        step
    }

    /// Discards the sequence of an idle slot.
    pub fn lose(&mut self, seq: SeqId) {
        if let Some(slot) = self.slots.get_mut(seq.0 as usize) {
            self.states.abandon();
            self.states.release_all(slot.lose());
        }
    }
}
