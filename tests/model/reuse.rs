//! A sequence resumed from a saved state, or copied from another, has the logits of one that was decoded in full.

use std::path::Path;

use ggrun::engine::{Decoder as _, Markup, Pos, Row, Saved, SeqId, SeqOp, StateId, Step, Token, Vocab as _};
use ggrun::llama::{
    Abort, CacheType, ContextParams, Flash, LlamaDecoder, LoadMode, LoadParams, SplitMode, Weights,
};

use crate::dense::dense_gguf;
use crate::support::tiny_gguf;

const SEQ: SeqId = SeqId(0);

fn decoder(weights: &Weights) -> LlamaDecoder<'_> {
    let params = ContextParams {
        sequences: 2,
        context: 512,
        batch: 128,
        ubatch: 128,
        threads: 1,
        threads_batch: 1,
        cache_k: CacheType::F32,
        cache_v: CacheType::F32,
        flash: Flash::Off,
        kv_offload: true,
        rope: ggrun::model::Rope::default(),
        abort: Abort::default(),
    };
    LlamaDecoder::new(weights, &params).unwrap()
}

/// Decodes tokens after the first `from` of the sequence and returns the logits after the last.
fn read(decoder: &mut LlamaDecoder<'_>, ops: Vec<SeqOp>, from: usize, tokens: &[Token]) -> Vec<f32> {
    read_in(SEQ, decoder, ops, from, tokens)
}

fn read_in(
    seq: SeqId,
    decoder: &mut LlamaDecoder<'_>,
    ops: Vec<SeqOp>,
    from: usize,
    tokens: &[Token],
) -> Vec<f32> {
    let row = |(index, &token): (usize, &Token)| Row {
        seq,
        pos: Pos(u32::try_from(from + index).unwrap()),
        token,
        sample: false,
    };
    let rows: Vec<Row> = tokens.iter().enumerate().map(row).collect();
    let (last, others) = rows.split_last().unwrap();
    let first = Step { ops, rows: others.to_vec() };
    decoder.step(&first).unwrap();
    let sampling = Box::new(ggrun::engine::SamplingParams::greedy());
    let ops = vec![SeqOp::Sample { seq, sampling, prompt: vec![] }];
    decoder.step(&Step { ops, rows: vec![Row { sample: true, ..*last }] }).unwrap();
    decoder.logits(0).to_vec()
}

fn load(path: &Path) -> Weights {
    let params = LoadParams {
        path,
        devices: &[],
        gpu_layers: 0,
        split_mode: SplitMode::default(),
        main_gpu: 0,
        tensor_split: &[],
        overrides: &[],
        load: LoadMode::default(),
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
    let first = read(&mut copied, vec![SeqOp::Keep { seq: SEQ, state }], shared.len(), &one);
    let middle = SeqOp::Copy { from: SEQ, to, length, state: Some(state) };
    assert_eq!(read_in(to, &mut copied, vec![middle], shared.len(), &other), expected);

    // Copying left the original unchanged, and the state works for the copy too.
    let back = |seq| SeqOp::Rewind { seq, length, state: Some(state) };
    assert_eq!(read(&mut copied, vec![back(SEQ)], shared.len(), &one), first);
    assert_eq!(read_in(to, &mut copied, vec![back(to)], shared.len(), &one), first);

    for seq in [SEQ, SeqId(2)] {
        let copy = SeqOp::Copy { from: SEQ, to: seq, length, state: None };
        assert!(copied.step(&Step { ops: vec![copy], rows: vec![] }).is_err());
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
    assert!(reused.caps().can_keep && !reused.caps().can_trim, "the model is hybrid");
    read(&mut reused, vec![], 0, &shared);
    let state = StateId(1);
    let astray = read(&mut reused, vec![SeqOp::Keep { seq: SEQ, state }], shared.len(), &reasoning);
    let length = u32::try_from(shared.len()).unwrap();
    let back = SeqOp::Rewind { seq: SEQ, length, state: Some(state) };
    let found = read(&mut reused, vec![back.clone()], shared.len(), &answer);
    assert_eq!(found, expected);
    assert_ne!(astray, expected);

    // The state can be used again, until it is forgotten.
    assert_eq!(read(&mut reused, vec![back.clone()], shared.len(), &answer), expected);
    let gone = Step { ops: vec![SeqOp::Forget { state }, back], rows: vec![] };
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
        let can_keep = old.caps().can_keep;
        let keep = can_keep.then_some(SeqOp::Keep { seq: SEQ, state });
        read(&mut old, keep.into_iter().collect(), shared.len(), &astray);
        let length = u32::try_from(shared.len()).unwrap();
        let back = SeqOp::Rewind { seq: SEQ, length, state: can_keep.then_some(state) };
        old.step(&Step { ops: vec![back], rows: vec![] }).unwrap();
        let saved = Saved { state: old.save(SEQ).unwrap(), tokens: shared.clone() };
        let expected = read(&mut old, vec![], shared.len(), &next);

        let mut new = decoder(&weights);
        new.restore(SEQ, &saved).unwrap();
        assert_eq!(read(&mut new, vec![], shared.len(), &next), expected, "{}", path.display());

        // A state that does not match is refused and leaves an empty, usable sequence.
        let short = Saved { tokens: shared[1..].to_vec(), state: saved.state.clone() };
        let cut = Saved { state: saved.state[..saved.state.len() - 1].to_vec(), ..saved };
        for wrong in [short, cut] {
            assert!(new.restore(SEQ, &wrong).is_err());
        }
        let mut fresh = decoder(&weights);
        assert_eq!(read(&mut new, vec![], 0, &shared), read(&mut fresh, vec![], 0, &shared));
    }
}
