//! The last turns of conversations: with which tokens the next turn of each is likely to begin. An answer's reasoning,
//! for example, is not part of the next prompt, so a state after it is of no use.

use std::collections::VecDeque;

use super::blocks::{Hash, Prefixes};
use crate::engine::{Namespace, Prompt, Token};

/// The last turns, the newest first.
#[derive(Debug)]
pub(super) struct Turns {
    turns: VecDeque<Turn>,
    most: usize,
}

#[derive(Debug)]
struct Turn {
    namespace: Namespace,
    /// The prompt that was answered.
    length: usize,
    hash: Hash,
    /// The beginning of the next prompt.
    next: Vec<Token>,
}

impl Turns {
    /// Keeps this many turns.
    pub(super) fn new(most: usize) -> Self {
        Self { turns: VecDeque::new(), most }
    }

    /// Records the prompt of an answered turn, and the beginning of the prompt that is likely to follow.
    pub(super) fn note(&mut self, prompt: Prompt<'_>, next: Vec<Token>) {
        let Prompt { namespace, tokens } = prompt;
        let (length, hash) = (tokens.len(), Prefixes::of(tokens).hash(tokens.len()));
        let same = |turn: &Turn| (turn.namespace, turn.length, turn.hash) == (namespace, length, hash);
        self.turns.retain(|turn| !same(turn));
        self.turns.push_front(Turn { namespace, length, hash, next });
        self.turns.truncate(self.most);
    }

    /// How much of a sequence its next prompt is likely to share: all of it, if nothing is known about the turn that it
    /// comes from.
    pub(super) fn shared(&self, namespace: Namespace, sequence: &Prefixes<'_>) -> usize {
        let of = |turn: &&Turn| {
            turn.namespace == namespace
                && turn.length <= sequence.length()
                && sequence.hash(turn.length) == turn.hash
        };
        // The turn with the longest prompt is the last one.
        let turn = self.turns.iter().filter(of).max_by_key(|turn| turn.length);
        turn.map_or(sequence.length(), |turn| sequence.common(&turn.next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        text.bytes().map(|byte| Token(i32::from(byte))).collect()
    }

    fn shared(turns: &Turns, namespace: u64, text: &str) -> usize {
        let tokens = tokens(text);
        turns.shared(Namespace(namespace), &Prefixes::of(&tokens))
    }

    #[test]
    fn a_sequence_is_of_use_as_far_as_the_next_turn_of_its_conversation() {
        let mut turns = Turns::new(2);
        let note = |turns: &mut Turns, prompt: &str, next: &str| {
            let prompt = tokens(prompt);
            turns.note(Prompt { namespace: Namespace(1), tokens: &prompt }, tokens(next));
        };
        note(&mut turns, "user: a model: ", "user: a model: yes user: ?");
        assert_eq!(shared(&turns, 1, "user: a model: <hm> yes"), "user: a model: ".len());
        assert_eq!(shared(&turns, 1, "user: a model: yes"), "user: a model: yes".len());
        // A longer prompt is a later turn.
        note(&mut turns, "user: a model: yes user: b model: ", "user: a model: yes user: b model: no");
        let second = "user: a model: yes user: b model: ";
        assert_eq!(shared(&turns, 1, &format!("{second}<hm> no")), second.len());
        // Nothing is known about these.
        for (namespace, text) in [(2, "user: a model: <hm> yes"), (1, "user: other"), (1, "user: a mod")] {
            assert_eq!(shared(&turns, namespace, text), text.len());
        }
        // The same prompt was answered again.
        note(&mut turns, "user: a model: ", "user: a model: <hm> maybe");
        assert_eq!(shared(&turns, 1, "user: a model: <hm> yes"), "user: a model: <hm> ".len());
        // Only the last two are kept.
        note(&mut turns, "one", "one two");
        note(&mut turns, "two", "two three");
        assert_eq!(shared(&turns, 1, "user: a model: <hm> yes"), "user: a model: <hm> yes".len());
    }
}
