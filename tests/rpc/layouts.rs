//! The logits do not depend on the placement of the layers.

use ggrun::engine::{DecodeError, Markup, Vocab as _};
use ggrun::model::{GpuLayers, LoadOptions, Model, Override};

use super::Worker;
use crate::support::tiny_gguf;

/// More than 20 tokens.
const TEXT: &str = "What is 17 + 25? 17 + 25 is 10 + 20 plus 7 + 5, which is 30 + 12. The answer is 42.";

/// The sums are in a different order, because a worker's weights are not repacked. Measured: at most 4e-4.
const TOLERANCE: f32 = 2e-3;

fn logits(model: &Model) -> Result<Vec<Vec<f32>>, DecodeError> {
    let tokens = model.vocab().tokenize(TEXT, Markup::Plain);
    Ok(model.logits(&[&tokens])?.remove(0))
}

/// Compares the CPU alone with a worker in this layout.
#[track_caller]
fn agree(layout: impl FnOnce(&mut LoadOptions, &str)) {
    let plain = || LoadOptions { threads: 1, devices: Some(Vec::new()), ..LoadOptions::new(tiny_gguf()) };
    let expected = logits(&Model::load(plain(), |_| true).unwrap()).unwrap();
    let mut worker = Worker::start();
    let mut options = LoadOptions { devices: None, rpc: vec![worker.endpoint.clone()], ..plain() };
    layout(&mut options, &format!("RPC0[{}]", worker.endpoint));
    let model = Model::load(options, |_| true).unwrap();
    let found = logits(&model).unwrap();
    let differences = expected.iter().flatten().zip(found.iter().flatten()).map(|(a, b)| (a - b).abs());
    let largest = differences.fold(0.0, f32::max);
    assert!(largest < TOLERANCE, "largest difference {largest:.2e}");
    assert!(expected.len() > 20 && expected.iter().flatten().any(|logit| *logit > 1.0), "these are logits");
    worker.kill();
    assert!(logits(&model).is_err(), "the worker computed nothing");
}

fn experts_to(buffer: &str) -> Vec<Override> {
    vec![Override { pattern: r"\.ffn_(up|down|gate)_exps".to_owned(), buffer: buffer.to_owned() }]
}

#[test]
fn layers_split_with_a_worker_give_the_logits_of_the_cpu() {
    agree(|options, _| options.gpu_layers = GpuLayers::Last(2));
}

#[test]
fn dense_layers_on_a_worker_give_the_logits_of_the_cpu() {
    agree(|options, _| {
        options.gpu_layers = GpuLayers::All;
        options.overrides = experts_to("CPU");
    });
}

#[test]
fn experts_on_a_worker_give_the_logits_of_the_cpu() {
    agree(|options, buffer| {
        options.gpu_layers = GpuLayers::Last(0);
        options.overrides = experts_to(buffer);
    });
}
