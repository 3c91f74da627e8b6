//! The number of passes in which llama.cpp reads a batch.

use super::{BatchToken, SeqId};

/// The number of graphs that llama.cpp computes to read these tokens, if each sequence has a recurrent state or a KV cache of
/// its own (`llama_batch_allocr::split_equal`): a pass reads the same number of tokens of sequences that follow each
/// other in the batch and by number, at most `ubatch` together.
pub(crate) fn passes(tokens: &[BatchToken], ubatch: usize) -> usize {
    let mut rest: Vec<SeqId> = tokens.iter().map(|token| token.seq).collect();
    let mut passes = 0;
    while let Some(&first) = rest.first() {
        let mut read = vec![first];
        for &seq in &rest {
            if seq.0 == read[read.len() - 1].0 + 1 {
                read.push(seq);
            }
        }
        let left = |seq: &SeqId| rest.iter().filter(|other| *other == seq).count();
        let shortest = read.iter().map(left).min().unwrap_or(0);
        let each = shortest.min((ubatch / read.len()).max(1));
        for seq in read {
            for _ in 0..each {
                let place = rest.iter().position(|other| *other == seq).expect("as many are left");
                rest.remove(place);
            }
        }
        passes += 1;
    }
    passes
}
