//! How much of a prompt is in the cache: in the slot it will take, in another that can be copied, or soon.

use std::cmp::Reverse;

use crate::engine::slot::{Slot, runs};
use crate::engine::{Caps, Prompt, StateId};

/// The cached beginning of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reuse {
    /// Tokens that need not be read.
    pub(super) length: usize,
    /// The slot whose sequence is copied first; `None` if the request's own slot has them.
    pub(super) from: Option<usize>,
    /// The state to restore; `None` if the sequence ends there or can be trimmed.
    pub(super) state: Option<StateId>,
}

/// The place of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Into a slot.
    Now(usize, Reuse),
    /// In no slot until the request in this slot has read this many tokens, which both prompts share.
    Later(usize, usize),
}

/// How the cache is shared between requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sharing {
    pub(super) caps: Caps,
    /// The shortest common prefix for which a sequence is copied or waited for.
    pub(super) min_shared_prefix: usize,
    /// Whether every request is computed as if it were the only one.
    pub(super) deterministic: bool,
}

impl Sharing {
    /// The best place for a request; `None` when no slot is free.
    ///
    /// That is the free slot that holds most of the prompt; among equals, one that leaves the fewest gaps between busy
    /// slots, since a step reads only adjacent ones in one pass; then the least recently used. A sequence in another
    /// slot that holds much more of it is copied; if one is about to hold more, the request waits for it, because
    /// prompts are read one after another anyway.
    pub(super) fn place(&self, slots: &[Slot], prompt: Prompt<'_>, caches: bool) -> Option<Place> {
        let free = || slots.iter().enumerate().filter(|(_, slot)| slot.job.is_none());
        let cost = |index: usize| (runs(slots, Some(index)), slots[index].used);
        let own = free().map(|(index, _)| (index, self.best(slots, index, prompt)));
        let (index, own) = own.min_by_key(|&(index, reuse)| (Reverse(reuse.length), cost(index)))?;
        let copy = self.copy(slots, prompt);
        let now = match copy {
            Some(copy) if copy.length >= own.length.saturating_add(self.min_shared_prefix) => {
                (free().min_by_key(|&(index, _)| cost(index))?.0, copy)
            }
            _ => (index, own),
        };
        let soon =
            (0..slots.len()).filter_map(|index| Some((index, self.soon(&slots[index], prompt, caches)?)));
        match soon.max_by_key(|&(_, length)| length) {
            Some((index, length)) if length >= now.1.length.saturating_add(self.min_shared_prefix) => {
                Some(Place::Later(index, length))
            }
            _ => Some(Place::Now(now.0, now.1)),
        }
    }

    /// The cached beginning for a request that is in a slot already.
    pub(super) fn within(&self, slots: &[Slot], index: usize, prompt: Prompt<'_>) -> Reuse {
        let own = self.best(slots, index, prompt);
        let copy = self.copy(slots, prompt).filter(|copy| copy.from != Some(index));
        copy.filter(|copy| copy.length >= own.length.saturating_add(self.min_shared_prefix)).unwrap_or(own)
    }

    /// A length at which a state would have served this request, and is likely to serve the next one.
    pub(super) fn missed(&self, slots: &[Slot], prompt: Prompt<'_>, reused: usize) -> Option<usize> {
        if self.deterministic || self.caps.can_trim {
            return None;
        }
        let longest = slots.iter().map(|slot| slot.held(prompt)).max()?;
        (longest >= reused.saturating_add(self.min_shared_prefix)).then_some(longest)
    }

    /// The longest beginning of a prompt that can be copied.
    fn copy(&self, slots: &[Slot], prompt: Prompt<'_>) -> Option<Reuse> {
        let copies = (0..slots.len())
            .filter(|_| self.caps.can_copy && !self.deterministic)
            .map(|index| Reuse { from: Some(index), ..self.best(slots, index, prompt) });
        copies.max_by_key(|reuse| reuse.length)
    }

    /// The longest beginning of a prompt to which the sequence of one slot can be cut.
    pub(super) fn best(&self, slots: &[Slot], index: usize, prompt: Prompt<'_>) -> Reuse {
        let slot = &slots[index];
        let held = slot.held(prompt);
        if self.deterministic {
            return Reuse::default();
        }
        if self.caps.can_trim || (!slot.broken && held == slot.history.len()) {
            return Reuse { length: held, ..Reuse::default() };
        }
        // A state belongs to its tokens, not to the slot that read them.
        let states = slots.iter().flat_map(|owner| {
            let same = owner.held(prompt).min(held);
            owner.states.iter().filter(move |state| state.length <= same)
        });
        let best = states.max_by_key(|state| state.length);
        best.map_or(Reuse::default(), |state| Reuse {
            length: state.length,
            from: None,
            state: Some(state.state),
        })
    }

    /// The longest beginning of a prompt that a request admitted now would find: in an idle slot, or by a copy.
    pub(super) fn longest(&self, slots: &[Slot], prompt: Prompt<'_>) -> usize {
        let own = (0..slots.len()).filter(|&index| slots[index].job.is_none());
        let own = own.map(|index| self.best(slots, index, prompt).length).max().unwrap_or(0);
        let copied = self.copy(slots, prompt).map_or(0, |copy| copy.length);
        if copied >= own.saturating_add(self.min_shared_prefix) { copied } else { own }
    }

    /// How much of a prompt the request in this slot is going to read, if the sequence can then be copied.
    fn soon(&self, slot: &Slot, prompt: Prompt<'_>, caches: bool) -> Option<usize> {
        let reader = slot.job.as_ref().filter(|_| self.caps.can_copy && !self.deterministic)?;
        let length = if reader.namespace == prompt.namespace { prompt.shared(&reader.tokens) } else { 0 };
        let stops = self.caps.can_trim || caches;
        (stops && !reader.is_writing() && length > slot.history.len()).then_some(length)
    }
}
