//! A sequence resumed from a saved state, or copied from another, has the logits of one that was decoded in full.

use std::path::Path;

use ggrun::engine::{
    BatchToken, DecodeError, Decoder as _, Markup, Pos, SeqId, SeqOp, StateId, Step, Token, Vocab as _,
};
use ggrun::llama::{
    Abort, CacheType, ContextParams, Flash, LlamaDecoder, LoadMode, LoadParams, SplitMode, Weights,
};

use crate::dense::dense_gguf;
use crate::support::tiny_gguf;

pub(super) const SEQ: SeqId = SeqId(0);

pub(super) fn decoder(weights: &Weights) -> LlamaDecoder<'_> {
    decoder_of(weights, 2)
}

fn decoder_of(weights: &Weights, sequences: u32) -> LlamaDecoder<'_> {
    let params = ContextParams {
        sequences,
        context: 512,
        batch: 128,
        ubatch: 128,
        threads: 1,
        threads_batch: 1,
        cache_k: CacheType::F32,
        cache_v: CacheType::F32,
        flash: Flash::Off,
        kv_offload: true,
        copies_from: Some(32),
        rope: ggrun::model::Rope::default(),
        abort: Abort::default(),
    };
    LlamaDecoder::new(weights, &params).unwrap()
}

/// Decodes tokens after the first `from` of the sequence and returns the logits after the last.
pub(super) fn read(
    decoder: &mut LlamaDecoder<'_>,
    ops: Vec<SeqOp>,
    from: usize,
    tokens: &[Token],
) -> Vec<f32> {
    read_in(SEQ, decoder, ops, from, tokens)
}

fn read_in(
    seq: SeqId,
    decoder: &mut LlamaDecoder<'_>,
    ops: Vec<SeqOp>,
    from: usize,
    tokens: &[Token],
) -> Vec<f32> {
    let placed = |(index, &token): (usize, &Token)| BatchToken {
        seq,
        pos: Pos(u32::try_from(from + index).unwrap()),
        token,
        sample: false,
    };
    let batch: Vec<BatchToken> = tokens.iter().enumerate().map(placed).collect();
    let (last, others) = batch.split_last().unwrap();
    let first = Step { ops, tokens: others.to_vec() };
    decoder.step(&first).unwrap();
    let sampling = Box::new(ggrun::engine::SamplingParams::greedy());
    let ops = vec![SeqOp::Sample { seq, sampling, prompt: vec![].into(), prepared: None }];
    decoder.step(&Step { ops, tokens: vec![BatchToken { sample: true, ..*last }] }).unwrap();
    decoder.logits(0).to_vec()
}

pub(super) fn load(path: &Path) -> Weights {
    let params = LoadParams {
        path,
        devices: &[],
        gpu_layers: 0,
        split_mode: SplitMode::default(),
        main_gpu: 0,
        tensor_split: &[],
        overrides: &[],
        load: LoadMode::default(),
        room: 0,
        repack: true,
        metadata: &[],
        check_tensors: false,
    };
    Weights::load(&params, |_| true).unwrap()
}

#[test]
fn a_copied_sequence_has_the_logits_of_a_decoded_one() {
    let weights = load(&tiny_gguf());
    let tokens = |text: &str| weights.vocab().tokenize(text, Markup::Parsed);
    let shared = tokens("<|im_start|>system\nAdd the numbers.<|im_end|>\n");
    let (one, other) = (tokens("<|im_start|>user\n1 + 2 = ?"), tokens("<|im_start|>user\nWhat is 17 + 25?"));
    let length = u32::try_from(shared.len()).unwrap();
    let to = SeqId(1);

    let mut fresh = decoder(&weights);
    read(&mut fresh, vec![], 0, &shared);
    let expected = read(&mut fresh, vec![], shared.len(), &other);

    // A copy of the whole sequence, and one of its beginning, from the saved state.
    let mut copied = decoder(&weights);
    assert!(copied.caps().can_copy);
    read(&mut copied, vec![], 0, &shared);
    let end = SeqOp::Copy { from: SEQ, to, length, state: None };
    assert_eq!(read_in(to, &mut copied, vec![end], shared.len(), &other), expected);
    let state = StateId(1);
    let first = read(&mut copied, vec![SeqOp::CacheState { seq: SEQ, state }], shared.len(), &one);
    let middle = SeqOp::Copy { from: SEQ, to, length, state: Some(state) };
    assert_eq!(read_in(to, &mut copied, vec![middle], shared.len(), &other), expected);

    // Copying left the original unchanged, and the state works for the copy too.
    let back = |seq| SeqOp::Rewind { seq, length, state: Some(state) };
    assert_eq!(read(&mut copied, vec![back(SEQ)], shared.len(), &one), first);
    assert_eq!(read_in(to, &mut copied, vec![back(to)], shared.len(), &one), first);

    for seq in [SEQ, SeqId(2)] {
        let copy = SeqOp::Copy { from: SEQ, to: seq, length, state: None };
        assert!(copied.step(&Step { ops: vec![copy], tokens: vec![] }).is_err());
    }
}

#[test]
fn a_turn_resumed_from_a_saved_state_has_the_logits_of_a_fresh_one() {
    let weights = load(&tiny_gguf());
    let tokens = |text: &str| weights.vocab().tokenize(text, Markup::Parsed);
    let shared = tokens("<|im_start|>user\nWhat is 17 + 25?<|im_end|>\n");
    let reasoning =
        tokens("<|im_start|>assistant\n<think>\n17 + 25: 7 + 5 = 12, carry 1.</think>\n\n17 + 25 = 42");
    let answer =
        tokens("<|im_start|>assistant\n17 + 25 = 42<|im_end|>\n<|im_start|>user\n842 - 83 = ?<|im_end|>\n");

    let mut fresh = decoder(&weights);
    read(&mut fresh, vec![], 0, &shared);
    let expected = read(&mut fresh, vec![], shared.len(), &answer);

    let mut reused = decoder(&weights);
    assert!(reused.caps().can_cache && !reused.caps().can_trim, "the model is hybrid");
    read(&mut reused, vec![], 0, &shared);
    let state = StateId(1);
    let astray = read(&mut reused, vec![SeqOp::CacheState { seq: SEQ, state }], shared.len(), &reasoning);
    let length = u32::try_from(shared.len()).unwrap();
    let back = SeqOp::Rewind { seq: SEQ, length, state: Some(state) };
    let found = read(&mut reused, vec![back.clone()], shared.len(), &answer);
    assert_eq!(found, expected);
    assert_ne!(astray, expected);

    // The state can be used again, until it is dropped.
    assert_eq!(read(&mut reused, vec![back.clone()], shared.len(), &answer), expected);
    let gone = Step { ops: vec![SeqOp::DropState { state }, back], tokens: vec![] };
    assert!(reused.step(&gone).is_err());
}

#[test]
fn a_saved_sequence_has_the_logits_of_the_one_it_was_saved_from() {
    for path in [tiny_gguf(), dense_gguf()] {
        let weights = load(&path);
        let tokens = |text: &str| weights.vocab().tokenize(text, Markup::Parsed);
        let shared = tokens("<|im_start|>user\nWhat is 17 + 25?<|im_end|>\n");
        let astray = tokens("<|im_start|>assistant\n<think>\n17 + 25: 7 + 5 = 12");
        let next = tokens("<|im_start|>user\n842 - 83 = ?<|im_end|>\n");
        let mut old = decoder(&weights);
        read(&mut old, vec![], 0, &shared);
        let state = StateId(1);
        let can_cache = old.caps().can_cache;
        let cache = can_cache.then_some(SeqOp::CacheState { seq: SEQ, state });
        read(&mut old, cache.into_iter().collect(), shared.len(), &astray);
        let length = u32::try_from(shared.len()).unwrap();
        let back = SeqOp::Rewind { seq: SEQ, length, state: can_cache.then_some(state) };
        old.step(&Step { ops: vec![back], tokens: vec![] }).unwrap();
        assert!(old.save(SEQ, shared[1..].to_vec()).is_err(), "the sequence has more tokens");
        let saved = old.save(SEQ, shared.clone()).unwrap();
        let expected = read(&mut old, vec![], shared.len(), &next);

        let mut new = decoder(&weights);
        new.restore(SEQ, &saved).unwrap();
        assert_eq!(read(&mut new, vec![], shared.len(), &next), expected, "{}", path.display());
    }
}

/// The logits after `tokens` in a context of its own, where the last two are decoded apart.
fn expected(weights: &Weights, tokens: &[Token]) -> Vec<f32> {
    let (first, last) = tokens.split_at(tokens.len() - 2);
    let mut decoder = decoder(weights);
    read(&mut decoder, vec![], 0, first);
    read(&mut decoder, vec![], first.len(), last)
}

#[test]
fn an_aborted_step_of_one_sequence_changes_no_other() {
    for path in [tiny_gguf(), dense_gguf()] {
        let weights = load(&path);
        let tokens = |text: &str| weights.vocab().tokenize(text, Markup::Parsed);
        let (one, other) =
            (tokens("<|im_start|>user\nWhat is 17 + 25?"), tokens("<|im_start|>user\n1 + 2 = ?"));
        let last = |tokens: &[Token]| tokens.split_at(tokens.len() - 2).1.to_vec();
        let first = |tokens: &[Token]| tokens.split_at(tokens.len() - 2).0.to_vec();
        let (seq, to) = (SEQ, SeqId(1));
        let mut aborted = decoder(&weights);
        let abort = aborted.abort();
        read_in(to, &mut aborted, vec![], 0, &first(&other));
        read_in(seq, &mut aborted, vec![], 0, &first(&one));
        let state = StateId(1);
        let can_cache = aborted.caps().can_cache;
        let cache = can_cache.then_some(SeqOp::CacheState { seq, state });
        aborted.step(&Step { ops: cache.into_iter().collect(), tokens: vec![] }).unwrap();

        abort.raise();
        let place = |(index, &token): (usize, &Token)| BatchToken {
            seq,
            pos: Pos(u32::try_from(one.len() - 2 + index).unwrap()),
            token,
            sample: false,
        };
        let step = Step { ops: vec![], tokens: last(&one).iter().enumerate().map(place).collect() };
        assert_eq!(aborted.step(&step), Err(DecodeError::Aborted));
        assert!(!aborted.failure_spreads(&step));
        abort.lower();

        let more = read_in(to, &mut aborted, vec![], other.len() - 2, &last(&other));
        assert!(more == expected(&weights, &other), "the other sequence of {}", path.display());
        let length = u32::try_from(one.len() - 2).unwrap();
        let back = SeqOp::Rewind { seq, length, state: can_cache.then_some(state) };
        let again = read_in(seq, &mut aborted, vec![back], one.len() - 2, &last(&one));
        assert!(again == expected(&weights, &one), "the aborted sequence of {}", path.display());
    }
}

#[test]
fn after_an_aborted_shared_step_every_sequence_resumes_from_its_state() {
    let weights = load(&tiny_gguf());
    let tokens = |text: &str| weights.vocab().tokenize(text, Markup::Parsed);
    let prompts = ["What is 17 + 25?", "1 + 2 = ?", "842 - 83 = ?"].map(tokens);
    let mut aborted = decoder_of(&weights, 3);
    let abort = aborted.abort();
    let mut states = Vec::new();
    for (number, prompt) in (0u32..).zip(&prompts) {
        let (seq, state) = (SeqId(number), StateId(u64::from(number)));
        read_in(seq, &mut aborted, vec![], 0, &prompt[..prompt.len() - 2]);
        states.push(SeqOp::CacheState { seq, state });
    }
    aborted.step(&Step { ops: states, tokens: vec![] }).unwrap();

    // The first and the last sequence share a step, for which llama.cpp moves the one between them.
    let place = |number: u32| BatchToken {
        seq: SeqId(number),
        pos: Pos(u32::try_from(prompts[number as usize].len() - 2).unwrap()),
        token: prompts[number as usize][prompts[number as usize].len() - 2],
        sample: false,
    };
    let step = Step { ops: vec![], tokens: vec![place(0), place(2)] };
    assert!(aborted.failure_spreads(&step));
    abort.raise();
    assert_eq!(aborted.step(&step), Err(DecodeError::Aborted));
    abort.lower();
    for (number, prompt) in (0u32..).zip(&prompts) {
        let (seq, before) = (SeqId(number), prompt.len() - 2);
        let (length, state) = (u32::try_from(before).unwrap(), Some(StateId(u64::from(number))));
        let back = SeqOp::Rewind { seq, length, state };
        let again = read_in(seq, &mut aborted, vec![back], before, &prompt[before..]);
        assert!(again == expected(&weights, prompt), "sequence {number}");
    }
}
