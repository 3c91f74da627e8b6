//! Verification finds every flipped bit that matters: in weights, metadata and tensor descriptors.
//!
//! It deliberately ignores padding between tensors, which readers skip; the sign of the scale of an integer block whose
//! integers are all zero, since integers have no negative zero; the scale of any other block whose values are all zero
//! either way; and keys that the caller may choose.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests damage temporary files and rely on panics"
)]

mod common;

use std::path::Path;

use common::{GO, Place, bytes, story};
use gguf_export::checkpoint::Checkpoint;
use gguf_export::ggml::{self, GgmlType};
use gguf_export::gguf::{Array, Header, Metadata, TensorInfo, Value};
use gguf_export::plan::{OutType, Source};
use gguf_export::verify::{Difference, Report, VerifyOptions, verify};
use gguf_export::{ExportOptions, PlanOptions, Result, export, survey};
use testkit::rng::Rng;
use testkit::{Awq, Encoding, Fp8, Fp8Scale, Gptq, Model, NvFp4};

const EXACT: VerifyOptions = VerifyOptions { threads: 2, zero_points: None, allow_rounding: false };

/// A correct GGUF, to be damaged.
struct Subject {
    place: Place,
    checkpoint: Checkpoint,
    header: Header,
    bytes: Vec<u8>,
}

impl Subject {
    fn new(model: &Model, options: &PlanOptions) -> Self {
        let place = Place::with(model);
        place.export_with(options).unwrap_or_else(|e| panic!("{}", story(&e)));
        let (checkpoint, header) = (place.open(), place.header());
        let bytes = std::fs::read(place.out()).unwrap();
        Self { place, checkpoint, header, bytes }
    }

    fn verify(&self, bytes: &[u8]) -> Result<Report> {
        self.verify_with(bytes, EXACT)
    }

    fn verify_with(&self, bytes: &[u8], options: VerifyOptions) -> Result<Report> {
        let path = self.place.path().join("damaged.gguf");
        std::fs::write(&path, bytes).unwrap();
        verify(&self.checkpoint, &path, options, &GO, &|_| {})
    }

    fn start(&self, tensor: &TensorInfo) -> usize {
        usize::try_from(self.header.data_offset + tensor.offset).unwrap()
    }

    fn tensor(&self, name: &str) -> &TensorInfo {
        self.header.tensor(name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Flips one bit of a tensor's data. Returns the first difference that the verification must report, if any.
    fn flip(&self, bytes: &mut [u8], tensor: &TensorInfo, byte: usize, bit: u8) -> Expected {
        let row_bytes = usize::try_from(tensor.ty.row_bytes(tensor.dims[0]).unwrap()).unwrap();
        let row = byte / row_bytes;
        let at = self.start(tensor) + row * row_bytes;
        let decode = |bytes: &[u8]| {
            let mut out = vec![0f32; usize::try_from(tensor.dims[0]).unwrap()];
            ggml::decode_row(tensor.ty, &bytes[at..at + row_bytes], &mut out).unwrap();
            out
        };
        let before = decode(bytes);
        bytes[self.start(tensor) + byte] ^= 1 << bit;
        let after = decode(bytes);
        let integers = !matches!(
            tensor.ty,
            GgmlType::F32 | GgmlType::F16 | GgmlType::BF16 | GgmlType::MXFP4 | GgmlType::NVFP4
        );
        let zeros = |a: f32, b: f32| a.abs().to_bits() == 0 && b.abs().to_bits() == 0;
        let differs = |(a, b): (&f32, &f32)| a.to_bits() != b.to_bits() && !(integers && zeros(*a, *b));
        if let Some(column) = before.iter().zip(&after).position(differs) {
            return Expected::Value { row: row as u64, column: column as u64 };
        }
        // Only a scale can change without changing a value, and the sign of a simple block only if all values are zero.
        let block = usize::try_from(tensor.ty.block_bytes()).unwrap();
        let within = byte % row_bytes % block;
        let simple = matches!(tensor.ty, GgmlType::Q2_0 | GgmlType::Q4_0 | GgmlType::Q5_0 | GgmlType::Q8_0);
        assert!(!simple || within < 2, "{}: byte {byte} has no meaning", tensor.name);
        if simple && (within, bit) != (1, 7) {
            return Expected::Value {
                row: row as u64,
                column: (byte % row_bytes / block) as u64 * tensor.ty.block_len(),
            };
        }
        Expected::Nothing
    }

    /// Flips a bit, verifies, and flips it back.
    fn check(&self, name: &str, bytes: &mut [u8], tensor: &TensorInfo, byte: usize, bit: u8) -> bool {
        let expected = self.flip(bytes, tensor, byte, bit);
        let report = self.verify(bytes).unwrap();
        bytes[self.start(tensor) + byte] ^= 1 << bit;
        let at = || format!("{name}: bit {bit} of byte {byte} of `{}`, a {}", tensor.name, tensor.ty);
        match expected {
            Expected::Nothing => {
                assert!(report.equal(), "{}: {:?} though no value changed", at(), report.differences);
                false
            }
            Expected::Value { row, column } => {
                let first = report.differences.first().unwrap_or_else(|| panic!("{}: not found", at()));
                assert!(
                    report.differences.iter().all(|d| d.place() == tensor.name),
                    "{}: {:?}",
                    at(),
                    report.differences
                );
                let found = match first {
                    Difference::Value { row, column, .. } | Difference::Scale { row, column, .. } => {
                        (*row, *column)
                    }
                    other => panic!("{}: {other}", at()),
                };
                assert_eq!(found, (row, column), "{}: {first}", at());
                assert!(first.to_string().contains(&format!("row {row}, column {column}:")), "{first}");
                true
            }
        }
    }
}

#[derive(Debug)]
enum Expected {
    /// A difference at this position first.
    Value {
        row: u64,
        column: u64,
    },
    Nothing,
}

fn bit(random: &mut Rng) -> u8 {
    random.bits().to_le_bytes()[0] & 7
}

/// A small model, since each flip takes a whole verification.
fn small(encoding: Encoding) -> Model {
    Model { vocab: 288, expert_count: 2, heads: 2, key_heads: 1, value_heads: 2, ..Model::uniform(encoding) }
}

fn wide(encoding: Encoding) -> Model {
    Model { hidden: 256, expert_dim: 256, shared_expert_dim: 256, head_dim: 128, ..small(encoding) }
}

/// Flips bits in every tensor, and in every byte of a block of each type.
fn flips(name: &str, model: &Model) {
    let subject = Subject::new(model, &PlanOptions::default());
    let mut bytes = subject.bytes.clone();
    assert!(subject.verify(&bytes).unwrap().equal(), "{name}");
    let mut random = Rng::named(0, name);
    let (mut found, mut types) = (0, Vec::new());
    for tensor in &subject.header.tensors {
        let len = usize::try_from(tensor.bytes()).unwrap();
        let byte = [0, len - 1, random.below(len)][random.below(3)];
        found += usize::from(subject.check(name, &mut bytes, tensor, byte, bit(&mut random)));
        if !types.contains(&tensor.ty) {
            types.push(tensor.ty);
            let block = usize::try_from(tensor.ty.block_bytes()).unwrap();
            let start = random.below(len / block) * block;
            // Of a K block, both ends, which hold scales and high bits, and some bytes in between.
            for byte in (0..block).filter(|b| block < 64 || *b < 20 || *b >= block - 20 || b % 16 == 0) {
                found += usize::from(subject.check(name, &mut bytes, tensor, start + byte, bit(&mut random)));
            }
        }
    }
    assert!(bytes == subject.bytes && found > subject.header.tensors.len(), "{name}: {found} found");
}

#[test]
fn flips_in_symmetric_integers_are_found() {
    flips("int4", &small(Encoding::Gptq(Gptq::sym(4, 64))));
    flips("int8", &small(Encoding::Gptq(Gptq::sym(8, 64))));
    flips("int2", &small(Encoding::Gptq(Gptq::sym(2, 64))));
}

#[test]
fn flips_in_asymmetric_integers_are_found() {
    flips("int4 asymmetric", &small(Encoding::Gptq(Gptq::asym(4, 32))));
    flips("awq", &small(Encoding::Awq(Awq::asym(4, 64))));
}

#[test]
fn flips_in_k_blocks_are_found() {
    for (bits, sym) in [(2, false), (3, true), (4, false), (5, false), (6, true)] {
        let gptq = if sym { Gptq::sym(bits, 256) } else { Gptq::asym(bits, 256) };
        flips(&format!("{bits} bits in K blocks"), &wide(Encoding::Gptq(gptq)));
    }
}

#[test]
fn flips_in_small_floats_are_found() {
    flips("mxfp4", &small(Encoding::MxFp4));
    flips("mxint4", &small(Encoding::MxInt4));
    let nv = Encoding::NvFp4(NvFp4 { modelopt: true, power_of_two: false });
    flips("nvfp4", &Model { linears: Encoding::Bf16, ..small(nv) });
    flips("fp8 per tensor", &small(Encoding::Fp8(Fp8::scaled(Fp8Scale::Tensor))));
    flips("fp8 blocks", &small(Encoding::Fp8(Fp8::block())));
    flips("bf16", &small(Encoding::Bf16));
}

#[test]
fn a_scale_is_compared_even_if_all_values_are_zero() {
    let place = Place::new();
    let mut zero = small(Encoding::Gptq(Gptq::sym(4, 64))).build();
    zero.tensor("model.layers.0.mlp.experts.0.up_proj.qweight").data.fill(0x88);
    zero.write(&place.source());
    place.export().unwrap();
    let (checkpoint, header) = (place.open(), place.header());
    let bytes = std::fs::read(place.out()).unwrap();
    let subject = Subject { place, checkpoint, header, bytes };
    let tensor = subject.tensor("blk.0.ffn_up_exps.weight");
    let start = subject.start(tensor);
    for (byte, bit, found) in
        [(0, 0, true), (1, 6, true), (1, 2, true), (18, 7, true), (1, 7, false), (2, 0, true), (17, 7, true)]
    {
        let mut bytes = subject.bytes.clone();
        bytes[start + byte] ^= 1 << bit;
        let report = subject.verify(&bytes).unwrap();
        assert_eq!(!report.equal(), found, "byte {byte} bit {bit}: {:?}", report.differences);
    }
}

#[test]
fn padding_is_not_compared() {
    let subject = Subject::new(&small(Encoding::Gptq(Gptq::sym(4, 64))), &PlanOptions::default());
    let mut bytes = subject.bytes.clone();
    let mut spans: Vec<(usize, usize)> = subject
        .header
        .tensors
        .iter()
        .map(|t| {
            let start = subject.start(t);
            (start, start + usize::try_from(t.bytes()).unwrap())
        })
        .collect();
    spans.sort_unstable();
    let mut gaps = 0;
    for pair in spans.windows(2).filter(|p| p[0].1 < p[1].0) {
        bytes[pair[0].1..pair[1].0].fill(0xFF);
        gaps += 1;
    }
    assert!(gaps > 0, "no tensor of this model is padded");
    assert!(subject.verify(&bytes).unwrap().equal());
    bytes.extend_from_slice(b"more");
    assert!(subject.verify(&bytes).unwrap().equal());
}

#[test]
fn flips_in_the_header_are_found_or_errors() {
    let subject = Subject::new(&small(Encoding::Gptq(Gptq::sym(4, 64))), &PlanOptions::default());
    let name = subject.header.metadata.str("general.name").unwrap().as_bytes().to_vec();
    let free = subject.bytes.windows(name.len()).position(|w| w == name).unwrap();
    let free = free..free + name.len();
    // The tensor descriptors, then a sample of the rest, most of which is the vocabulary.
    let end = usize::try_from(subject.header.data_offset).unwrap();
    let last = subject.header.tensors.last().unwrap().name.as_bytes();
    let infos = subject.bytes[..end].windows(last.len()).rposition(|w| w == last).unwrap()
        + last.len()
        + 4
        + 8
        + 4
        + 8;
    let mut random = Rng::named(0, "header");
    let mut bytes = subject.bytes.clone();
    let mut places: Vec<usize> = (0..64).chain((0..300).map(|_| random.below(infos))).collect();
    places.extend((0..150).map(|_| infos - 1 - random.below(3000)));
    for byte in places {
        let bit = bit(&mut random);
        bytes[byte] ^= 1 << bit;
        let result = subject.verify(&bytes);
        bytes[byte] ^= 1 << bit;
        // Versions 2 and 3 have the same layout.
        let same = free.contains(&byte) || (byte, bit) == (4, 0);
        match result {
            Ok(report) => {
                assert_eq!(report.equal(), same, "bit {bit} of byte {byte}: {:?}", report.differences);
            }
            Err(e) => assert!(!same || free.contains(&byte), "bit {bit} of byte {byte}: {e}"),
        }
    }
}

/// Name, dimensions, type and bytes of a tensor.
type Stored = (String, Vec<u64>, GgmlType, Vec<u8>);

/// Writes a GGUF again with another header and other tensors.
fn rewritten(metadata: Metadata, tensors: &[Stored]) -> Vec<u8> {
    let list = tensors.iter().map(|(name, dims, ty, _)| (name.clone(), dims.clone(), *ty)).collect();
    let header = Header::layout(metadata, list).unwrap();
    let mut bytes = header.encode();
    bytes.resize(usize::try_from(header.file_len()).unwrap(), 0);
    for (info, (.., data)) in header.tensors.iter().zip(tensors) {
        let start = usize::try_from(header.data_offset + info.offset).unwrap();
        bytes[start..start + data.len()].copy_from_slice(data);
    }
    bytes
}

fn tensors(subject: &Subject) -> Vec<Stored> {
    let data =
        |t: &TensorInfo| subject.bytes[subject.start(t)..][..usize::try_from(t.bytes()).unwrap()].to_vec();
    subject.header.tensors.iter().map(|t| (t.name.clone(), t.dims.clone(), t.ty, data(t))).collect()
}

#[test]
fn tensors_that_are_missing_superfluous_or_reshaped_are_differences() {
    let nv = Encoding::NvFp4(NvFp4 { modelopt: true, power_of_two: true });
    let subject = Subject::new(&Model { linears: Encoding::Bf16, ..small(nv) }, &PlanOptions::default());
    let meta = || subject.header.metadata.clone();
    let whole = tensors(&subject);
    assert!(subject.verify(&rewritten(meta(), &whole)).unwrap().equal());
    let mut backwards = whole.clone();
    backwards.reverse();
    assert!(
        subject.verify(&rewritten(meta(), &backwards)).unwrap().equal(),
        "the order of tensors does not matter"
    );
    let named = |name: &str, what: &str, list: Vec<Stored>| {
        let report = subject.verify(&rewritten(meta(), &list)).unwrap();
        let found = report.differences.iter().any(|d| d.place() == name && d.to_string().contains(what));
        assert!(found, "`{name}` {what}: {:?}", report.differences);
    };
    for i in 0..whole.len() {
        let mut list = whole.clone();
        let (name, ..) = list.remove(i);
        let report = subject.verify(&rewritten(meta(), &list)).unwrap();
        // Without its factors a tensor has other values.
        let place = name.strip_suffix(".scale").map_or(name.clone(), |n| format!("{n}.weight"));
        assert!(
            report.differences.iter().any(|d| d.place() == place),
            "without {name}: {:?}",
            report.differences
        );
    }
    let at = |name: &str| whole.iter().position(|t| t.0 == name).unwrap();
    let mut list = whole.clone();
    list.push(("blk.0.attn_norm.bias".to_owned(), vec![1], GgmlType::F32, vec![0; 4]));
    named("blk.0.attn_norm.bias", "it is not in the checkpoint", list);
    let mut list = whole.clone();
    list.push(("blk.1.attn_q.scale".to_owned(), vec![1], GgmlType::F32, 1f32.to_le_bytes().to_vec()));
    named("blk.1.attn_q.scale", "it is not in the checkpoint", list);
    let mut list = whole.clone();
    list[at("token_embd.weight")].1 = vec![288, 128];
    named("token_embd.weight", "its dimensions are [288, 128], expected [128, 288]", list);
    let mut list = whole.clone();
    list[at("output_norm.weight")].1 = vec![128, 1];
    named("output_norm.weight", "its dimensions are", list);
    // The same bytes with another type of equal width, then a wider type with equal values.
    let mut list = whole.clone();
    list[at("token_embd.weight")].2 = GgmlType::F16;
    named("token_embd.weight", "row 0, column 0", list);
    let mut list = whole.clone();
    let embedding = &mut list[at("token_embd.weight")];
    embedding.2 = GgmlType::F32;
    embedding.3 = embedding.3.chunks_exact(2).flat_map(|b| [0, 0, b[0], b[1]]).collect();
    let report = subject.verify(&rewritten(meta(), &list)).unwrap();
    assert_eq!(report.count, 0, "a wider type holds the same values: {:?}", report.differences);
    let embedding = &mut list[at("token_embd.weight")];
    embedding.2 = GgmlType::IQ4_NL;
    embedding.3 = vec![0; 288 * 4 * 18];
    let error = subject.verify(&rewritten(meta(), &list)).unwrap_err();
    assert!(
        error.to_string().contains("IQ4_NL") && error.to_string().contains("token_embd.weight"),
        "{error}"
    );
    // Factors of another type or number.
    for (ty, bytes) in [(GgmlType::F16, 4), (GgmlType::I8, 2)] {
        let mut list = whole.clone();
        let scale = &mut list[at("blk.0.ffn_up_exps.scale")];
        (scale.2, scale.3) = (ty, vec![0; bytes]);
        named("blk.0.ffn_up_exps.scale", "expected F32", list);
    }
    let mut list = whole.clone();
    let scale = &mut list[at("blk.0.ffn_up_exps.scale")];
    (scale.1, scale.3) = (vec![1], vec![0; 4]);
    named("blk.0.ffn_up_exps.scale", "its dimensions are [1], expected [2]", list);
    let mut list = whole.clone();
    list[at("blk.0.ffn_up_exps.scale")].3[4] ^= 1;
    named("blk.0.ffn_up_exps.scale", "row 0, column 1", list);
    // Two tensors of equal shape swapped.
    let (a, b) = (at("blk.0.ffn_up_exps.weight"), at("blk.0.ffn_gate_exps.weight"));
    let mut list = whole.clone();
    let data = std::mem::take(&mut list[a].3);
    let data = std::mem::replace(&mut list[b].3, data);
    list[a].3 = data;
    named("blk.0.ffn_gate_exps.weight", "row 0", list);
}

#[test]
fn every_key_is_compared() {
    let subject = Subject::new(&small(Encoding::Gptq(Gptq::sym(4, 64))), &PlanOptions::default());
    let whole = tensors(&subject);
    let report = |metadata| subject.verify(&rewritten(metadata, &whole)).unwrap();
    let keys: Vec<(String, Value)> =
        subject.header.metadata.iter().map(|(k, v)| (k.to_owned(), v.clone())).collect();
    for (i, (key, value)) in keys.iter().enumerate() {
        let free = key == "general.name";
        let without = |value: Option<Value>| {
            let mut metadata = Metadata::new();
            for (j, (k, v)) in keys.iter().enumerate() {
                match (&value, i == j) {
                    (_, false) => metadata.push(k.clone(), v.clone()),
                    (Some(other), true) => metadata.push(k.clone(), other.clone()),
                    (None, true) => {}
                }
            }
            metadata
        };
        let other = match value {
            Value::Str(text) => Value::Str(format!("{text}!")),
            Value::U32(n) => Value::U32(n + 1),
            Value::F32(x) => Value::F32(x.next_up()),
            Value::Bool(b) => Value::Bool(!b),
            Value::Array(Array::Str(list)) => {
                let mut list = list.clone();
                list.last_mut().unwrap().push('!');
                Value::Array(Array::Str(list))
            }
            Value::Array(Array::I32(list)) => {
                let mut list = list.clone();
                list[0] += 1;
                Value::Array(Array::I32(list))
            }
            Value::Array(Array::Bool(list)) => Value::Array(Array::Bool(list.iter().map(|b| !b).collect())),
            other => Value::Str(format!("{other:?}")),
        };
        let retyped = match value {
            Value::U32(n) => Value::U64(u64::from(*n)),
            _ => Value::U8(1),
        };
        for changed in [None, Some(other), Some(retyped)] {
            let report = report(without(changed.clone()));
            let found =
                report.differences.iter().any(|d| matches!(d, Difference::Key { .. }) && d.place() == key);
            assert_eq!(found, !free, "{key} as {changed:?}: {:?}", report.differences);
        }
    }
    let mut metadata = subject.header.metadata.clone();
    metadata.push("general.names", "superfluous");
    assert_eq!(report(metadata).differences.first().map(Difference::place), Some("general.names"));
}

#[test]
fn rounded_files_are_accepted_only_on_request() {
    let options = PlanOptions { outtype: OutType::Only(GgmlType::F16), ..PlanOptions::default() };
    let model = small(Encoding::Gptq(Gptq::sym(4, 64)));
    let subject = Subject::new(&model, &options);
    let rounded = subject.header.metadata.strings("ggrun.rounded_tensors").unwrap().to_vec();
    assert!(!rounded.is_empty());
    let strict = subject.verify(&subject.bytes).unwrap();
    // One difference for each tensor with values that are not exact, instead of one for each value.
    assert!(!strict.equal() && strict.count == strict.not_accepted, "{strict:?}");
    assert!(strict.count <= rounded.len() as u64 && strict.inexact > strict.count, "{strict:?}");
    let is_rounded = |d: &Difference| matches!(d, Difference::Rounded { tensor, ty: GgmlType::F16, .. } if rounded.contains(tensor));
    assert!(strict.differences.iter().all(is_rounded), "{:?}", strict.differences);
    let lenient = VerifyOptions { allow_rounding: true, ..EXACT };
    let report = subject.verify_with(&subject.bytes, lenient).unwrap();
    assert!(report.equal() && report.rounded == rounded.len() && report.not_accepted == 0, "{report:?}");
    // Errors beyond rounding, in a tensor that is declared rounded and in one that is not.
    for (name, bit) in [(rounded[0].as_str(), 6), ("output_norm.weight", 0)] {
        let tensor = subject.tensor(name);
        let mut bytes = subject.bytes.clone();
        bytes[subject.start(tensor) + 1] ^= 1 << bit;
        for options in [lenient, EXACT] {
            let report = subject.verify_with(&bytes, options).unwrap();
            let is_value = |d: &Difference| matches!(d, Difference::Value { .. }) && d.place() == name;
            assert!(report.differences.first().is_some_and(is_value), "{:?}", report.differences);
        }
    }
    // An exact file is compared exactly even if rounding is allowed.
    let exact = Subject::new(&model, &PlanOptions::default());
    let tensor = exact.tensor("blk.0.ffn_up_exps.weight");
    let mut bytes = exact.bytes.clone();
    bytes[exact.start(tensor)] ^= 1;
    assert!(!exact.verify_with(&bytes, lenient).unwrap().equal());
}

#[test]
fn the_largest_value_of_a_row_does_not_excuse_errors_in_other_blocks() {
    let mut written = small(Encoding::Bf16).build();
    let thousand = 0x447Au16.to_le_bytes();
    written.tensor("model.layers.0.mlp.experts.0.up_proj.weight").data[..2].copy_from_slice(&thousand);
    let place = Place::new();
    written.write(&place.source());
    let options = PlanOptions { outtype: OutType::Only(GgmlType::Q8_0), ..PlanOptions::default() };
    place.export_with(&options).unwrap();
    let lenient = VerifyOptions { allow_rounding: true, ..EXACT };
    assert!(place.verify_with(lenient).unwrap().equal());
    let header = place.header();
    let tensor = header.tensor("blk.0.ffn_up_exps.weight").unwrap();
    // The first code of the second block.
    let byte = usize::try_from(header.data_offset + tensor.offset).unwrap() + 34 + 2;
    let mut bytes = std::fs::read(place.out()).unwrap();
    bytes[byte] ^= 1 << 5;
    std::fs::write(place.out(), bytes).unwrap();
    let report = place.verify_with(lenient).unwrap();
    let is_found = |d: &Difference| matches!(d, Difference::Value { row: 0, column: 32, .. });
    assert!(report.differences.iter().any(is_found), "{report:?}");
}

#[test]
fn another_checkpoint_differs_and_a_truncated_file_is_refused() {
    let subject = Subject::new(&small(Encoding::Gptq(Gptq::sym(4, 64))), &PlanOptions::default());
    let other = Place::with(&Model { seed: 1, ..small(Encoding::Gptq(Gptq::sym(4, 64))) });
    let report = verify(&other.open(), &subject.place.out(), EXACT, &GO, &|_| {}).unwrap();
    assert!(report.count > 100_000 && report.differences.len() == 10, "{}", report.count);
    let stop = std::sync::atomic::AtomicBool::new(true);
    let stopped = verify(&subject.checkpoint, &subject.place.out(), EXACT, &stop, &|_| {});
    assert!(matches!(stopped, Err(gguf_export::Error::Stopped)));
    // A truncated file is refused before any weight is read.
    for len in [0, 3, 100, subject.bytes.len() / 2, subject.bytes.len() - 4096] {
        assert!(subject.verify(&subject.bytes[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn a_file_contains_its_repository_and_verifies_against_a_copied_folder() {
    const URL: &str = "general.source.url";
    let place = Place::new();
    let commit = |name: &str| place.path().join("models--Org--Tiny-Next-int4-AutoRound/snapshots").join(name);
    let model = Model::uniform(Encoding::Gptq(Gptq::sym(4, 128)));
    for folder in [commit("0123abcd"), commit("4567ffff"), place.source()] {
        model.write(&folder);
    }
    let write = |folder: &Path, options: &PlanOptions| {
        let checkpoint = Checkpoint::open(folder).unwrap();
        let plan = survey(&checkpoint, options, 2, &GO, &|_| {}).unwrap();
        let options = ExportOptions { overwrite: true, ..ExportOptions::default() };
        export(&checkpoint, &plan, &place.out(), &options, &GO, &|_| {}).unwrap();
    };
    let differing = |folder: &Path| -> Vec<String> {
        let report = verify(&Checkpoint::open(folder).unwrap(), &place.out(), EXACT, &GO, &|_| {}).unwrap();
        report.differences.iter().map(|difference| difference.place().to_owned()).collect()
    };
    let none: [&str; 0] = [];
    write(&commit("0123abcd"), &PlanOptions::default());
    let url = "https://huggingface.co/Org/Tiny-Next-int4-AutoRound/tree/0123abcd";
    assert_eq!(place.header().metadata.str(URL), Some(url));
    assert_eq!(differing(&commit("0123abcd")), none);
    assert_eq!(differing(&place.source()), none);
    // A contradicting commit is a difference.
    assert_eq!(differing(&commit("4567ffff")), [URL]);
    // An export of the copy with the repository as an option gives the same file.
    let first = bytes(&place.out());
    let source =
        Source { repository: "Org/Tiny-Next-int4-AutoRound".to_owned(), commit: Some("0123abcd".to_owned()) };
    write(&place.source(), &PlanOptions { source: Some(source), ..PlanOptions::default() });
    assert!(bytes(&place.out()) == first);
    // Without the option the file does not contain a repository.
    write(&place.source(), &PlanOptions::default());
    assert_eq!(place.header().metadata.str(URL), None);
    assert_eq!(differing(&place.source()), none);
}
