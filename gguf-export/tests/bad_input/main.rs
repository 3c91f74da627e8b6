//! Invalid checkpoints: each is refused with an error that names the file, the tensor and the expectation, without a
//! panic and without leaving files behind.

#![allow(
    clippy::disallowed_methods,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "tests damage temporary files, rely on panics, and are tables"
)]

#[path = "../common/mod.rs"]
mod common;
mod config;
mod files;
mod keys;
mod modules;
mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use common::{Place, story};
use serde_json::Value;
use testkit::{Checkpoint, Dtype, Encoding, Gptq, Model, Tensor};

const UP: &str = "model.layers.0.mlp.experts.0.up_proj";
const SHARD: &str = "model.safetensors";

/// Exports `place`, which must fail with an error that contains every one of `parts`.
fn refused(name: &str, place: &Place, parts: &[&str]) {
    let result = catch_unwind(AssertUnwindSafe(|| place.export()));
    let error = match result {
        Ok(Err(error)) => story(&error),
        Ok(Ok(_)) => panic!("{name}: it was exported"),
        Err(payload) => panic!("{name}: it panicked: {:?}", payload.downcast_ref::<String>()),
    };
    for part in parts {
        assert!(error.contains(part), "{name}: the error\n  {error}\ndoes not contain\n  {part}");
    }
    assert!(!error.contains("panicked"), "{name}: {error}");
    assert_eq!(place.left_behind(), [""; 0], "{name} left files behind");
}

/// Edits a checkpoint, writes it and expects it to be refused.
fn edited(name: &str, model: &Model, edit: impl FnOnce(&mut Checkpoint), parts: &[&str]) {
    let place = Place::new();
    let mut checkpoint = model.build();
    edit(&mut checkpoint);
    checkpoint.write(&place.source());
    refused(name, &place, parts);
}

/// Writes a checkpoint, damages its files and expects it to be refused.
fn damaged(name: &str, model: &Model, damage: impl FnOnce(&Path), parts: &[&str]) {
    let place = Place::with(model);
    damage(&place.source());
    refused(name, &place, parts);
}

fn int4() -> Model {
    Model::uniform(Encoding::Gptq(Gptq::sym(4, 128)))
}

fn asym() -> Model {
    Model::uniform(Encoding::Gptq(Gptq::asym(4, 64)))
}

fn set(checkpoint: &mut Checkpoint, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    checkpoint.config.pointer_mut(parent).unwrap()[key] = value;
}

/// Replaces a tensor by one of another dtype, shape and content.
fn reshaped(checkpoint: &mut Checkpoint, tensor: &str, dtype: Dtype, shape: &[usize], data: Vec<u8>) {
    *checkpoint.tensor(tensor) = Tensor::new(tensor, dtype, shape, data);
}
