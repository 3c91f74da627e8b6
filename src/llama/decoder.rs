//! A context as the engine's decoder.

use std::collections::BTreeMap;

use llama_cpp_2::DecodeError as LlamaDecodeError;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::session::{LlamaStateSeqFlags, SeqState};
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::sampler::{self, NoToken, Sampler};
use super::weights::LoadFailure;
use super::{Abort, ContextParams, Weights, backend, log, params, saving};
use crate::engine::{
    Caps, DecodeError, Decoder, Kept, Outcome, Row, SamplingError, SamplingParams, Saved, SeqId, SeqOp,
    StateId, Step, Token, TokenLogprob,
};

/// llama.cpp rounds the cells of a sequence up to this.
const CELLS: u32 = 256;

/// llama.cpp's status of a step that was aborted.
const ABORTED: i32 = 2;

/// Reads batches and chooses tokens; borrows the weights.
#[derive(Debug)]
pub struct LlamaDecoder<'model> {
    pub(super) context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
    samplers: Vec<Option<Sampler>>,
    states: BTreeMap<StateId, SeqState>,
    pub(super) weights: &'model Weights,
    model: &'model LlamaModel,
    caps: Caps,
    vocab: i32,
    /// The context looks at it while it computes; declared after it, so that it goes last.
    _abort: Abort,
}

impl<'model> LlamaDecoder<'model> {
    /// Makes a context.
    ///
    /// # Errors
    ///
    /// When llama.cpp cannot, with what it logged.
    pub fn new(weights: &'model Weights, params: &ContextParams) -> Result<Self, LoadFailure> {
        let &ContextParams { sequences, context, batch, .. } = params;
        let sequences = sequences.max(1);
        let cells = context.max(1).checked_next_multiple_of(CELLS).and_then(|n| n.checked_mul(sequences));
        let Some(cells) = cells else {
            return Err(LoadFailure {
                log: vec![format!("{sequences} sequences of {context} tokens are too many")],
            });
        };
        let wanted = params::context(params, cells, batch.clamp(1, cells));
        let guard = backend::one_context_at_a_time();
        let (made, log) = log::capture(|| weights.model().new_context(backend::backend(), wanted));
        drop(guard);
        weights.connected().map_err(|error| LoadFailure { log: vec![error.to_string()] })?;
        let made = made.map_err(|_| LoadFailure { log })?;
        let attention = !weights.model().is_recurrent() && !weights.model().is_hybrid();
        let caps = Caps {
            sequences,
            context: context.min(made.n_ctx() / sequences),
            batch: made.n_batch(),
            can_trim: attention,
            can_keep: !attention,
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
            vocab: weights.model().n_vocab(),
            _abort: params.abort.clone(),
        })
    }

    /// The logits after row `index` of the last batch, which must have asked for them.
    #[must_use]
    pub fn logits(&self, index: usize) -> &[f32] {
        self.context.get_logits_ith(i32::try_from(index).unwrap_or(i32::MAX))
    }

    /// Reads rows and hands over the logits after each that asks, by its index.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn read_logits(
        &mut self,
        rows: &[Row],
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<(), DecodeError> {
        self.read(rows)?;
        self.weights.connected()?;
        for (index, _) in rows.iter().enumerate().filter(|(_, row)| row.sample) {
            each(index, self.logits(index));
        }
        Ok(())
    }

    fn apply(&mut self, op: &SeqOp, outcome: &mut Outcome) -> Result<(), DecodeError> {
        match op {
            SeqOp::Clear { seq } => self.cut(*seq, None),
            SeqOp::Rewind { seq, length, state } => self.rewind(*seq, *length, *state),
            SeqOp::Copy { from, to, length, state } => {
                let refused = DecodeError::Contract { what: "the sequence cannot be copied" };
                if from == to || from.0.max(to.0) >= self.caps.sequences {
                    return Err(refused);
                }
                // Whole: between the caches of two sequences llama.cpp copies nothing less.
                let copied = self.context.copy_kv_cache_seq(number(from.0), number(to.0), None, None);
                copied.map_err(|_| refused)?;
                self.rewind(*to, *length, *state)
            }
            SeqOp::Keep { seq, state } => {
                // One that cannot be kept is one that is not there later.
                if let Ok(kept) = self.context.state_seq_get(number(seq.0), LlamaStateSeqFlags::PARTIAL_ONLY)
                {
                    outcome.kept.push(Kept { state: *state, bytes: kept.byte_len() as u64 });
                    self.states.insert(*state, kept);
                }
                Ok(())
            }
            SeqOp::Forget { state } => {
                self.states.remove(state);
                Ok(())
            }
            SeqOp::Sample { seq, sampling, prompt } => {
                let made = Sampler::new(self.model, sampling, prompt, self.caps.context);
                let failed = DecodeError::Contract { what: "the request was not checked" };
                *self.sampler(*seq)? = Some(made.map_err(|_| failed)?);
                Ok(())
            }
            SeqOp::Forced { seq, tokens } => {
                let model = self.model;
                if let Some(sampler) = self.sampler(*seq)? {
                    sampler.told(model, tokens);
                }
                Ok(())
            }
        }
    }

    fn rewind(&mut self, seq: SeqId, length: u32, state: Option<StateId>) -> Result<(), DecodeError> {
        if let Some(state) = state {
            let unknown = DecodeError::Contract { what: "there is no such state" };
            let state = self.states.get(&state).ok_or(unknown)?;
            let refused = DecodeError::Contract { what: "the state cannot be gone back to" };
            self.context.state_seq_set(state, number(seq.0)).map_err(|_| refused)?;
        }
        self.cut(seq, Some(length))
    }

    /// Forgets a sequence from `length` on.
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

    /// Reads rows in one batch, after a check of everything llama.cpp would end the process for.
    pub(super) fn read(&mut self, rows: &[Row]) -> Result<(), DecodeError> {
        let contract = |what| Err(DecodeError::Contract { what });
        self.batch.clear();
        for row in rows {
            if row.seq.0 >= self.caps.sequences || row.pos.0 >= self.caps.context {
                return contract("the row is outside the context");
            }
            if !(0..self.vocab).contains(&row.token.0) {
                return contract("there is no such token");
            }
            let (Ok(pos), Ok(seq)) = (i32::try_from(row.pos.0), i32::try_from(row.seq.0)) else {
                return contract("the row is outside the context");
            };
            if self.batch.add(LlamaToken(row.token.0), pos, &[seq], row.sample).is_err() {
                return contract("the batch is too large");
            }
        }
        self.context.decode(&mut self.batch).map_err(|error| match error {
            LlamaDecodeError::NoKvCacheSlot => DecodeError::NoRoom { rows: rows.len() },
            LlamaDecodeError::NTokensZero => DecodeError::Contract { what: "the batch is empty" },
            LlamaDecodeError::Unknown(ABORTED) => DecodeError::Interrupted,
            LlamaDecodeError::Unknown(status) => DecodeError::Backend { status },
        })
    }

    fn logprob(&self, index: usize, row: &Row, token: Token) -> Option<TokenLogprob> {
        let sampler = self.samplers.get(row.seq.0 as usize)?.as_ref()?;
        sampler.logprob(&self.context, i32::try_from(index).unwrap_or(i32::MAX), token)
    }

    fn pick(&mut self, index: usize, row: &Row) -> Result<Token, DecodeError> {
        let closed = DecodeError::Contract { what: "the sequence has no way of choosing" };
        let sampler = self.samplers.get_mut(row.seq.0 as usize).and_then(Option::as_mut).ok_or(closed)?;
        let (seq, position) = (row.seq.0, row.pos.0);
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        sampler.pick(self.model, &self.context, index).map_err(|no| match no {
            NoToken::NotANumber => DecodeError::NotANumber { seq, position },
            NoToken::Forbidden => DecodeError::NoTokenAllowed { seq, position },
        })
    }
}

pub(super) fn number(seq: u32) -> i32 {
    i32::try_from(seq).unwrap_or(i32::MAX)
}

impl Decoder for LlamaDecoder<'_> {
    fn caps(&self) -> Caps {
        self.caps
    }

    fn check(&self, sampling: &SamplingParams) -> Result<(), SamplingError> {
        sampler::check(self.model, sampling)
    }

    fn step(&mut self, step: &Step) -> Result<Outcome, DecodeError> {
        let outcome = self.carry_out(step);
        // After a loss logits and states are zeros: nothing of the step is real.
        self.weights.connected()?;
        outcome
    }

    fn save(&mut self, seq: SeqId) -> Result<Vec<u8>, DecodeError> {
        saving::save(self, seq)
    }

    fn restore(&mut self, seq: SeqId, saved: &Saved) -> Result<(), DecodeError> {
        saving::restore(self, seq, saved)
    }
}

impl LlamaDecoder<'_> {
    fn carry_out(&mut self, step: &Step) -> Result<Outcome, DecodeError> {
        let mut outcome = Outcome::default();
        for op in &step.ops {
            self.apply(op, &mut outcome)?;
        }
        if step.rows.is_empty() {
            return Ok(outcome);
        }
        self.read(&step.rows)?;
        for (index, row) in step.rows.iter().enumerate() {
            let picked = row.sample.then(|| self.pick(index, row)).transpose();
            outcome.tokens.push(match picked {
                Ok(token) => {
                    let logprob = token.and_then(|token| self.logprob(index, row, token));
                    outcome.logprobs.extend(logprob.map(|logprob| (index, vec![logprob])));
                    token.into_iter().collect()
                }
                Err(error) => {
                    outcome.failed.push((row.seq, error));
                    Vec::new()
                }
            });
        }
        Ok(outcome)
    }
}
