//! A decoder and a vocabulary without a model: deterministic, for tests and for trying front ends.
//!
//! The decoder also checks what it is given, so that a scheduler's mistakes show as errors.

use std::collections::BTreeMap;
use std::fmt;

use super::{Caps, DecodeError, Decoder, Markup, Outcome, SeqId, SeqOp, Step, Token, Vocab};

/// Bytes as tokens 0 to 255, and 256 to end an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByteVocab;

impl ByteVocab {
    /// The token that ends an answer.
    pub const END: Token = Token(256);
}

impl Vocab for ByteVocab {
    fn size(&self) -> u32 {
        257
    }

    fn tokenize(&self, text: &str, _markup: Markup) -> Vec<Token> {
        text.bytes().map(|b| Token(i32::from(b))).collect()
    }

    fn write(&self, token: Token, out: &mut Vec<u8>) {
        out.extend(u8::try_from(token.0));
    }

    fn ends_answer(&self, token: Token) -> bool {
        token == Self::END
    }
}

/// What follows a prompt and the tokens written so far; several tokens play a decoder that guesses ahead.
pub type Script = Box<dyn FnMut(&[Token], &[Token]) -> Vec<Token> + Send>;

/// Answers by a script.
pub struct ScriptedDecoder {
    caps: Caps,
    script: Script,
    sequences: BTreeMap<SeqId, Sequence>,
}

#[derive(Debug, Default)]
struct Sequence {
    prompt: Vec<Token>,
    written: Vec<Token>,
    /// Tokens read, those of accepted guesses included.
    length: usize,
}

impl fmt::Debug for ScriptedDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedDecoder")
            .field("caps", &self.caps)
            .field("sequences", &self.sequences)
            .finish_non_exhaustive()
    }
}

impl ScriptedDecoder {
    /// Answers by any script.
    #[must_use]
    pub fn new(caps: Caps, script: Script) -> Self {
        Self { caps, script, sequences: BTreeMap::new() }
    }

    /// Answers every prompt with this text, byte by byte, and ends.
    #[must_use]
    pub fn saying(caps: Caps, text: &str) -> Self {
        let answer = ByteVocab.tokenize(text, Markup::Plain);
        let next = move |_: &[Token], written: &[Token]| {
            vec![answer.get(written.len()).copied().unwrap_or(ByteVocab::END)]
        };
        Self::new(caps, Box::new(next))
    }

    /// The sequences that are open.
    pub fn open(&self) -> impl Iterator<Item = SeqId> {
        self.sequences.keys().copied()
    }

    fn check(ok: bool, what: &'static str) -> Result<(), DecodeError> {
        if ok { Ok(()) } else { Err(DecodeError::Contract { what }) }
    }

    fn apply(&mut self, op: SeqOp) -> Result<(), DecodeError> {
        match op {
            SeqOp::Open { seq, .. } => {
                Self::check(seq.0 < self.caps.sequences, "there is no such sequence")?;
                let old = self.sequences.insert(seq, Sequence::default());
                Self::check(old.is_none(), "the sequence is open already")
            }
            SeqOp::Close { seq } => {
                self.sequences.remove(&seq);
                Ok(())
            }
        }
    }
}

impl Decoder for ScriptedDecoder {
    fn caps(&self) -> Caps {
        self.caps
    }

    fn step(&mut self, step: &Step) -> Result<Outcome, DecodeError> {
        Self::check(step.rows.len() <= self.caps.batch as usize, "the batch is too large")?;
        for &op in &step.ops {
            self.apply(op)?;
        }
        let mut tokens = Vec::with_capacity(step.rows.len());
        for row in &step.rows {
            let sequence = self
                .sequences
                .get_mut(&row.seq)
                .ok_or(DecodeError::Contract { what: "the sequence is not open" })?;
            Self::check(sequence.length == row.pos.0 as usize, "positions do not follow each other")?;
            Self::check(row.pos.0 < self.caps.context, "the position is outside the context")?;
            sequence.length += 1;
            if sequence.written.is_empty() {
                sequence.prompt.push(row.token);
            } else {
                Self::check(sequence.written.last() == Some(&row.token), "not the token that was given out")?;
            }
            let mut given = Vec::new();
            if row.sample {
                given = (self.script)(&sequence.prompt, &sequence.written);
                sequence.length += given.len().saturating_sub(1);
                sequence.written.extend_from_slice(&given);
            }
            tokens.push(given);
        }
        Ok(Outcome { tokens })
    }
}
