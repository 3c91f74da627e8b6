//! A context as the engine's decoder.

use llama_cpp_2::DecodeError as LlamaDecodeError;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::sampler::Sampler;
use super::weights::LoadFailure;
use super::{Abort, ContextParams, Weights, backend, log, params};
use crate::engine::{Caps, DecodeError, Decoder, Outcome, Row, SeqId, SeqOp, Step};

/// llama.cpp rounds the cells of a sequence up to this.
const CELLS: u32 = 256;

/// Reads batches and chooses tokens; borrows the weights.
#[derive(Debug)]
pub struct LlamaDecoder<'model> {
    context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
    samplers: Vec<Option<Sampler>>,
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
        let made = made.map_err(|_| LoadFailure { log })?;
        let attention = !weights.model().is_recurrent() && !weights.model().is_hybrid();
        let caps = Caps {
            sequences,
            context: context.min(made.n_ctx() / sequences),
            batch: made.n_batch(),
            can_trim: attention,
            can_copy: attention,
        };
        Ok(Self {
            batch: LlamaBatch::new(caps.batch as usize, 1),
            context: made,
            samplers: (0..sequences).map(|_| None).collect(),
            caps,
            vocab: weights.model().n_vocab(),
            _abort: params.abort.clone(),
        })
    }

    /// The logits after row `index` of the last batch, which must have asked for them.
    pub(super) fn logits(&self, index: usize) -> &[f32] {
        self.context.get_logits_ith(i32::try_from(index).unwrap_or(i32::MAX))
    }

    fn apply(&mut self, op: &SeqOp) -> Result<(), DecodeError> {
        let (SeqOp::Open { seq, .. } | SeqOp::Close { seq }) = *op;
        let sampler = match op {
            SeqOp::Open { sampling, .. } => Some(Sampler::new(sampling)),
            SeqOp::Close { .. } => None,
        };
        *self.sampler(seq)? = sampler;
        match self.context.clear_kv_cache_seq(Some(seq.0), None, None) {
            Ok(true) => Ok(()),
            _ => Err(DecodeError::Contract { what: "the sequence cannot be emptied" }),
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
            LlamaDecodeError::Unknown(status) => DecodeError::Backend { status },
        })
    }

    fn pick(&mut self, index: usize, row: &Row) -> Result<Vec<crate::engine::Token>, DecodeError> {
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        let closed = DecodeError::Contract { what: "the sequence is not open" };
        let sampler = self.samplers.get_mut(row.seq.0 as usize).and_then(Option::as_mut).ok_or(closed)?;
        let token = sampler.pick(&self.context, index);
        token.map(|t| vec![t]).ok_or(DecodeError::NotANumber { seq: row.seq.0, position: row.pos.0 })
    }
}

impl Decoder for LlamaDecoder<'_> {
    fn caps(&self) -> Caps {
        self.caps
    }

    fn step(&mut self, step: &Step) -> Result<Outcome, DecodeError> {
        for op in &step.ops {
            self.apply(op)?;
        }
        if step.rows.is_empty() {
            return Ok(Outcome::default());
        }
        self.read(&step.rows)?;
        let rows = step.rows.iter().enumerate();
        let tokens = rows.map(|(index, row)| if row.sample { self.pick(index, row) } else { Ok(Vec::new()) });
        Ok(Outcome { tokens: tokens.collect::<Result<_, _>>()? })
    }
}
