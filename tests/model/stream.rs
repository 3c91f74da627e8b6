//! Experts that are read from disk as they are chosen.
#![cfg(target_os = "linux")]

use std::sync::{Mutex, PoisonError};

use ggrun::engine::Token;
use ggrun::model::{LoadMode, LoadOptions, Model, can_stream, streamed};

use crate::support::tiny_gguf;

/// The counts of chosen experts are those of the process.
static COUNTS: Mutex<()> = Mutex::new(());

#[test]
fn experts_from_disk_give_the_same_logits() {
    let _counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(can_stream(), "the patch is missing");
    let tokens: Vec<Token> = (1..60).map(Token).collect();
    let logits = |load| {
        let options = LoadOptions {
            load: Some(load),
            repack: Some(false),
            threads: 2,
            ..LoadOptions::new(tiny_gguf())
        };
        let model = Model::load(options, |_| true).unwrap();
        // A prompt of several sequences, and tokens one at a time.
        let mut all = model.logits(&[&tokens, &tokens[7..20]]).unwrap();
        all.extend((0..3).map(|at| model.logits(&[&tokens[at..=at]]).unwrap().remove(0)));
        let bits = all.into_iter().flatten().flatten().map(f32::to_bits);
        bits.collect::<Vec<_>>()
    };
    let read = logits(LoadMode::Read);
    let before = streamed();
    for _ in 0..3 {
        assert!(logits(LoadMode::Stream) == read, "logits differ");
    }
    assert!(streamed().chosen > before.chosen, "no expert was chosen through it");
}

#[test]
fn two_models_can_read_their_experts_from_disk_at_once() {
    let _counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let load = || {
        let options =
            LoadOptions { load: Some(LoadMode::Stream), threads: 2, ..LoadOptions::new(tiny_gguf()) };
        Model::load(options, |_| true).unwrap()
    };
    let tokens: Vec<Token> = (1..40).map(Token).collect();
    let expected = load().logits(&[&tokens]).unwrap();
    std::thread::scope(|scope| {
        let work = || {
            for _ in 0..5 {
                assert!(load().logits(&[&tokens]).unwrap() == expected, "logits differ");
            }
        };
        scope.spawn(work);
        scope.spawn(work);
    });
}
