//! The number of graphs that llama.cpp computes, counted by its own callback.
#![expect(unsafe_code, reason = "sets and serves a callback for which the binding has no setter")]

use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use llama_cpp_sys_2 as sys;

use super::*;
use crate::engine::passes::passes;
use crate::engine::scripted::ByteVocab;
use crate::engine::{Decoder, Limits, Pos, Request, RequestId, SamplingParams, Scheduler, SlotState, Span};
use crate::llama::kernel_tests::default_version;
use crate::llama::tiny;

/// A decoder, and the number of times that its graph was computed.
fn counting<'a>(weights: &'a Weights, params: &ContextParams) -> (LlamaDecoder<'a>, &'static AtomicUsize) {
    let count: &'static AtomicUsize = Box::leak(Box::default());
    let wanted = params::context(params, CELLS * params.sequences, params.batch);
    // SAFETY: the binding's struct is a wrapper of the other, which `params::context` checks. The counter lives as long
    // as the process.
    let wanted = unsafe {
        let mut raw = std::mem::transmute::<LlamaContextParams, sys::llama_context_params>(wanted);
        raw.cb_eval = Some(note);
        raw.cb_eval_user_data = ptr::from_ref(count).cast_mut().cast();
        std::mem::transmute::<sys::llama_context_params, LlamaContextParams>(raw)
    };
    (LlamaDecoder::with(weights, params, wanted).unwrap(), count)
}

/// Counts graphs by the node that each has once.
unsafe extern "C" fn note(tensor: *mut sys::ggml_tensor, ask: bool, count: *mut c_void) -> bool {
    // SAFETY: llama.cpp passes a node, whose name ends with a zero, and the pointer to the counter, which is never freed.
    let (name, count) =
        unsafe { (CStr::from_ptr((*tensor).name.as_ptr()), &*count.cast_const().cast::<AtomicUsize>()) };
    if ask && name == c"result_norm" {
        count.fetch_add(1, Ordering::Relaxed);
    }
    false
}

/// Tokens of these sequences, in this order.
fn batch(next: &mut [u32], seqs: &[u32]) -> Vec<BatchToken> {
    let token = |&seq: &u32| {
        let pos = &mut next[seq as usize];
        *pos += 1;
        let token = Token(i32::try_from(10 + seq * 7 + *pos).unwrap());
        BatchToken { seq: SeqId(seq), pos: Pos(*pos - 1), token, sample: true }
    };
    seqs.iter().map(token).collect()
}

#[test]
fn a_batch_is_read_in_as_many_passes_as_expected() {
    let _version = default_version();
    let folder = tempfile::tempdir().unwrap();
    let weights = tiny::load(folder.path());
    let (mut decoder, count) = counting(&weights, &tiny::params(6));
    let mut next = [0; 6];
    let cases: [(&[u32], usize); 9] = [
        (&[0, 1, 2], 1),
        (&[0, 1, 3], 2),
        (&[3, 1, 0], 3),
        (&[0, 2, 4], 3),
        (&[0, 1, 2, 3, 4, 5], 1),
        (&[1, 2, 4, 5], 2),
        // Tokens of a prompt between those of two answers.
        (&[0, 1, 1, 1, 2], 2),
        (&[0, 2, 1, 1, 1], 3),
        (&[0, 0, 1, 1, 1, 1, 2, 2, 2], 3),
    ];
    for (seqs, expected) in cases {
        let tokens = batch(&mut next, seqs);
        let before = count.load(Ordering::Relaxed);
        decoder.read(&tokens).unwrap();
        assert_eq!(count.load(Ordering::Relaxed) - before, expected, "{seqs:?}");
        assert_eq!(passes(&tokens, 64), expected, "{seqs:?}");
    }
    // More tokens than are computed at once.
    let (mut decoder, count) = counting(&weights, &ContextParams { ubatch: 8, ..tiny::params(2) });
    let tokens = batch(&mut [0; 2], &[[0; 30], [1; 30]].concat());
    decoder.read(&tokens).unwrap();
    assert_eq!((count.load(Ordering::Relaxed), passes(&tokens, 8)), (8, 8));
}

#[test]
fn slots_that_work_are_read_in_one_pass_wherever_one_ends() {
    let _version = default_version();
    let folder = tempfile::tempdir().unwrap();
    let weights = tiny::load(folder.path());
    let (mut decoder, count) = counting(&weights, &tiny::params(4));
    let mut scheduler = Scheduler::new(ByteVocab, decoder.caps(), Limits::of(decoder.caps()));
    for id in 0..4 {
        let prompt = vec![Token(10 + i32::try_from(id).unwrap()); 3];
        let request = Request { max_tokens: Some(20), ..Request::new(prompt, SamplingParams::greedy()) };
        scheduler.submit(RequestId(id), request, Duration::ZERO).unwrap();
    }
    let mut steps = 0;
    while !scheduler.is_idle() {
        if steps == 5 {
            // Slots 0, 1 and 3 work on.
            scheduler.cancel(RequestId(2)).unwrap();
        }
        let step = scheduler.next();
        let before = count.load(Ordering::Relaxed);
        let outcome = decoder.step(&step).unwrap();
        assert_eq!(count.load(Ordering::Relaxed) - before, 1, "step {steps}");
        scheduler.commit(&outcome, Span { from: Duration::ZERO, to: Duration::ZERO });
        steps += 1;
    }
    assert_eq!(steps, 20);
    assert!(scheduler.slot_states().all(|state| state == SlotState::Idle));
}

#[test]
fn a_moved_sequence_has_the_logits_of_one_that_stayed() {
    let _version = default_version();
    let folder = tempfile::tempdir().unwrap();
    let weights = tiny::load(folder.path());
    let logits = |to: u32| {
        let mut decoder = LlamaDecoder::new(&weights, &tiny::params(4)).unwrap();
        let mut next = [0; 4];
        for seqs in [vec![0, 0, 0, 3, 3, 3, 3, 3], vec![0, 1, 2, 3], vec![0, 1, 3]] {
            decoder.read(&batch(&mut next, &seqs)).unwrap();
        }
        if to != 3 {
            let ops = vec![SeqOp::Move { from: SeqId(3), to: SeqId(to) }];
            decoder.step(&Step { ops, tokens: Vec::new() }).unwrap();
        }
        let mut found = Vec::new();
        for _ in 0..3 {
            let mut tokens = batch(&mut next, &[0, 3]);
            tokens[1].seq = SeqId(to);
            decoder.read(&tokens).unwrap();
            found.push([decoder.logits(0).to_vec(), decoder.logits(1).to_vec()]);
        }
        if to != 3 {
            // llama.cpp refuses a first token for a sequence that is not empty.
            next[3] = 0;
            decoder.read(&batch(&mut next, &[3])).unwrap();
        }
        found
    };
    let stayed = logits(3);
    for to in [1, 2] {
        for (moved, stayed) in logits(to).iter().flatten().zip(stayed.iter().flatten()) {
            let far = moved.iter().zip(stayed).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
            assert!(far < 1e-4, "moved to {to}: logits differ by {far}");
        }
    }
}
