//! A whole sequence of a context as bytes, KV cache and recurrent state, and back.
#![expect(unsafe_code, reason = "the binding's safe calls do not expose the bytes")]

use llama_cpp_2::context::session::LlamaStateSeqFlags;

use super::LlamaDecoder;
use super::decoder::number;
use crate::engine::{Caps, DecodeError, Decoder as _, Saved, SeqId, Token};

const WHOLE: LlamaStateSeqFlags = LlamaStateSeqFlags::empty();

pub(super) fn bytes(decoder: &LlamaDecoder<'_>, seq: SeqId) -> u64 {
    known(decoder.caps(), seq)
        .map_or(0, |()| decoder.context.state_seq_get_size_ext(number(seq.0), WHOLE) as u64)
}

pub(super) fn save(decoder: &LlamaDecoder<'_>, seq: SeqId, tokens: Vec<Token>) -> Result<Saved, DecodeError> {
    known(decoder.caps(), seq)?;
    let other = DecodeError::Contract { what: "the sequence has another number of tokens" };
    holds(decoder, seq, tokens.len()).then_some(()).ok_or(other)?;
    let size = decoder.context.state_seq_get_size_ext(number(seq.0), WHOLE);
    let mut state = Vec::new();
    let short = DecodeError::Contract { what: "there is no memory for a copy of the sequence" };
    state.try_reserve_exact(size).map_err(|_| short)?;
    state.resize(size, 0);
    // SAFETY: the buffer has the size that llama.cpp computed for this sequence, and the context is borrowed, so nothing
    // changes it in between. llama.cpp checks every write against the size and returns 0 where it does not fit.
    let written = unsafe { decoder.context.state_seq_get_data_ext(state.as_mut_ptr(), number(seq.0), WHOLE) };
    decoder.weights.connected()?;
    let whole = written == size && size > 0;
    let state =
        whole.then_some(state).ok_or(DecodeError::Contract { what: "the sequence cannot be copied" })?;
    Ok(Saved::vouched(tokens, state))
}

pub(super) fn restore(decoder: &mut LlamaDecoder<'_>, seq: SeqId, saved: &Saved) -> Result<(), DecodeError> {
    known(decoder.caps(), seq)?;
    // SAFETY: llama.cpp checks every read against the length of the slice, and sizes and types of the state against the
    // context. The contents are what a decoder saved: nothing else makes a `Saved`.
    let taken = unsafe { decoder.context.state_seq_set_data_ext(saved.state(), number(seq.0), WHOLE) };
    decoder.weights.connected()?;
    if taken && holds(decoder, seq, saved.tokens().len()) {
        return Ok(());
    }
    decoder.cut(seq, None)?;
    Err(DecodeError::Contract { what: "the state is not of these tokens or of another context" })
}

/// Whether a sequence has this many tokens.
fn holds(decoder: &LlamaDecoder<'_>, seq: SeqId, tokens: usize) -> bool {
    let last = decoder.context.kv_cache_seq_pos_max(number(seq.0));
    usize::try_from(last).is_ok_and(|last| last + 1 == tokens)
}

fn known(caps: Caps, seq: SeqId) -> Result<(), DecodeError> {
    let contract = DecodeError::Contract { what: "there is no such sequence" };
    (seq.0 < caps.sequences).then_some(()).ok_or(contract)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{BatchToken, Pos, Step};
    use crate::llama::kernel_tests::default_version;
    use crate::llama::{Weights, tiny};

    const SEQ: SeqId = SeqId(0);

    fn decoder(weights: &Weights) -> LlamaDecoder<'_> {
        LlamaDecoder::new(weights, &tiny::params(1)).unwrap()
    }

    fn read(decoder: &mut LlamaDecoder<'_>, tokens: &[Token]) -> Vec<f32> {
        let last = tokens.len() - 1;
        let place = |(index, &token): (usize, &Token)| BatchToken {
            seq: SEQ,
            pos: Pos(u32::try_from(index).unwrap()),
            token,
            sample: index == last,
        };
        let batch: Vec<BatchToken> = tokens.iter().enumerate().map(place).collect();
        decoder.step(&Step { ops: vec![], tokens: batch[..last].to_vec() }).unwrap();
        decoder.read(&batch[last..]).unwrap();
        decoder.logits(0).to_vec()
    }

    #[test]
    fn a_state_that_does_not_fit_is_refused_and_leaves_an_empty_sequence() {
        let _version = default_version();
        let folder = tempfile::tempdir().unwrap();
        let weights = tiny::load(folder.path());
        let tokens: Vec<Token> = (10..20).map(Token).collect();
        let mut old = decoder(&weights);
        let expected = read(&mut old, &tokens);
        let saved = old.save(SEQ, tokens.clone()).unwrap();
        let mut new = decoder(&weights);
        let short = Saved::vouched(tokens[1..].to_vec(), saved.state().to_vec());
        let cut = Saved::vouched(tokens.clone(), saved.state()[..saved.state().len() - 1].to_vec());
        for wrong in [short, cut] {
            assert!(new.restore(SEQ, &wrong).is_err());
        }
        assert_eq!(read(&mut new, &tokens), expected);
    }
}
