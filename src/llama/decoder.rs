//! A context as the engine's decoder.

#[cfg(test)]
mod passes_tests;

use std::collections::BTreeMap;

use llama_cpp_2::DecodeError as LlamaDecodeError;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::context::session::{LlamaStateSeqFlags, SeqState};
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::copies::{COPIES_FROM, set_copies_from};
use super::sampler::{NoToken, Sampler};
use super::weights::LoadFailure;
use super::{Abort, ContextParams, Weights, backend, busy, log, params};
use crate::engine::{
    BatchToken, CachedState, Caps, DecodeError, Outcome, SeqId, SeqOp, StateId, Step, Token, TokenLogprob,
};

/// llama.cpp rounds the cells of a sequence up to this.
const CELLS: u32 = 256;

/// llama.cpp's status of a step that was aborted.
const ABORTED: i32 = 2;

/// Its status of a step in which a device failed, in our patch.
const THREW: i32 = -4;

/// Reads batches and samples tokens; borrows the weights.
#[derive(Debug)]
pub struct LlamaDecoder<'model> {
    pub(super) context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
    samplers: Vec<Option<Sampler>>,
    states: BTreeMap<StateId, SeqState>,
    pub(super) weights: &'model Weights,
    model: &'model LlamaModel,
    pub(super) caps: Caps,
    /// Whether sequences have recurrent states.
    pub(super) recurrent: bool,
    vocab: i32,
    /// The context polls this while it computes; declared after the context, so that it is dropped last.
    pub(super) abort: Abort,
    log: log::Capture,
}

impl<'model> LlamaDecoder<'model> {
    /// Creates a context.
    ///
    /// # Errors
    ///
    /// When llama.cpp cannot, with its log.
    pub fn new(weights: &'model Weights, params: &ContextParams) -> Result<Self, LoadFailure> {
        let &ContextParams { sequences, context, batch, .. } = params;
        let sequences = sequences.max(1);
        let cells = context.max(1).checked_next_multiple_of(CELLS).and_then(|n| n.checked_mul(sequences));
        let Some(cells) = cells else {
            return Err(LoadFailure {
                log: vec![format!("{sequences} sequences of {context} tokens are too many")],
            });
        };
        Self::with(weights, params, params::context(params, cells, batch.clamp(1, cells)))
    }

    /// Creates a context with the binding's form of the parameters.
    fn with(
        weights: &'model Weights,
        params: &ContextParams,
        wanted: LlamaContextParams,
    ) -> Result<Self, LoadFailure> {
        let &ContextParams { sequences, context, .. } = params;
        let sequences = sequences.max(1);
        let (made, log) = backend::making_threads(|| {
            // One context is created at a time.
            set_copies_from(params.copies_from.unwrap_or(COPIES_FROM));
            log::capture(|| busy::calling(|| weights.model().new_context(backend::backend(), wanted)))
        });
        weights.connected().map_err(|error| LoadFailure { log: vec![error.to_string()] })?;
        let made = made.map_err(|_| LoadFailure { log })?;
        let recurrent = weights.model().is_recurrent() || weights.model().is_hybrid();
        // A window of the KV cache cannot be moved back either.
        let can_trim = !recurrent && !weights.slides();
        let caps = Caps {
            sequences,
            context: context.min(made.n_ctx() / sequences),
            batch: made.n_batch(),
            can_trim,
            can_cache: !can_trim,
            can_copy: true,
        };
        Ok(Self {
            batch: LlamaBatch::new(caps.batch as usize, 1),
            context: made,
            samplers: (0..sequences).map(|_| None).collect(),
            states: BTreeMap::new(),
            weights,
            model: weights.model(),
            caps,
            recurrent,
            vocab: weights.model().n_vocab(),
            abort: params.abort.clone(),
            log: log::Capture::new(),
        })
    }

    /// The logits after token `index` of the last batch, which must have requested them.
    #[must_use]
    pub fn logits(&self, index: usize) -> &[f32] {
        self.context.get_logits_ith(i32::try_from(index).unwrap_or(i32::MAX))
    }

    /// Reads tokens and passes on the logits after each token that requests them, with its index.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn read_logits(
        &mut self,
        tokens: &[BatchToken],
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<(), DecodeError> {
        self.read(tokens)?;
        self.weights.connected()?;
        for (index, _) in tokens.iter().enumerate().filter(|(_, token)| token.sample) {
            each(index, self.logits(index));
        }
        Ok(())
    }

    fn apply(&mut self, op: &SeqOp, outcome: &mut Outcome) -> Result<(), DecodeError> {
        match op {
            SeqOp::Clear { seq } => self.cut(*seq, None),
            SeqOp::Rewind { seq, length, state } => self.rewind(*seq, *length, *state),
            SeqOp::Copy { from, to, length, state } => {
                self.copy(*from, *to)?;
                self.rewind(*to, *length, *state)
            }
            SeqOp::Move { from, to } => {
                // The recurrent state is only renamed: `to` shares it with `from`, which then leaves it.
                self.copy(*from, *to)?;
                self.cut(*from, None)?;
                let sampler = self.sampler(*from)?.take();
                *self.sampler(*to)? = sampler;
                Ok(())
            }
            SeqOp::CacheState { seq, state } => {
                // The outcome lacks a state that cannot be cached.
                if let Ok(data) = self.context.state_seq_get(number(seq.0), LlamaStateSeqFlags::PARTIAL_ONLY)
                {
                    outcome.states.push(CachedState { state: *state, bytes: data.byte_len() as u64 });
                    self.states.insert(*state, data);
                }
                Ok(())
            }
            SeqOp::DropState { state } => {
                self.states.remove(state);
                Ok(())
            }
            SeqOp::Sample { seq, sampling, prompt, prepared } => {
                let sampler = match prepared {
                    Some(prepared) => prepared.take().map(|OwnedSampler { sampler, .. }| sampler),
                    // Compiling a grammar here would stall the other sequences.
                    None if sampling.grammar.is_some() => None,
                    None => {
                        let words = self.weights.words();
                        Sampler::new(self.model, words, sampling, prompt, self.caps.context).ok()
                    }
                };
                let unprepared = DecodeError::Contract { what: "the sampler was not prepared" };
                *self.sampler(*seq)? = Some(sampler.ok_or(unprepared)?);
                Ok(())
            }
            SeqOp::Forced { seq, tokens } => {
                let model = self.model;
                if let Some(sampler) = self.sampler(*seq)? {
                    sampler.accept(model, tokens);
                }
                Ok(())
            }
        }
    }

    fn copy(&mut self, from: SeqId, to: SeqId) -> Result<(), DecodeError> {
        let refused = DecodeError::Contract { what: "the sequence cannot be copied" };
        if from == to || from.0.max(to.0) >= self.caps.sequences {
            return Err(refused);
        }
        // All of it: llama.cpp cannot copy a part between the caches of two sequences.
        self.context.copy_kv_cache_seq(number(from.0), number(to.0), None, None).map_err(|_| refused)
    }

    fn rewind(&mut self, seq: SeqId, length: u32, state: Option<StateId>) -> Result<(), DecodeError> {
        if let Some(state) = state {
            let unknown = DecodeError::Contract { what: "there is no such state" };
            let state = self.states.get(&state).ok_or(unknown)?;
            let refused = DecodeError::Contract { what: "the state cannot be restored" };
            self.context.state_seq_set(state, number(seq.0)).map_err(|_| refused)?;
        }
        self.cut(seq, Some(length))
    }

    /// Cuts a sequence to `length` tokens.
    pub(super) fn cut(&mut self, seq: SeqId, length: Option<u32>) -> Result<(), DecodeError> {
        match self.context.clear_kv_cache_seq(Some(seq.0), length, None) {
            Ok(true) => Ok(()),
            _ => Err(DecodeError::Contract { what: "the sequence cannot be cut there" }),
        }
    }

    fn sampler(&mut self, seq: SeqId) -> Result<&mut Option<Sampler>, DecodeError> {
        let contract = DecodeError::Contract { what: "there is no such sequence" };
        self.samplers.get_mut(seq.0 as usize).ok_or(contract)
    }

    /// Reads tokens in one batch, after checking everything on which llama.cpp would end the process.
    pub(super) fn read(&mut self, tokens: &[BatchToken]) -> Result<(), DecodeError> {
        let contract = |what| Err(DecodeError::Contract { what });
        self.batch.clear();
        for token in tokens {
            if token.seq.0 >= self.caps.sequences || token.pos.0 >= self.caps.context {
                return contract("the token is outside the context");
            }
            if !(0..self.vocab).contains(&token.token.0) {
                return contract("there is no such token");
            }
            let (Ok(pos), Ok(seq)) = (i32::try_from(token.pos.0), i32::try_from(token.seq.0)) else {
                return contract("the token is outside the context");
            };
            if self.batch.add(LlamaToken(token.token.0), pos, &[seq], token.sample).is_err() {
                return contract("the batch is too large");
            }
        }
        let (read, log) = self.log.of(|| busy::calling(|| self.context.decode(&mut self.batch)));
        read.map_err(|error| match error {
            // Found before anything is computed; llama.cpp puts the cells back that it tried.
            LlamaDecodeError::NoKvCacheSlot => DecodeError::NoRoom { tokens: tokens.len() },
            LlamaDecodeError::NTokensZero => DecodeError::Contract { what: "the batch is invalid" },
            LlamaDecodeError::Unknown(ABORTED) => DecodeError::Aborted,
            LlamaDecodeError::Unknown(THREW) => failed(log),
            LlamaDecodeError::Unknown(status) => DecodeError::Backend { status },
        })
    }

    fn logprob(&self, index: usize, after: &BatchToken, token: Token) -> Option<TokenLogprob> {
        let sampler = self.samplers.get(after.seq.0 as usize)?.as_ref()?;
        sampler.logprob(&self.context, i32::try_from(index).unwrap_or(i32::MAX), token)
    }

    fn pick(&mut self, index: usize, after: &BatchToken) -> Result<Token, DecodeError> {
        let none = DecodeError::Contract { what: "the sequence has no sampler" };
        let sampler = self.samplers.get_mut(after.seq.0 as usize).and_then(Option::as_mut).ok_or(none)?;
        let (seq, position) = (after.seq.0, after.pos.0);
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        sampler.pick(self.model, &self.context, index).map_err(|no| match no {
            NoToken::NotANumber => DecodeError::NotANumber { seq, position },
            NoToken::Forbidden => DecodeError::NoTokenAllowed { seq, position },
            NoToken::Failed(reason) => DecodeError::Rules { seq, position, reason },
        })
    }
}

/// The failure of which `llama_decode` logged the exception last.
fn failed(mut log: Vec<String>) -> DecodeError {
    let reason = log.pop().unwrap_or_else(|| "no reason given".to_owned());
    DecodeError::DeviceFailed { is_short: log::is_short_of_memory(&reason), reason }
}

/// A prepared sampler. llama.cpp's grammars point into the model's vocabulary, so it holds the model.
pub(super) struct OwnedSampler {
    pub(super) sampler: Sampler,
    pub(super) _weights: Weights,
}

pub(super) fn number(seq: u32) -> i32 {
    i32::try_from(seq).unwrap_or(i32::MAX)
}

impl LlamaDecoder<'_> {
    pub(super) fn carry_out(&mut self, step: &Step) -> Result<Outcome, DecodeError> {
        let mut outcome = Outcome::default();
        for op in &step.ops {
            self.apply(op, &mut outcome)?;
        }
        if step.tokens.is_empty() {
            return Ok(outcome);
        }
        self.read(&step.tokens)?;
        for (index, read) in step.tokens.iter().enumerate() {
            let picked = read.sample.then(|| self.pick(index, read)).transpose();
            outcome.sampled.push(match picked {
                Ok(token) => {
                    let logprob = token.and_then(|token| self.logprob(index, read, token));
                    outcome.logprobs.extend(logprob.map(|logprob| (index, vec![logprob])));
                    token.into_iter().collect()
                }
                Err(error) => {
                    outcome.failed.push((read.seq, error));
                    Vec::new()
                }
            });
        }
        Ok(outcome)
    }
}
