//! A tiny model of each family in `tests/data/families`: its BF16 checkpoint becomes what llama.cpp's converter makes of
//! it, and its int4 checkpoint an exact GGUF. Known differences from llama.cpp are listed with their reasons.
#![expect(clippy::unwrap_used, reason = "test helpers; a panic names the line")]
#![allow(clippy::disallowed_methods, reason = "tests read files directly")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gguf_export::arch;
use gguf_export::checkpoint::Checkpoint;
use gguf_export::ggml::{self, GgmlType};
use gguf_export::gguf::{Array, Header, Value};
use gguf_export::io::{self, ByteSource, FileSource};
use gguf_export::plan::OutType;
use gguf_export::verify::{Report, VerifyOptions, verify};
use gguf_export::{ExportOptions, PlanOptions, export, survey};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use common::GO;

/// The families with a checkpoint.
const FAMILIES: &[&str] = &[
    "qwen3_5",
    "qwen3_5-moe",
    "qwen3",
    "qwen3-moe",
    "llama3",
    "mistral3",
    "glm4-moe",
    "minimax-m2",
    "gemma4-moe",
];
/// Tensors whose values differ, by name suffix, with the reason.
const VALUES: &[(&str, &str)] =
    &[(".ssm_a", "exp is not correctly rounded in torch, so the last bit differs")];
/// Keys that llama.cpp's converter does not write, with the reason.
const KEYS: &[(&str, &str)] =
    &[("ggrun.tokenizer.normalizer", "llama.cpp does not normalize text; ggrun does so by this key")];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/data/families").join(name)
}

/// Exports a checkpoint to `out`.
fn convert(checkpoint: &Checkpoint, options: &PlanOptions, out: &Path) -> Header {
    let plan = survey(checkpoint, options, 2, &GO, &|_| {}).unwrap();
    export(checkpoint, &plan, out, &ExportOptions::default(), &GO, &|_| {}).unwrap();
    Header::read(out, &FileSource::open(out).unwrap()).unwrap()
}

/// The values of each tensor.
fn values(path: &Path, header: &Header) -> BTreeMap<String, (Vec<u64>, Vec<f32>)> {
    let source = FileSource::open(path).unwrap();
    let read = |info: &gguf_export::gguf::TensorInfo| {
        let mut bytes = vec![0; info.bytes().try_into().unwrap()];
        source.read_at(header.data_offset + info.offset, &mut bytes).unwrap();
        let mut values = vec![0f32; info.elements().try_into().unwrap()];
        ggml::decode_row(info.ty, &bytes, &mut values).unwrap();
        (info.name.clone(), (info.dims.clone(), values))
    };
    header.tensors.iter().map(read).collect()
}

/// A value in the form of the golden file.
fn golden(key: &str, value: &Value) -> Json {
    fn strings<T: ToString>(list: &[T]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }
    let (kind, array, texts): (&str, Json, Vec<String>) = match value {
        Value::U32(n) => return serde_json::json!(["UINT32", n]),
        Value::I32(n) => return serde_json::json!(["INT32", n]),
        Value::F32(n) => return serde_json::json!(["FLOAT32", f64::from(*n)]),
        Value::Bool(b) => return serde_json::json!(["BOOL", b]),
        Value::Str(s) => return serde_json::json!(["STRING", s]),
        Value::Array(Array::Str(a)) => ("[STRING]", serde_json::json!(a), a.clone()),
        Value::Array(Array::I32(a)) => ("[INT32]", serde_json::json!(a), strings(a)),
        Value::Array(Array::U32(a)) => ("[UINT32]", serde_json::json!(a), strings(a)),
        Value::Array(Array::F32(a)) => {
            // As Python writes them.
            ("[FLOAT32]", serde_json::json!(a), a.iter().map(|n| format!("{:?}", f64::from(*n))).collect())
        }
        Value::Array(Array::Bool(a)) => ("[BOOL]", serde_json::json!(a), strings(a)),
        other => panic!("{other:?} is not among the types of the golden file"),
    };
    if !key.starts_with("tokenizer.") {
        return serde_json::json!([kind, array]);
    }
    let digest = io::hex(&Sha256::digest(texts.join("\n")));
    serde_json::json!([kind, {"count": texts.len(), "sha256": digest}])
}

/// Differences between our F32 export and llama.cpp's.
fn compare(name: &str) -> Vec<String> {
    let theirs: Json =
        serde_json::from_str(&std::fs::read_to_string(folder(name).join("llama.json")).unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.gguf");
    let checkpoint = Checkpoint::open(&folder(name)).unwrap();
    let options = PlanOptions {
        outtype: OutType::Only(GgmlType::F32),
        name: theirs["keys"]["general.name"][1].as_str().map(str::to_owned),
        ..PlanOptions::default()
    };
    let header = convert(&checkpoint, &options, &out);
    let mut differences = Vec::new();
    let keys = theirs["keys"].as_object().unwrap();
    assert!(keys.len() > 20, "{name}");
    for (key, value) in header.metadata.iter() {
        let ours = golden(key, value);
        let is_known = || !keys.contains_key(key) && KEYS.iter().any(|(known, _)| *known == key);
        if keys.get(key) != Some(&ours) && !is_known() {
            differences.push(format!("{name}, {key}: theirs {:?}, ours {ours:.80}", keys.get(key)));
        }
    }
    let missing = keys.keys().filter(|key| header.metadata.get(key).is_none());
    differences.extend(missing.map(|key| format!("{name}, {key}: missing in ours")));
    let mut ours = values(&out, &header);
    let tensors = theirs["tensors"].as_object().unwrap();
    assert!(tensors.len() > 20, "{name}");
    for (tensor, entry) in tensors {
        let Some((dims, values)) = ours.remove(tensor) else {
            differences.push(format!("{name}, {tensor}: missing in ours"));
            continue;
        };
        let mut hash = Sha256::new();
        for value in &values {
            hash.update(value.to_le_bytes());
        }
        let expected: Vec<u64> = serde_json::from_value(entry[1].clone()).unwrap();
        if dims != expected {
            differences.push(format!("{name}, {tensor}: theirs {expected:?}, ours {dims:?}"));
        }
        let is_known = VALUES.iter().any(|(end, _)| tensor.ends_with(end));
        if entry[2] != io::hex(&hash.finalize()) && !is_known {
            differences.push(format!("{name}, {tensor}: the values differ"));
        }
    }
    differences.extend(ours.keys().map(|tensor| format!("{name}, {tensor}: missing in theirs")));
    differences
}

#[test]
fn each_family_is_converted_as_by_llama_cpp() {
    let differences: Vec<String> = FAMILIES.iter().flat_map(|name| compare(name)).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn the_readme_has_the_table_of_families() {
    let readme = folder("../../..").join("README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    assert!(text.contains(&arch::table()), "README.md lacks this table:\n{}", arch::table());
}

fn verified(checkpoint: &Checkpoint, out: &Path) -> Report {
    let options = VerifyOptions { threads: 2, ..VerifyOptions::default() };
    verify(checkpoint, out, options, &GO, &|_| {}).unwrap()
}

#[test]
fn int4_checkpoints_keep_their_integers_and_every_value() {
    for name in FAMILIES {
        let dir = tempfile::tempdir().unwrap();
        let (out, wide) = (dir.path().join("out.gguf"), dir.path().join("f32.gguf"));
        let checkpoint = Checkpoint::open(&folder(&format!("{name}-int4"))).unwrap();
        let header = convert(&checkpoint, &PlanOptions::default(), &out);
        let f32 = PlanOptions { outtype: OutType::Only(GgmlType::F32), ..PlanOptions::default() };
        let f32_header = convert(&checkpoint, &f32, &wide);
        assert!(values(&out, &header) == values(&wide, &f32_header), "{name}");
        let of = |ty| header.tensors.iter().filter(|tensor| tensor.ty == ty).count();
        assert!(of(GgmlType::Q4_0) >= 12, "{name}: {} of Q4_0", of(GgmlType::Q4_0));
        let report = verified(&checkpoint, &out);
        assert!(report.equal() && report.inexact == 0, "{name}: {:?}", report.differences);
    }
}

#[test]
fn a_flipped_bit_in_any_tensor_is_found() {
    for name in FAMILIES {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out.gguf");
        let checkpoint = Checkpoint::open(&folder(&format!("{name}-int4"))).unwrap();
        let header = convert(&checkpoint, &PlanOptions::default(), &out);
        let right = std::fs::read(&out).unwrap();
        for (i, tensor) in header.tensors.iter().enumerate() {
            let mut bytes = right.clone();
            let at = header.data_offset + tensor.offset + (i as u64 * 97) % tensor.bytes();
            bytes[usize::try_from(at).unwrap()] ^= 1 << (i % 8);
            std::fs::write(&out, bytes).unwrap();
            let report = verified(&checkpoint, &out);
            let place = report.differences.first().map(|difference| difference.place().to_owned());
            assert_eq!(place.as_deref(), Some(tensor.name.as_str()), "{name}, byte {at}");
        }
    }
}
