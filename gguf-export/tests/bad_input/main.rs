//! Checkpoints that lie, one line each: the error names the file, the tensor and what was expected, nothing panics,
//! and nothing is left beside the checkpoint.

#![allow(
    clippy::disallowed_methods,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "tests damage files of their own, want panics, and are tables"
)]

#[path = "../common/mod.rs"]
mod common;
mod config;
mod files;
mod modules;
mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use common::{Place, story};
use serde_json::Value;
use testkit::{Checkpoint, Dtype, Encoding, Gptq, Model, Tensor};

const UP: &str = "model.layers.0.mlp.experts.0.up_proj";
const SHARD: &str = "model.safetensors";

/// Exports what is in `place`; the error must hold every one of `says`.
fn refused(name: &str, place: &Place, says: &[&str]) {
    let result = catch_unwind(AssertUnwindSafe(|| place.export()));
    let error = match result {
        Ok(Err(error)) => story(&error),
        Ok(Ok(_)) => panic!("{name}: it was exported"),
        Err(payload) => panic!("{name}: it panicked: {:?}", payload.downcast_ref::<String>()),
    };
    for part in says {
        assert!(error.contains(part), "{name}: the error\n  {error}\ndoes not say\n  {part}");
    }
    assert!(!error.contains("panicked"), "{name}: {error}");
    assert_eq!(place.left_behind(), [""; 0], "{name} left files behind");
}

/// A checkpoint that is edited before it is written.
fn edited(name: &str, model: &Model, edit: impl FnOnce(&mut Checkpoint), says: &[&str]) {
    let place = Place::new();
    let mut checkpoint = model.build();
    edit(&mut checkpoint);
    checkpoint.write(&place.source());
    refused(name, &place, says);
}

/// A checkpoint whose files are damaged after they were written.
fn damaged(name: &str, model: &Model, damage: impl FnOnce(&Path), says: &[&str]) {
    let place = Place::with(model);
    damage(&place.source());
    refused(name, &place, says);
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

/// Makes a tensor's entry say something else about the same bytes.
fn reshaped(checkpoint: &mut Checkpoint, tensor: &str, dtype: Dtype, shape: &[usize], data: Vec<u8>) {
    *checkpoint.tensor(tensor) = Tensor::new(tensor, dtype, shape, data);
}
