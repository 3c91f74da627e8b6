//! A decoder and a vocabulary without a model: deterministic, for tests and for trying front ends.
//!
//! The decoder also checks what it is given, so that a scheduler's mistakes show as errors.

use std::collections::BTreeMap;
use std::fmt;

use super::{
    Caps, DecodeError, Decoder, Kept, Markup, Outcome, SamplingError, SamplingParams, Saved, SeqId, SeqOp,
    StateId, Step, Token, TokenLogprob, Vocab,
};

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
    states: BTreeMap<StateId, Vec<Token>>,
}

#[derive(Debug, Default)]
struct Sequence {
    /// What is in the cache.
    tokens: Vec<Token>,
    prompt: Vec<Token>,
    /// The answer, chosen or told.
    written: Vec<Token>,
    logprobs: Option<u32>,
}

/// What each state takes, by its own account.
const STATE_BYTES: u64 = 100;

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
        Self { caps, script, sequences: BTreeMap::new(), states: BTreeMap::new() }
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

    /// The tokens in the cache of a sequence.
    #[must_use]
    pub fn tokens(&self, seq: SeqId) -> &[Token] {
        self.sequences.get(&seq).map_or(&[], |sequence| &sequence.tokens)
    }

    /// The number of states that are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.states.len()
    }

    fn check(ok: bool, what: &'static str) -> Result<(), DecodeError> {
        if ok { Ok(()) } else { Err(DecodeError::Contract { what }) }
    }

    fn sequence(&mut self, seq: SeqId) -> Result<&mut Sequence, DecodeError> {
        Self::check(seq.0 < self.caps.sequences, "there is no such sequence")?;
        Ok(self.sequences.entry(seq).or_default())
    }

    fn apply(&mut self, op: &SeqOp, outcome: &mut Outcome) -> Result<(), DecodeError> {
        match op {
            SeqOp::Clear { seq } => self.sequence(*seq)?.tokens.clear(),
            SeqOp::Rewind { seq, length, state } => {
                let length = *length as usize;
                let kept = state.map(|state| self.states.get(&state).cloned());
                let tokens = &mut self.sequences.entry(*seq).or_default().tokens;
                Self::check(length > 0 && length <= tokens.len(), "the sequence is not as long as that")?;
                match kept {
                    None => Self::check(self.caps.can_trim, "the sequence cannot be trimmed")?,
                    Some(kept) => {
                        let same = kept.is_some_and(|kept| kept == tokens[..length]);
                        Self::check(same, "the state is not of this sequence at this length")?;
                    }
                }
                tokens.truncate(length);
            }
            SeqOp::Copy { from, to, length, state } => {
                Self::check(self.caps.can_copy && from != to, "the sequence cannot be copied")?;
                let (length, held) = (*length as usize, self.sequence(*from)?.tokens.clone());
                Self::check(length > 0 && length <= held.len(), "the sequence is not as long as that")?;
                let ends = match state {
                    None => self.caps.can_trim || length == held.len(),
                    Some(state) => self.states.get(state).is_some_and(|kept| *kept == held[..length]),
                };
                Self::check(ends, "the state is not of this sequence at this length")?;
                self.sequence(*to)?.tokens = held[..length].to_vec();
            }
            SeqOp::Keep { seq, state } => {
                Self::check(self.caps.can_keep, "no states can be kept")?;
                let tokens = self.sequence(*seq)?.tokens.clone();
                let old = self.states.insert(*state, tokens);
                Self::check(old.is_none(), "there is a state of this name already")?;
                outcome.kept.push(Kept { state: *state, bytes: STATE_BYTES });
            }
            SeqOp::Forget { state } => drop(self.states.remove(state)),
            SeqOp::Sample { seq, prompt, sampling } => {
                let prompt = prompt.clone();
                let sequence = self.sequence(*seq)?;
                (sequence.prompt, sequence.written) = (prompt, Vec::new());
                sequence.logprobs = sampling.logprobs;
            }
            SeqOp::Forced { seq, tokens } => self.sequence(*seq)?.written.extend_from_slice(tokens),
        }
        Ok(())
    }
}

impl Decoder for ScriptedDecoder {
    fn caps(&self) -> Caps {
        self.caps
    }

    fn check(&self, sampling: &SamplingParams) -> Result<(), SamplingError> {
        match &sampling.grammar {
            None => Ok(()),
            Some(_) => Err(SamplingError::Grammar { reason: "a script follows no grammar".to_owned() }),
        }
    }

    fn step(&mut self, step: &Step) -> Result<Outcome, DecodeError> {
        Self::check(step.rows.len() <= self.caps.batch as usize, "the batch is too large")?;
        let mut outcome = Outcome::default();
        for op in &step.ops {
            self.apply(op, &mut outcome)?;
        }
        for row in &step.rows {
            Self::check(row.pos.0 < self.caps.context, "the position is outside the context")?;
            let unknown = DecodeError::Contract { what: "the sequence has no prompt" };
            let sequence = self.sequences.get_mut(&row.seq).ok_or(unknown)?;
            Self::check(sequence.tokens.len() == row.pos.0 as usize, "positions do not follow each other")?;
            sequence.tokens.push(row.token);
            let Sequence { tokens, prompt, written, logprobs } = sequence;
            let known = prompt.iter().chain(written.iter()).nth(row.pos.0 as usize);
            Self::check(known == Some(&row.token), "the token is neither of the prompt nor of the answer")?;
            let mut given = Vec::new();
            if row.sample {
                let whole = tokens.iter().eq(prompt.iter().chain(written.iter()));
                Self::check(whole, "a token is wanted before all is read")?;
                given = (self.script)(prompt, written);
                if let Some(count) = *logprobs {
                    let certain = |&token: &Token| {
                        let top = if count == 0 { vec![] } else { vec![(token, 0.0)] };
                        TokenLogprob { token, logprob: 0.0, top }
                    };
                    outcome.logprobs.insert(outcome.tokens.len(), given.iter().map(certain).collect());
                }
                written.extend_from_slice(&given);
                tokens.extend(given.split_last().map_or(&[][..], |(_, ahead)| ahead));
            }
            outcome.tokens.push(given);
        }
        Ok(outcome)
    }

    fn save(&mut self, seq: SeqId) -> Result<Vec<u8>, DecodeError> {
        Ok(self.sequence(seq)?.tokens.iter().flat_map(|token| token.0.to_le_bytes()).collect())
    }

    fn restore(&mut self, seq: SeqId, saved: &Saved) -> Result<(), DecodeError> {
        let sequence = self.sequence(seq)?;
        Self::check(sequence.tokens.is_empty(), "the sequence is not empty")?;
        let bytes = saved.tokens.iter().flat_map(|token| token.0.to_le_bytes());
        Self::check(bytes.eq(saved.state.iter().copied()), "the state is not of these tokens")?;
        sequence.tokens.clone_from(&saved.tokens);
        Ok(())
    }
}
