//! The interface to an inference backend: a step goes in, sampled tokens come out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Abort, DecodeError, Pos, PrepareSampler, PreparedSampler, SamplingParams, Saved, SeqId, Token,
    TokenLogprob,
};

/// A decoder's capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Sequences it can hold at once.
    pub sequences: u32,
    /// Tokens each sequence can hold.
    pub context: u32,
    /// Tokens one step may have.
    pub batch: u32,
    /// Whether a sequence can be cut at any length. If not, it can be cut only where a state was cached.
    pub can_trim: bool,
    /// Whether states can be cached and restored.
    pub can_cache: bool,
    /// Whether a sequence can be copied.
    pub can_copy: bool,
}

/// Identifies a cached state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateId(pub u64);

/// One token to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchToken {
    /// The sequence it belongs to.
    pub seq: SeqId,
    /// Its position there.
    pub pos: Pos,
    /// The token.
    pub token: Token,
    /// Whether to sample the token after it.
    pub sample: bool,
}

/// An operation on a sequence, before the tokens of a step are read.
#[derive(Debug, Clone, PartialEq)]
pub enum SeqOp {
    /// Empties the sequence.
    Clear {
        /// The sequence.
        seq: SeqId,
    },
    /// Cuts the sequence off.
    Rewind {
        /// The sequence.
        seq: SeqId,
        /// Tokens that stay.
        length: u32,
        /// A state that was cached at this length, of this sequence or of one with the same tokens; `None` if the
        /// decoder can trim.
        state: Option<StateId>,
    },
    /// Makes a sequence a copy of the beginning of another, which does not change.
    Copy {
        /// The sequence to copy.
        from: SeqId,
        /// The sequence to overwrite.
        to: SeqId,
        /// Tokens to copy.
        length: u32,
        /// A state that was cached at this length; `None` if the first sequence ends there or can be trimmed.
        state: Option<StateId>,
    },
    /// Moves a sequence, with its sampler: it replaces another one, and leaves an empty sequence.
    Move {
        /// The sequence to move.
        from: SeqId,
        /// The sequence to replace.
        to: SeqId,
    },
    /// Caches the state of a sequence at its present length.
    CacheState {
        /// The sequence.
        seq: SeqId,
        /// Identifies the state from now on.
        state: StateId,
    },
    /// Drops a cached state.
    DropState {
        /// The state.
        state: StateId,
    },
    /// Sets how tokens of the sequence are sampled from now on, for a new request.
    Sample {
        /// The sequence.
        seq: SeqId,
        /// The parameters.
        sampling: Box<SamplingParams>,
        /// The whole prompt, for samplers that look back.
        prompt: Arc<Vec<Token>>,
        /// The sampler made from these, if it was prepared. Without it the decoder makes one, but compiles no
        /// grammar.
        prepared: Option<PreparedSampler>,
    },
    /// Passes tokens to the sampler that it did not choose.
    Forced {
        /// The sequence.
        seq: SeqId,
        /// The tokens, which are read in this step or later.
        tokens: Vec<Token>,
    },
}

impl SeqOp {
    /// The sequences that it changes, or whose state it caches.
    pub fn targets(&self) -> impl Iterator<Item = SeqId> {
        let targets = match self {
            Self::DropState { .. } => [None, None],
            Self::Move { from, to } => [Some(*from), Some(*to)],
            Self::Clear { seq }
            | Self::Rewind { seq, .. }
            | Self::CacheState { seq, .. }
            | Self::Sample { seq, .. }
            | Self::Forced { seq, .. }
            | Self::Copy { to: seq, .. } => [Some(*seq), None],
        };
        targets.into_iter().flatten()
    }
}

/// One unit of work: operations first, then tokens.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// Applied in order, before any token is read.
    pub ops: Vec<SeqOp>,
    /// Read in one batch; ordered by sequence.
    pub tokens: Vec<BatchToken>,
}

impl Step {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.tokens.is_empty()
    }
}

/// A state that was cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachedState {
    /// Its name.
    pub state: StateId,
    /// The memory it takes.
    pub bytes: u64,
}

/// The result of a step: for each of its tokens the sampled tokens that follow, in order.
///
/// A token that did not request sampling has none. One that did has at least one, unless its sequence is among the
/// failed; a decoder that predicts further tokens returns more, and then all but the last are in its cache already, at
/// the positions that follow.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// One list for each token of the step.
    pub sampled: Vec<Vec<Token>>,
    /// Log probabilities by index of the step's token; only for sequences that requested them, and then for every
    /// sampled token.
    pub logprobs: BTreeMap<usize, Vec<TokenLogprob>>,
    /// The requested states that could be cached.
    pub states: Vec<CachedState>,
    /// Sequences for which no token could be sampled, and why; their tokens were read.
    pub failed: Vec<(SeqId, DecodeError)>,
}

/// Reads tokens and samples those that follow. Driven by one thread.
///
/// # After an error
///
/// No token was sampled, and cached states are as they were, with those that the step asked for beside them. Beyond
/// that:
///
/// - [`DecodeError::Contract`]: the operations may be incomplete. The sequences that the step names must be cleared
///   before they are used again.
/// - [`DecodeError::NoRoom`]: the operations are complete, and no sequence holds any of the step's tokens.
/// - Other errors: the operations are complete. A sequence with tokens in the step must be cleared, or rewound by
///   [`SeqOp::Rewind`] to a cached state or, where the decoder can trim, to any length up to the one before the step.
///   So must every other sequence that holds tokens if [`failure_spreads`](Self::failure_spreads); if not, they are as
///   they were.
pub trait Decoder {
    /// Its capabilities, which never change.
    fn caps(&self) -> Caps;

    /// Creates samplers, on any thread.
    fn prepare_sampler(&self) -> PrepareSampler;

    /// Aborts its steps.
    fn abort(&self) -> Abort;

    /// Computes one step.
    ///
    /// # Errors
    ///
    /// When it cannot; see the contract above.
    fn step(&mut self, step: &Step) -> Result<Outcome, DecodeError>;

    /// Whether a failure of this step can damage sequences that have no tokens in it.
    fn failure_spreads(&self, _step: &Step) -> bool {
        false
    }

    /// The size of the state that [`save`](Self::save) would copy out now.
    fn saved_bytes(&self, seq: SeqId) -> u64;

    /// Copies a sequence out, for [`restore`](Self::restore) of this decoder or one like it. `tokens` are those that
    /// the sequence holds.
    ///
    /// # Errors
    ///
    /// When it cannot be copied.
    fn save(&mut self, seq: SeqId, tokens: Vec<Token>) -> Result<Saved, DecodeError>;

    /// Restores an empty sequence to the state in which it was saved.
    ///
    /// # Errors
    ///
    /// When the state is not of these tokens or not of a decoder like this one; the sequence is empty then.
    fn restore(&mut self, seq: SeqId, saved: &Saved) -> Result<(), DecodeError>;
}
