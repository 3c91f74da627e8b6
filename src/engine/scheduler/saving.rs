//! Sequences that leave the decoder for a file and come back: which slot, brought where.

use std::cmp::Reverse;

use super::{Scheduler, seq};
use crate::engine::{Error, SeqId, Step, Token, Vocab};

impl<V: Vocab> Scheduler<V> {
    /// The sequence of an idle slot that serves a prompt best, cut to what serves it; its tokens, and the step that
    /// cuts it.
    pub fn hold(&mut self, prompt: &[Token]) -> Option<(SeqId, Vec<Token>, Step)> {
        let idle = self.slots.iter().enumerate().filter(|(_, slot)| slot.job.is_none());
        let fits = idle.map(|(index, _)| (index, self.sharing.best(&self.slots, index, prompt)));
        let (index, reuse) =
            fits.max_by_key(|(_, reuse)| reuse.length).filter(|(_, reuse)| reuse.length > 0)?;
        let mut step = Step::default();
        self.take_over(index, reuse, &mut step);
        self.states.forget(&mut step.ops);
        Some((seq(index), self.slots[index].history.clone(), step))
    }

    /// Makes the longest unused slot free for some tokens; the step empties its sequence.
    ///
    /// # Errors
    ///
    /// When the tokens fit into no sequence, or no slot is idle. Nothing has changed then.
    pub fn vacate(&mut self, tokens: &[Token]) -> Result<(SeqId, Step), Error> {
        self.check(tokens)?;
        let idle = self.slots.iter().enumerate().filter(|(_, slot)| slot.job.is_none());
        let least = idle.min_by_key(|(_, slot)| (Reverse(slot.history.is_empty()), slot.used));
        let index = least.map(|(index, _)| index).ok_or(Error::Busy)?;
        self.lose(seq(index));
        let mut step = Step::default();
        step.ops.extend(self.slots[index].rewind(seq(index), 0, None));
        self.states.forget(&mut step.ops);
        Ok((seq(index), step))
    }

    /// Notes that the sequence of a vacated slot holds these tokens now; the step keeps its state.
    pub fn occupy(&mut self, seq: SeqId, tokens: Vec<Token>) -> Step {
        let (index, mut step) = (seq.0 as usize, Step::default());
        self.turns += 1;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.history = tokens;
            slot.used = self.turns;
            self.states.keep_here(index, self.turns, &mut self.slots, &mut step.ops);
            self.states.forget(&mut step.ops);
        }
        step
    }

    /// Gives up what the sequence of an idle slot holds.
    pub fn lose(&mut self, seq: SeqId) {
        if let Some(slot) = self.slots.get_mut(seq.0 as usize) {
            self.states.abandon();
            self.states.drop_all(slot.lose());
        }
    }
}
