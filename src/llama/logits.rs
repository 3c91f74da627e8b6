//! Logits of whole sequences, for comparing models.

use super::{Abort, CacheType, ContextParams, Flash, LlamaDecoder, Weights};
use crate::engine::{BatchToken, DecodeError, Pos, SeqId, Token};

impl Weights {
    /// The logits after every token of some sequences, which are read together: `[sequence][token][vocabulary]`. The KV
    /// cache is F32, so that a comparison is one of the weights.
    ///
    /// # Errors
    ///
    /// When the sequences cannot be read.
    pub fn logits(&self, sequences: &[&[Token]], threads: u32) -> Result<Vec<Vec<Vec<f32>>>, DecodeError> {
        let batch = batch(sequences);
        let longest = sequences.iter().map(|s| s.len()).max().unwrap_or(0);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (context, sequences) = (count(longest), count(sequences.len()));
        let params = ContextParams {
            sequences,
            context,
            batch: 512,
            ubatch: 512,
            threads,
            threads_batch: threads,
            cache_k: CacheType::F32,
            cache_v: CacheType::F32,
            flash: Flash::Off,
            kv_offload: true,
            copies_from: Some(super::COPIES_FROM),
            rope: super::Rope::default(),
            abort: Abort::default(),
        };
        let mut decoder = LlamaDecoder::new(self, &params)
            .map_err(|_| DecodeError::Contract { what: "no context of this size can be made" })?;
        let mut logits = vec![Vec::new(); sequences as usize];
        for chunk in batch.chunks(decoder.caps.batch as usize) {
            decoder.read_logits(chunk, |index, found| {
                logits[chunk[index].seq.0 as usize].push(found.to_vec());
            })?;
        }
        Ok(logits)
    }
}

/// All tokens of all sequences, position by position.
fn batch(sequences: &[&[Token]]) -> Vec<BatchToken> {
    let mut batch = Vec::new();
    for (seq, tokens) in (0u32..).zip(sequences) {
        let placed = (0u32..).zip(tokens.iter());
        batch.extend(placed.map(|(pos, &token)| BatchToken {
            seq: SeqId(seq),
            pos: Pos(pos),
            token,
            sample: true,
        }));
    }
    batch.sort_by_key(|token| token.pos);
    batch
}
