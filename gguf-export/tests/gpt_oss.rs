//! The stacked experts of gpt-oss: MXFP4 by alternate rows, as published, and floats by columns.
#![expect(clippy::unwrap_used, reason = "test helpers; a panic names the line")]
#![allow(clippy::disallowed_methods, reason = "tests read files directly")]

mod common;

use std::path::{Path, PathBuf};

use gguf_export::checkpoint::Checkpoint;
use gguf_export::ggml::{self, GgmlType};
use gguf_export::gguf::Header;
use gguf_export::io::{ByteSource, FileSource};
use gguf_export::plan::OutType;
use gguf_export::verify::{Report, VerifyOptions, verify};
use gguf_export::{Error, ExportOptions, Plan, PlanOptions, export, survey};
use serde_json::json;
use testkit::float::{e2m1, e8m0};
use testkit::rng::Rng;
use testkit::{Dtype, Tensor, family};

use common::{GO, configure};

/// Experts, and the width of the model and of each expert.
const EXPERTS: usize = 3;
const WIDTH: usize = 128;

fn fixture() -> PathBuf {
    family::folder("gpt-oss")
}

/// The fixture with its experts in MXFP4, and the codes and scales of each stack.
struct Published {
    dir: tempfile::TempDir,
    stacks: Vec<Tensor>,
}

impl Published {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut rng = Rng::named(18, "gpt-oss");
        let mut stacks = Vec::new();
        for layer in 0..2 {
            for (name, rows) in [("gate_up_proj", 2 * WIDTH), ("down_proj", WIDTH)] {
                let name = format!("model.layers.{layer}.mlp.experts.{name}");
                let mut bytes = |count: usize, below: usize| -> Vec<u8> {
                    (0..count).map(|_| u8::try_from(rng.below(below)).unwrap()).collect()
                };
                let blocks = bytes(EXPERTS * rows * WIDTH / 2, 256);
                let scales = bytes(EXPERTS * rows * WIDTH / 32, 253);
                let shape = [EXPERTS, rows, WIDTH / 32, 16];
                stacks.push(Tensor::new(format!("{name}_blocks"), Dtype::U8, &shape, blocks));
                stacks.push(Tensor::new(format!("{name}_scales"), Dtype::U8, &shape[..3], scales));
            }
        }
        family::copy("gpt-oss", dir.path());
        let out = Self { dir, stacks };
        out.write(&out.tensors());
        configure(out.dir.path(), |config| {
            config["quantization_config"] = json!({
                "quant_method": "mxfp4",
                "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router"],
            });
            config["rope_parameters"]["truncate"] = json!(false);
        });
        out
    }

    fn tensors(&self) -> Vec<Tensor> {
        let mut all = testkit::safetensors::read(&fixture().join("model.safetensors"));
        let is_stack =
            |name: &str| name.ends_with("experts.gate_up_proj") || name.ends_with("experts.down_proj");
        all.retain(|tensor| !is_stack(&tensor.name));
        all.extend(self.stacks.iter().cloned());
        all
    }

    fn write(&self, tensors: &[Tensor]) {
        testkit::safetensors::write(&self.dir.path().join("model.safetensors"), tensors);
    }

    /// The value at a row and column of an expert in a stack, by the definition of the format: two codes per byte, the
    /// low half first, and a scale for 32 of them.
    fn value(&self, name: &str, rows: usize, expert: usize, row: usize, column: usize) -> f64 {
        let find = |end: &str| self.stacks.iter().find(|t| t.name == format!("{name}{end}")).unwrap();
        let line = expert * rows + row;
        let byte = find("_blocks").data[line * WIDTH / 2 + column / 2];
        let code = if column.is_multiple_of(2) { byte & 15 } else { byte >> 4 };
        e2m1(code) * e8m0(find("_scales").data[line * WIDTH / 32 + column / 32])
    }
}

fn convert(dir: &Path, options: &PlanOptions, out: &Path) -> (Plan, Header) {
    let checkpoint = Checkpoint::open(dir).unwrap();
    let plan = survey(&checkpoint, options, 2, &GO, &|_| {}).unwrap();
    export(&checkpoint, &plan, out, &ExportOptions::default(), &GO, &|_| {}).unwrap();
    (plan, Header::read(out, &FileSource::open(out).unwrap()).unwrap())
}

fn verified(dir: &Path, out: &Path) -> Report {
    let options = VerifyOptions { threads: 2, ..VerifyOptions::default() };
    verify(&Checkpoint::open(dir).unwrap(), out, options, &GO, &|_| {}).unwrap()
}

/// The values of a tensor.
fn values(out: &Path, header: &Header, name: &str, ty: GgmlType) -> Vec<f32> {
    let info = header.tensors.iter().find(|info| info.name == name).unwrap();
    assert_eq!(info.ty, ty, "{name}");
    let mut bytes = vec![0; info.bytes().try_into().unwrap()];
    FileSource::open(out).unwrap().read_at(header.data_offset + info.offset, &mut bytes).unwrap();
    let mut values = vec![0f32; info.elements().try_into().unwrap()];
    ggml::decode_row(info.ty, &bytes, &mut values).unwrap();
    values
}

/// Flips a bit of each tensor whose name contains `part`, and verifies each time.
#[track_caller]
fn every_flip_is_found(dir: &Path, out: &Path, header: &Header, part: &str) {
    let right = std::fs::read(out).unwrap();
    let own: Vec<_> = header.tensors.iter().filter(|tensor| tensor.name.contains(part)).collect();
    assert!(own.len() >= 4, "{part}: {}", own.len());
    for (i, tensor) in own.iter().enumerate() {
        for offset in [0, tensor.bytes() / 3 + i as u64, tensor.bytes() - 1] {
            let mut bytes = right.clone();
            bytes[usize::try_from(header.data_offset + tensor.offset + offset).unwrap()] ^= 1 << (i % 4);
            std::fs::write(out, bytes).unwrap();
            let report = verified(dir, out);
            let place = report.differences.first().map(|difference| difference.place().to_owned());
            assert_eq!(place.as_deref(), Some(tensor.name.as_str()), "byte {offset}");
        }
    }
    std::fs::write(out, right).unwrap();
}

#[test]
fn published_experts_keep_their_codes_and_scales() {
    let published = Published::new();
    let out = published.dir.path().join("out.gguf");
    let (plan, header) = convert(published.dir.path(), &PlanOptions::default(), &out);
    assert!(plan.notes.iter().any(|note| note.contains("`truncate`")), "{:?}", plan.notes);
    let report = verified(published.dir.path(), &out);
    assert!(report.equal() && report.inexact == 0, "{:?}", report.differences);
    for layer in 0..2 {
        let source = |name: &str| format!("model.layers.{layer}.mlp.experts.{name}");
        // A projection, its stack, rows of it in the stack, and its first row and their distance there.
        for (name, stack, rows, first, step) in [
            ("gate", "gate_up_proj", 2 * WIDTH, 0, 2),
            ("up", "gate_up_proj", 2 * WIDTH, 1, 2),
            ("down", "down_proj", WIDTH, 0, 1),
        ] {
            let found =
                values(&out, &header, &format!("blk.{layer}.ffn_{name}_exps.weight"), GgmlType::MXFP4);
            for (i, found) in found.iter().enumerate() {
                let (expert, row, column) = (i / WIDTH / WIDTH, i / WIDTH % WIDTH, i % WIDTH);
                let expected = published.value(&source(stack), rows, expert, first + step * row, column);
                assert_eq!(f64::from(*found).to_bits(), expected.to_bits(), "{name} {expert} {row} {column}");
            }
        }
    }
    every_flip_is_found(published.dir.path(), &out, &header, "_exps.weight");
}

#[test]
fn stacks_of_another_shape_are_refused() {
    let published = Published::new();
    for (name, shape) in [
        ("down_proj_blocks", vec![EXPERTS, WIDTH, 2, 32]),
        ("down_proj_blocks", vec![EXPERTS * WIDTH, WIDTH / 2]),
        ("gate_up_proj_scales", vec![EXPERTS, 2 * WIDTH * WIDTH / 32]),
    ] {
        let mut all = published.tensors();
        let tensor = all.iter_mut().find(|tensor| tensor.name.ends_with(name)).unwrap();
        tensor.shape = shape;
        let full = tensor.name.clone();
        published.write(&all);
        let checkpoint = Checkpoint::open(published.dir.path()).unwrap();
        let error = Plan::draft(&checkpoint, &PlanOptions::default()).unwrap_err();
        assert!(matches!(&error, Error::Tensor { at, .. } if at.tensor == full), "{error}");
    }
}

#[test]
fn stacked_floats_are_transposed_in_each_type_and_every_flipped_bit_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.gguf");
    let f32 = PlanOptions { outtype: OutType::Only(GgmlType::F32), ..PlanOptions::default() };
    let (_, wide) = convert(&fixture(), &f32, &out);
    let name = "blk.1.ffn_gate_exps.weight";
    let exact = values(&out, &wide, name, GgmlType::F32);
    std::fs::remove_file(&out).unwrap();
    let (_, header) = convert(&fixture(), &PlanOptions::default(), &out);
    assert!(values(&out, &header, name, GgmlType::BF16) == exact);
    let report = verified(&fixture(), &out);
    assert!(report.equal() && report.inexact == 0, "{:?}", report.differences);
    every_flip_is_found(&fixture(), &out, &header, "_exps.");
    std::fs::remove_file(&out).unwrap();
    let q8 = PlanOptions { outtype: OutType::Only(GgmlType::Q8_0), ..PlanOptions::default() };
    let (_, header) = convert(&fixture(), &q8, &out);
    let largest = exact.iter().fold(0f32, |most, value| most.max(value.abs()));
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= largest / 100.0;
    assert!(values(&out, &header, name, GgmlType::Q8_0).iter().zip(&exact).all(near));
    let options = VerifyOptions { threads: 2, allow_rounding: true, ..VerifyOptions::default() };
    let report = verify(&Checkpoint::open(&fixture()).unwrap(), &out, options, &GO, &|_| {}).unwrap();
    assert!(report.equal() && report.inexact > 0, "{:?}", report.differences);
}
