//! The states of a folder, without their contents: which one a prompt can start from.

use std::collections::BTreeMap;

use super::blocks::{Blocks, Prefixes};
use crate::state::Identity;

/// A state on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// What it belongs to.
    pub(super) identity: Identity,
    /// Its tokens.
    pub(super) blocks: Blocks,
    /// The size of its file.
    pub(super) bytes: u64,
}

/// The states of a folder by the names of their files.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: BTreeMap<String, Entry>,
}

/// A state that a prompt can start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The name of the file.
    pub(super) name: String,
    /// Tokens of the prompt that need not be read, as far as is known before the file is read.
    pub(super) tokens: usize,
    /// The size of the file.
    pub(super) bytes: u64,
}

impl Index {
    pub(super) fn insert(&mut self, name: String, entry: Entry) {
        self.entries.insert(name, entry);
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.entries.remove(name);
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Removes entries whose files are gone.
    pub(super) fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.entries.retain(|name, _| exists(name));
    }

    /// The state that saves most of a prompt, of which at least one token must be read; among equals, the smallest.
    /// Without `can_trim` a state is of use only if all of its tokens are of the prompt.
    pub(super) fn best(&self, identity: &Identity, prompt: &Prefixes<'_>, can_trim: bool) -> Option<Found> {
        let found = self.of(identity).map(|(name, entry)| {
            let most = prompt.length().saturating_sub(1);
            let shared = usable(prompt, entry, can_trim);
            let tokens = if can_trim { shared.min(most) } else { shared };
            let tokens = if tokens > most { 0 } else { tokens };
            Found { name: name.clone(), tokens, bytes: entry.bytes }
        });
        found
            .filter(|found| found.tokens > 0)
            .max_by_key(|found| (found.tokens, std::cmp::Reverse(found.bytes)))
    }

    /// How much of a sequence could be restored from a file.
    pub(super) fn held(&self, identity: &Identity, sequence: &Prefixes<'_>, can_trim: bool) -> usize {
        self.of(identity).map(|(_, entry)| usable(sequence, entry, can_trim)).max().unwrap_or(0)
    }

    /// The states that a longer one replaces: their tokens are a beginning of its own.
    pub(super) fn replaced(&self, identity: &Identity, sequence: &Prefixes<'_>) -> Vec<String> {
        let shorter = self.of(identity).filter(|(_, entry)| {
            let length = entry.blocks.length();
            length < sequence.length() && sequence.shared(&entry.blocks) == length
        });
        shorter.map(|(name, _)| name.clone()).collect()
    }

    fn of(&self, identity: &Identity) -> impl Iterator<Item = (&String, &Entry)> {
        self.entries.iter().filter(move |(_, entry)| entry.identity == *identity)
    }
}

fn usable(prompt: &Prefixes<'_>, entry: &Entry, can_trim: bool) -> usize {
    let shared = prompt.shared(&entry.blocks);
    if can_trim || shared == entry.blocks.length() { shared } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Token;
    use proptest::prelude::*;

    const OURS: Identity = Identity { model: [1; 32], engine: [2; 32], settings: [3; 32] };

    /// Tokens of which those from `branch` on differ from those of other branches.
    fn tokens(length: usize, branch: usize, other: i32) -> Vec<Token> {
        (0..length).map(|at| Token(if at < branch { 0 } else { other })).collect()
    }

    fn index(entries: &[(Identity, Vec<Token>)]) -> Index {
        let mut index = Index::default();
        for (at, (identity, tokens)) in entries.iter().enumerate() {
            let entry = Entry { identity: *identity, blocks: Blocks::of(tokens), bytes: tokens.len() as u64 };
            index.insert(at.to_string(), entry);
        }
        index
    }

    #[test]
    fn a_prompt_starts_from_the_longest_state_of_its_own() {
        let foreign = Identity { settings: [4; 32], ..OURS };
        let index = index(&[
            (OURS, tokens(600, 600, 0)),
            (OURS, tokens(900, 600, 1)),
            (foreign, tokens(1000, 1000, 0)),
        ]);
        let best = |prompt: &[Token], can_trim| {
            let found = index.best(&OURS, &Prefixes::of(prompt), can_trim)?;
            Some((found.name, found.tokens))
        };
        let named = |name: &str, tokens| Some((name.to_owned(), tokens));
        assert_eq!(best(&tokens(1000, 1000, 0), false), named("0", 600));
        assert_eq!(best(&tokens(1000, 600, 1), false), named("1", 900));
        // At least one token must be read.
        assert_eq!(best(&tokens(600, 600, 0), false), None);
        assert_eq!(best(&tokens(600, 600, 0), true), named("0", 599));
        assert_eq!(best(&tokens(700, 600, 2), false), named("0", 600));
        assert_eq!(best(&tokens(550, 550, 0), false), None);
        assert_eq!(best(&tokens(550, 550, 0), true), named("0", 512));
        assert_eq!(best(&tokens(200, 200, 0), true), None);
    }

    #[test]
    fn what_is_held_may_be_all_of_a_sequence_and_a_longer_state_replaces_it() {
        let index = index(&[(OURS, tokens(600, 600, 0)), (OURS, tokens(900, 600, 1))]);
        let held = |tokens: &[Token], can_trim| index.held(&OURS, &Prefixes::of(tokens), can_trim);
        assert_eq!(held(&tokens(600, 600, 0), false), 600);
        assert_eq!((held(&tokens(599, 599, 0), false), held(&tokens(599, 599, 0), true)), (0, 512));
        let replaced = |tokens: &[Token]| index.replaced(&OURS, &Prefixes::of(tokens));
        assert_eq!(replaced(&tokens(601, 601, 0)), ["0"]);
        assert_eq!(replaced(&tokens(600, 600, 0)), [""; 0]);
        assert_eq!(replaced(&tokens(901, 600, 1)), ["0", "1"]);
    }

    proptest! {
        #[test]
        fn what_is_found_is_a_beginning_of_the_prompt_and_no_other_is_longer(
            states in prop::collection::vec((any::<bool>(), 1usize..1500, 0usize..1500, 1i32..3), 0..6),
            prompt in (1usize..1500, 0usize..1500, 1i32..3), can_trim in any::<bool>(),
        ) {
            let foreign = Identity { model: [9; 32], ..OURS };
            let states: Vec<(Identity, Vec<Token>)> = states
                .into_iter()
                .map(|(ours, length, branch, other)| (if ours { OURS } else { foreign }, tokens(length, branch, other)))
                .collect();
            let prompt = tokens(prompt.0, prompt.1, prompt.2);
            let usable = |state: &[Token]| {
                let common = state.iter().zip(&prompt).take_while(|(a, b)| a == b).count();
                let is_whole = common == state.len();
                match (can_trim, is_whole) {
                    (true, true) => common.min(prompt.len() - 1),
                    (true, false) => (common / 256 * 256).min(prompt.len() - 1),
                    (false, true) if common < prompt.len() => common,
                    (false, _) => 0,
                }
            };
            let ours = states.iter().filter(|(identity, _)| *identity == OURS);
            let most = ours.map(|(_, state)| usable(state)).max().filter(|most| *most > 0);
            let found = index(&states).best(&OURS, &Prefixes::of(&prompt), can_trim);
            prop_assert_eq!(found.as_ref().map(|found| found.tokens), most);
            if let Some(found) = found {
                let (identity, state) = &states[found.name.parse::<usize>().unwrap()];
                prop_assert_eq!(identity, &OURS);
                prop_assert_eq!(&state[..found.tokens], &prompt[..found.tokens]);
            }
        }
    }
}
