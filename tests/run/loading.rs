//! Loading: files that are not models are errors with a reason.

use std::error::Error as _;

use ggrun::model::{ContextSize, LoadError, LoadOptions, Loading, Model, PlaceError};

use super::{copy_of, tiny_gguf};

fn load(path: impl Into<std::path::PathBuf>) -> LoadError {
    Model::load(LoadOptions::new(path), |_| true).expect_err("this is not a model")
}

#[test]
fn a_missing_file_is_named() {
    let error = load("no/such/model.gguf");
    assert_eq!(error.to_string(), "cannot read `no/such/model.gguf`");
    assert!(error.source().is_some());
}

#[test]
fn a_file_of_another_format_is_named_with_its_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, b"\x10\x00\x00\x00\x00\x00\x00\x00{}").unwrap();
    let error = load(path).to_string();
    assert!(error.ends_with("model.safetensors` is a safetensors file, expected a GGUF file"), "{error}");
}

#[test]
fn a_truncated_file_is_an_error_with_the_reason() {
    let gguf = tiny_gguf();
    let folder = tempfile::tempdir().unwrap();
    let length = usize::try_from(std::fs::metadata(&gguf).unwrap().len()).unwrap();
    for bytes in [4, 20, 3000, length / 2, length - 1] {
        let error = load(copy_of(&gguf, bytes, &folder));
        assert!(matches!(error, LoadError::Header(_)), "{bytes}: {error}");
    }
}

#[test]
fn a_load_can_be_cancelled() {
    let gguf = tiny_gguf();
    let error = Model::load(LoadOptions::new(gguf), |_| false).unwrap_err();
    assert!(matches!(error, LoadError::Cancelled { .. }), "{error}");
}

#[test]
fn the_progress_of_a_load_grows_to_the_bytes_of_the_file_and_any_of_it_cancels() {
    let gguf = tiny_gguf();
    let mut seen = Vec::new();
    Model::load(LoadOptions::new(&gguf), |loading| {
        seen.push(loading);
        true
    })
    .unwrap();
    let bytes = std::fs::metadata(&gguf).unwrap().len();
    assert!(seen.iter().all(|loading| loading.total == bytes), "{seen:?}");
    assert!(seen.is_sorted_by_key(|loading| loading.done), "{seen:?}");
    assert_eq!(seen.last().unwrap().done, bytes);
    let half = |loading: Loading| loading.done < loading.total / 2;
    let error = Model::load(LoadOptions::new(gguf), half).unwrap_err();
    assert!(matches!(error, LoadError::Cancelled { .. }), "{error}");
}

#[test]
fn a_context_that_is_too_large_is_an_error() {
    let gguf = tiny_gguf();
    let options = LoadOptions { context: ContextSize::Tokens(u32::MAX), ..LoadOptions::new(gguf) };
    let error = Model::load(options.clone(), |_| true).unwrap_err();
    let LoadError::Place(PlaceError::Memory(too_much)) = error else { panic!("{error}") };
    assert_eq!(too_much.remedies[0], "-c 4096", "the training context fits");
    // Without `fit` the error is llama.cpp's.
    let unfitted = LoadOptions { fit: false, ..options };
    let error = Model::load(unfitted, |_| true).unwrap().spawn().unwrap_err();
    assert!(matches!(error, LoadError::Context { .. }), "{error}");
}

#[test]
fn an_engine_outlives_its_model() {
    let gguf = tiny_gguf();
    let model = Model::load(LoadOptions { parallel: 3, ..LoadOptions::new(gguf) }, |_| true).unwrap();
    let running = model.spawn().unwrap();
    drop(model);
    assert_eq!(running.caps().sequences, 3);
    assert!(!running.caps().can_trim, "a hybrid model cannot be trimmed");
}
