//! A decoder and a vocabulary without a model: deterministic, for tests and for trying front ends.
//!
//! The decoder also checks its input, so that a mistake of the scheduler becomes an error, and can fail on request.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{
    Abort, CachedState, Caps, DecodeError, Decoder, Grammar, Markup, Outcome, PrepareSampler,
    PreparedSampler, SamplingError, SamplingParams, Saved, SeqId, SeqOp, StateId, Step, Token, TokenLogprob,
    Vocab,
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

/// The tokens that follow a prompt and an answer so far; several tokens simulate a decoder that predicts further ones.
pub type Script = Box<dyn FnMut(&[Token], &[Token]) -> Vec<Token> + Send>;

/// Decides whether a step fails, from the prompts of the sequences with tokens in it. It may block, to simulate a slow
/// step, and check an [`Abort`].
pub type Fault = Box<dyn FnMut(&[&[Token]]) -> Option<DecodeError> + Send>;

/// Simulates the compilation of a grammar.
pub type Compile = Arc<dyn Fn(&Grammar) -> Result<(), SamplingError> + Send + Sync>;

/// Answers by a script.
pub struct ScriptedDecoder {
    caps: Caps,
    script: Script,
    fault: Option<Fault>,
    spreads: bool,
    compile: Compile,
    abort: Abort,
    sequences: BTreeMap<SeqId, Sequence>,
    states: BTreeMap<StateId, Vec<Token>>,
}

#[derive(Debug, Default)]
struct Sequence {
    /// The contents of the cache.
    tokens: Vec<Token>,
    /// After a failure: how many tokens are certainly intact.
    damaged: Option<usize>,
    prompt: Arc<Vec<Token>>,
    /// The answer, sampled or forced.
    written: Vec<Token>,
    logprobs: Option<u32>,
}

/// The size that each state is reported to have.
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
        let compile =
            |_: &Grammar| Err(SamplingError::Grammar { reason: "a script follows no grammar".to_owned() });
        Self {
            caps,
            script,
            fault: None,
            spreads: false,
            compile: Arc::new(compile),
            abort: Abort::default(),
            sequences: BTreeMap::new(),
            states: BTreeMap::new(),
        }
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

    /// Fails the steps that `fault` selects, after their operations and before their tokens. With `spreads`, a failed
    /// step of several sequences damages all sequences.
    #[must_use]
    pub fn failing(self, spreads: bool, fault: Fault) -> Self {
        Self { fault: Some(fault), spreads, ..self }
    }

    /// Accepts the grammars that `compile` accepts, and ignores them.
    #[must_use]
    pub fn compiling(self, compile: Compile) -> Self {
        Self { compile, ..self }
    }

    /// The tokens in the cache of a sequence.
    #[must_use]
    pub fn tokens(&self, seq: SeqId) -> &[Token] {
        self.sequences.get(&seq).map_or(&[], |sequence| &sequence.tokens)
    }

    /// The number of cached states.
    #[must_use]
    pub fn cached(&self) -> usize {
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
            SeqOp::Clear { seq } => {
                let sequence = self.sequence(*seq)?;
                sequence.tokens.clear();
                sequence.damaged = None;
            }
            SeqOp::Rewind { seq, length, state } => {
                let tokens = self.beginning(*seq, *length as usize, *state, false)?;
                let sequence = self.sequence(*seq)?;
                (sequence.tokens, sequence.damaged) = (tokens, None);
            }
            SeqOp::Copy { from, to, length, state } => {
                Self::check(self.caps.can_copy && from != to, "the sequence cannot be copied")?;
                let tokens = self.beginning(*from, *length as usize, *state, true)?;
                let sequence = self.sequence(*to)?;
                (sequence.tokens, sequence.damaged) = (tokens, None);
            }
            SeqOp::Move { from, to } => {
                Self::check(self.caps.can_copy && from != to, "the sequence cannot be moved")?;
                let moved = std::mem::take(self.sequence(*from)?);
                *self.sequence(*to)? = moved;
            }
            SeqOp::CacheState { seq, state } => {
                Self::check(self.caps.can_cache, "states cannot be cached")?;
                let sequence = self.sequence(*seq)?;
                Self::check(sequence.damaged.is_none(), "the sequence is damaged")?;
                let tokens = sequence.tokens.clone();
                let old = self.states.insert(*state, tokens);
                Self::check(old.is_none(), "there is a state of this name already")?;
                outcome.states.push(CachedState { state: *state, bytes: STATE_BYTES });
            }
            SeqOp::DropState { state } => drop(self.states.remove(state)),
            SeqOp::Sample { seq, prompt, sampling, prepared } => {
                let compiled = prepared.as_ref().is_some_and(|sampler| sampler.take() == Some(Sampler));
                Self::check(compiled || sampling.grammar.is_none(), "the grammar was not compiled")?;
                let prompt = Arc::clone(prompt);
                let sequence = self.sequence(*seq)?;
                (sequence.prompt, sequence.written) = (prompt, Vec::new());
                sequence.logprobs = sampling.logprobs;
            }
            SeqOp::Forced { seq, tokens } => self.sequence(*seq)?.written.extend_from_slice(tokens),
        }
        Ok(())
    }

    /// The first tokens of a sequence, as far as a real decoder could cut it there.
    fn beginning(
        &self,
        seq: SeqId,
        length: usize,
        state: Option<StateId>,
        copy: bool,
    ) -> Result<Vec<Token>, DecodeError> {
        let none = Sequence::default();
        let sequence = self.sequences.get(&seq).unwrap_or(&none);
        let held = &sequence.tokens;
        Self::check(length > 0 && length <= held.len(), "the sequence is not as long as that")?;
        let beginning = held[..length].to_vec();
        if let Some(state) = state {
            let same = self.states.get(&state).is_some_and(|tokens| *tokens == beginning);
            Self::check(same, "the state is not of this sequence at this length")?;
        } else {
            let whole = copy && length == held.len() && sequence.damaged.is_none();
            Self::check(self.caps.can_trim || whole, "the sequence cannot be trimmed")?;
            let intact = sequence.damaged.is_none_or(|intact| length <= intact);
            Self::check(intact, "the sequence is damaged at this length")?;
        }
        Ok(beginning)
    }

    /// Marks the sequences that a failed step may have damaged.
    fn damage(&mut self, step: &Step) {
        let all = self.failure_spreads(step);
        for (seq, sequence) in &mut self.sequences {
            let filled = !sequence.tokens.is_empty();
            if (all && filled) || step.tokens.iter().any(|token| token.seq == *seq) {
                sequence.damaged = Some(sequence.damaged.unwrap_or(sequence.tokens.len()));
            }
        }
    }

    /// The error with which the step fails, if any.
    fn fault(&mut self, step: &Step) -> Option<DecodeError> {
        let fault = self.fault.as_mut().filter(|_| !step.tokens.is_empty())?;
        let sequences = self.sequences.iter();
        let with_tokens = sequences.filter(|(seq, _)| step.tokens.iter().any(|token| token.seq == **seq));
        let prompts: Vec<&[Token]> = with_tokens.map(|(_, sequence)| sequence.prompt.as_slice()).collect();
        fault(&prompts)
    }
}

/// The sampler of a script: empty.
#[derive(Debug, PartialEq, Eq)]
struct Sampler;

impl Decoder for ScriptedDecoder {
    fn caps(&self) -> Caps {
        self.caps
    }

    fn prepare_sampler(&self) -> PrepareSampler {
        let compile = Arc::clone(&self.compile);
        Arc::new(move |sampling: &SamplingParams, _: &[Token]| {
            sampling.grammar.as_ref().map_or(Ok(()), |grammar| compile(grammar))?;
            Ok(PreparedSampler::new(Sampler))
        })
    }

    fn abort(&self) -> Abort {
        self.abort.clone()
    }

    fn step(&mut self, step: &Step) -> Result<Outcome, DecodeError> {
        Self::check(step.tokens.len() <= self.caps.batch as usize, "the batch is too large")?;
        let mut outcome = Outcome::default();
        for op in &step.ops {
            self.apply(op, &mut outcome)?;
        }
        if let Some(error) = self.fault(step) {
            if !matches!(error, DecodeError::NoRoom { .. }) {
                self.damage(step);
            }
            return Err(error);
        }
        for token in &step.tokens {
            Self::check(token.pos.0 < self.caps.context, "the position is outside the context")?;
            let unknown = DecodeError::Contract { what: "the sequence has no prompt" };
            let sequence = self.sequences.get_mut(&token.seq).ok_or(unknown)?;
            Self::check(sequence.damaged.is_none(), "the sequence is damaged")?;
            Self::check(sequence.tokens.len() == token.pos.0 as usize, "positions do not follow each other")?;
            sequence.tokens.push(token.token);
            let Sequence { tokens, prompt, written, logprobs, .. } = sequence;
            let known = prompt.iter().chain(written.iter()).nth(token.pos.0 as usize);
            Self::check(known == Some(&token.token), "the token is neither of the prompt nor of the answer")?;
            let mut given = Vec::new();
            if token.sample {
                let whole = tokens.iter().eq(prompt.iter().chain(written.iter()));
                Self::check(whole, "a token is to be sampled before all are read")?;
                given = (self.script)(prompt, written);
                if let Some(count) = *logprobs {
                    let certain = |&token: &Token| {
                        let top = if count == 0 { vec![] } else { vec![(token, 0.0)] };
                        TokenLogprob { token, logprob: 0.0, top }
                    };
                    outcome.logprobs.insert(outcome.sampled.len(), given.iter().map(certain).collect());
                }
                written.extend_from_slice(&given);
                tokens.extend(given.split_last().map_or(&[][..], |(_, ahead)| ahead));
            }
            outcome.sampled.push(given);
        }
        Ok(outcome)
    }

    fn failure_spreads(&self, step: &Step) -> bool {
        let first = step.tokens.first().map(|token| token.seq);
        self.spreads && step.tokens.iter().any(|token| Some(token.seq) != first)
    }

    fn saved_bytes(&self, seq: SeqId) -> u64 {
        self.tokens(seq).len() as u64 * 4
    }

    fn save(&mut self, seq: SeqId, tokens: Vec<Token>) -> Result<Saved, DecodeError> {
        let sequence = self.sequence(seq)?;
        Self::check(
            sequence.damaged.is_none() && sequence.tokens == tokens,
            "the sequence has other tokens",
        )?;
        let state = tokens.iter().flat_map(|token| token.0.to_le_bytes()).collect();
        Ok(Saved::vouched(tokens, state))
    }

    fn restore(&mut self, seq: SeqId, saved: &Saved) -> Result<(), DecodeError> {
        let sequence = self.sequence(seq)?;
        Self::check(sequence.tokens.is_empty() && sequence.damaged.is_none(), "the sequence is not empty")?;
        let bytes = saved.tokens().iter().flat_map(|token| token.0.to_le_bytes());
        Self::check(bytes.eq(saved.state().iter().copied()), "the state is not of these tokens")?;
        sequence.tokens = saved.tokens().to_vec();
        Ok(())
    }
}
