//! The seam to whatever computes logits: a step goes in, tokens per row come out.

use super::{Pos, SamplingParams, SeqId, Token};

/// What a decoder can do; asked, never assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Sequences it can hold at once.
    pub sequences: u32,
    /// Tokens each sequence can hold.
    pub context: u32,
    /// Rows one step may have.
    pub batch: u32,
    /// Whether the end of a sequence can be cut off.
    pub can_trim: bool,
    /// Whether a sequence can be copied to another.
    pub can_copy: bool,
}

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
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SeqOp {
    /// Makes the sequence empty and ready for a new request.
    Open {
        /// The sequence.
        seq: SeqId,
        /// How its tokens are chosen from now on.
        sampling: SamplingParams,
    },
    /// Forgets the sequence, if it is open.
    Close {
        /// The sequence.
        seq: SeqId,
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

/// What a step gave: for each of its rows the tokens that follow, in order.
///
/// A row that did not ask has none. One that did has at least one; a decoder that guesses ahead gives more,
/// and then all but the last are in its cache already, at the positions after the row's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// One list per row.
    pub tokens: Vec<Vec<Token>>,
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
    /// The backend gave up.
    #[error("the backend failed with status {status}")]
    Backend {
        /// Its own number for the reason.
        status: i32,
    },
    /// The logits are not numbers, so no token can be chosen.
    #[error("the logits after position {position} of sequence {seq} are not numbers")]
    NotANumber {
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
/// Driven by one thread. After an error every open sequence is closed before it is used again.
pub trait Decoder {
    /// What it can do; the answer never changes.
    fn caps(&self) -> Caps;

    /// Does one step.
    ///
    /// # Errors
    ///
    /// When the batch could not be read; no sequence of the step is to be trusted then.
    fn step(&mut self, step: &Step) -> Result<Outcome, DecodeError>;
}
