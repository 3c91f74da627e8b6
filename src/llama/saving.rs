//! A whole sequence of a context as bytes, KV cache and recurrent state, and back.
#![expect(unsafe_code, reason = "the binding's safe calls keep the bytes to themselves")]

use llama_cpp_2::context::session::LlamaStateSeqFlags;

use super::LlamaDecoder;
use super::decoder::number;
use crate::engine::{Caps, DecodeError, Decoder as _, Saved, SeqId};

const WHOLE: LlamaStateSeqFlags = LlamaStateSeqFlags::empty();

pub(super) fn save(decoder: &LlamaDecoder<'_>, seq: SeqId) -> Result<Vec<u8>, DecodeError> {
    known(decoder.caps(), seq)?;
    let size = decoder.context.state_seq_get_size_ext(number(seq.0), WHOLE);
    let mut state = Vec::new();
    let short = DecodeError::Contract { what: "there is no memory for a copy of the sequence" };
    state.try_reserve_exact(size).map_err(|_| short)?;
    state.resize(size, 0);
    // SAFETY: the buffer has the size that llama.cpp says it writes, and nothing changes the context in between.
    let written = unsafe { decoder.context.state_seq_get_data_ext(state.as_mut_ptr(), number(seq.0), WHOLE) };
    decoder.weights.connected()?;
    let whole = written == size && size > 0;
    whole.then_some(state).ok_or(DecodeError::Contract { what: "the sequence cannot be copied" })
}

pub(super) fn restore(decoder: &mut LlamaDecoder<'_>, seq: SeqId, saved: &Saved) -> Result<(), DecodeError> {
    known(decoder.caps(), seq)?;
    // SAFETY: llama.cpp reads no further than the slice and refuses lengths and shapes that are not the context's.
    // That its contents are what a context like this one gave is the caller's promise.
    let taken = unsafe { decoder.context.state_seq_set_data_ext(&saved.state, number(seq.0), WHOLE) };
    decoder.weights.connected()?;
    let last = decoder.context.kv_cache_seq_pos_max(number(seq.0));
    if taken && usize::try_from(last).is_ok_and(|last| last + 1 == saved.tokens.len()) {
        return Ok(());
    }
    decoder.cut(seq, None)?;
    Err(DecodeError::Contract { what: "the state is not of these tokens or of another context" })
}

fn known(caps: Caps, seq: SeqId) -> Result<(), DecodeError> {
    let contract = DecodeError::Contract { what: "there is no such sequence" };
    (seq.0 < caps.sequences).then_some(()).ok_or(contract)
}
