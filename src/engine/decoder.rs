//! The seam to whatever computes logits: a step goes in, tokens per row come out.

use std::collections::BTreeMap;

use super::{Pos, SamplingError, SamplingParams, Saved, SeqId, Token, TokenLogprob};

/// What a decoder can do; asked, never assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Sequences it can hold at once.
    pub sequences: u32,
    /// Tokens each sequence can hold.
    pub context: u32,
    /// Rows one step may have.
    pub batch: u32,
    /// Whether the end of a sequence can be cut off anywhere. If not, only where a state was kept.
    pub can_trim: bool,
    /// Whether states can be kept and returned to.
    pub can_keep: bool,
    /// Whether a sequence can be copied.
    pub can_copy: bool,
}

/// Names a kept state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateId(pub u64);

/// One token to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The sequence it belongs to.
    pub seq: SeqId,
    /// Its place there.
    pub pos: Pos,
    /// The token.
    pub token: Token,
    /// Whether the token after it is wanted.
    pub sample: bool,
}

/// What is done to a sequence before the rows are read.
#[derive(Debug, Clone, PartialEq)]
pub enum SeqOp {
    /// Makes the sequence empty.
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
        /// A state that was kept at this length, of this sequence or of one with the same tokens; `None` where the
        /// decoder can trim.
        state: Option<StateId>,
    },
    /// Makes a sequence the beginning of another, which stays as it is.
    Copy {
        /// The sequence that is copied.
        from: SeqId,
        /// The sequence that becomes its beginning, whatever it was.
        to: SeqId,
        /// Tokens that are copied.
        length: u32,
        /// A state that was kept at this length; `None` where the first sequence ends there or can be trimmed.
        state: Option<StateId>,
    },
    /// Keeps what cannot be found again once the sequence goes on: the state at its present length.
    Keep {
        /// The sequence.
        seq: SeqId,
        /// Names the state from now on.
        state: StateId,
    },
    /// Forgets a kept state.
    Forget {
        /// The state.
        state: StateId,
    },
    /// Says how tokens of the sequence are chosen from now on, for a new request.
    Sample {
        /// The sequence.
        seq: SeqId,
        /// How.
        sampling: Box<SamplingParams>,
        /// The whole prompt, which some ways of choosing look back on.
        prompt: Vec<Token>,
    },
    /// Tells whoever chooses about tokens it did not choose.
    Forced {
        /// The sequence.
        seq: SeqId,
        /// The tokens, which are rows of this step or later ones.
        tokens: Vec<Token>,
    },
}

/// One turn of work: operations first, then rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// Done in order, before any row.
    pub ops: Vec<SeqOp>,
    /// Read in one batch.
    pub rows: Vec<Row>,
}

impl Step {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.rows.is_empty()
    }
}

/// A state that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub state: StateId,
    /// The memory it takes.
    pub bytes: u64,
}

/// What a step gave: for each of its rows the tokens that follow, in order.
///
/// A row that did not ask has none. One that did has at least one; a decoder that guesses ahead gives more,
/// and then all but the last are in its cache already, at the positions after the row's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// One list per row.
    pub tokens: Vec<Vec<Token>>,
    /// How likely they were, by row; only for sequences that asked for it, and there for every token.
    pub logprobs: BTreeMap<usize, Vec<TokenLogprob>>,
    /// The states that were asked for and could be kept.
    pub kept: Vec<Kept>,
    /// Sequences for which no token could be chosen, and why; their rows were read.
    pub failed: Vec<(SeqId, DecodeError)>,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The cache has no room for the batch.
    #[error("the cache has no room for {rows} more tokens")]
    NoRoom {
        /// Rows of the batch.
        rows: usize,
    },
    /// Somebody asked for the step to be given up.
    #[error("the step was interrupted")]
    Interrupted,
    /// The backend gave up.
    #[error("the backend failed with status {status}")]
    Backend {
        /// Its own number for the reason.
        status: i32,
    },
    /// A machine that computed a part of the model is gone, and what it held with it.
    #[error("lost the connection to the worker at `{endpoint}`")]
    WorkerLost {
        /// Where it was.
        endpoint: String,
    },
    /// The logits are not numbers, so no token can be chosen.
    #[error("the logits after position {position} of sequence {seq} are not numbers")]
    NotANumber {
        /// The sequence.
        seq: u32,
        /// The position.
        position: u32,
    },
    /// The rules of a grammar leave no token to choose.
    #[error("the grammar allows no token after position {position} of sequence {seq}")]
    NoTokenAllowed {
        /// The sequence.
        seq: u32,
        /// The position.
        position: u32,
    },
    /// The step asks for something the decoder does not have.
    #[error("the step breaks the decoder's contract: {what}")]
    Contract {
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Reads rows and chooses tokens.
///
/// Driven by one thread. After an error every sequence of the step is cleared before it is used again.
pub trait Decoder {
    /// What it can do; the answer never changes.
    fn caps(&self) -> Caps;

    /// Whether tokens can be chosen so, before a request is taken on.
    ///
    /// # Errors
    ///
    /// When they cannot.
    fn check(&self, sampling: &SamplingParams) -> Result<(), SamplingError>;

    /// Does one step.
    ///
    /// # Errors
    ///
    /// When the batch could not be read; no sequence of the step is to be trusted then.
    fn step(&mut self, step: &Step) -> Result<Outcome, DecodeError>;

    /// The state of a sequence as bytes that [`restore`](Self::restore) takes, of this decoder or one made alike.
    ///
    /// # Errors
    ///
    /// When it cannot be had.
    fn save(&mut self, seq: SeqId) -> Result<Vec<u8>, DecodeError>;

    /// Makes a sequence what it was when it was saved. Bytes that `save` did not give may end the process.
    ///
    /// # Errors
    ///
    /// When the state is not of these tokens or not of a decoder like this one; the sequence is empty then.
    fn restore(&mut self, seq: SeqId, saved: &Saved) -> Result<(), DecodeError>;
}
