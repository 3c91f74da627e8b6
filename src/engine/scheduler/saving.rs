//! Sequences that are copied out of the decoder and back: which slot, cut to which length.

use std::cmp::Reverse;

use super::seq::seq;
use super::value::Scheduler;
use crate::engine::check;
use crate::engine::{Error, SeqId, Step, Token, Vocab};

impl<V: Vocab> Scheduler<V> {
    /// The idle slot's sequence that holds most of a prompt, cut to that; its tokens, and the step that cuts it.
    pub fn hold(&mut self, prompt: &[Token]) -> Option<(SeqId, Vec<Token>, Step)> {
        let idle = self.slots.iter().enumerate().filter(|(_, slot)| slot.job.is_none());
        let fits = idle.map(|(index, _)| (index, self.sharing.best(&self.slots, index, prompt)));
        let (index, reuse) =
            fits.max_by_key(|(_, reuse)| reuse.length).filter(|(_, reuse)| reuse.length > 0)?;
        let mut step = Step::default();
        self.take_over(index, reuse, &mut step);
        self.states.drop_released(&mut step.ops);
        Some((seq(index), self.slots[index].history.clone(), step))
    }

    /// Frees the least recently used idle slot for these tokens; the step empties its sequence.
    ///
    /// # Errors
    ///
    /// When the tokens do not fit into a sequence, or no slot is idle. Nothing has changed then.
    pub fn vacate(&mut self, tokens: &[Token]) -> Result<(SeqId, Step), Error> {
        check::check_sequence(tokens, self.caps.context, self.vocab.size())?;
        let idle = self.slots.iter().enumerate().filter(|(_, slot)| slot.job.is_none());
        let least = idle.min_by_key(|(_, slot)| (Reverse(slot.history.is_empty()), slot.used));
        let index = least.map(|(index, _)| index).ok_or(Error::Busy)?;
        self.note_eviction(index, tokens);
        self.lose(seq(index));
        let mut step = Step::default();
        step.ops.extend(self.slots[index].rewind(seq(index), 0, None));
        self.states.drop_released(&mut step.ops);
        Ok((seq(index), step))
    }

    /// Records that the sequence of a vacated slot now holds these tokens; the step caches its state.
    pub fn occupy(&mut self, seq: SeqId, tokens: Vec<Token>) -> Step {
        let (index, mut step) = (seq.0 as usize, Step::default());
        self.turns += 1;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.history = tokens;
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
