//! The engine's interface to llama.cpp.

use std::sync::Arc;

use super::decoder::{LlamaDecoder, OwnedSampler};
use super::sampler::Sampler;
use super::saving;
use crate::engine::{
    Abort, Caps, DecodeError, Decoder, Outcome, PrepareSampler, PreparedSampler, SamplingParams, Saved,
    SeqId, Step, Token,
};

impl Decoder for LlamaDecoder<'_> {
    fn caps(&self) -> Caps {
        self.caps
    }

    fn prepare_sampler(&self) -> PrepareSampler {
        let (weights, context) = (self.weights.clone(), self.caps.context);
        Arc::new(move |sampling: &SamplingParams, prompt: &[Token]| {
            let sampler = Sampler::new(weights.model(), weights.words(), sampling, prompt, context)?;
            Ok(PreparedSampler::new(OwnedSampler { sampler, _weights: weights.clone() }))
        })
    }

    fn abort(&self) -> Abort {
        self.abort.clone()
    }

    fn step(&mut self, step: &Step) -> Result<Outcome, DecodeError> {
        let outcome = self.carry_out(step);
        // After a loss llama.cpp returns zeros as logits and states.
        self.weights.connected()?;
        outcome
    }

    /// A batch of several sequences also moves the recurrent states of others: llama.cpp keeps the states of a batch
    /// side by side (`llama_memory_recurrent::find_slot`), notes the move at once, and moves the data while it
    /// computes, layer by layer (`build_rs`). When that stops half-way, a state that was moved has lost its later
    /// layers. A batch of one sequence touches only that sequence's state, and a KV cache moves nothing.
    fn failure_spreads(&self, step: &Step) -> bool {
        let first = step.tokens.first().map(|token| token.seq);
        self.recurrent && step.tokens.iter().any(|token| Some(token.seq) != first)
    }

    fn saved_bytes(&self, seq: SeqId) -> u64 {
        saving::bytes(self, seq)
    }

    fn save(&mut self, seq: SeqId, tokens: Vec<Token>) -> Result<Saved, DecodeError> {
        saving::save(self, seq, tokens)
    }

    fn restore(&mut self, seq: SeqId, saved: &Saved) -> Result<(), DecodeError> {
        saving::restore(self, seq, saved)
    }
}
