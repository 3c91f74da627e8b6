//! Compares an export with the output of llama.cpp's converter for the same model: tensor names, dimensions, types,
//! metadata, and values by hash. Known differences are listed with their reasons.
#![expect(clippy::unwrap_used, reason = "test helpers; a panic names the line")]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use gguf_export::checkpoint::Checkpoint;
use gguf_export::ggml::{self, GgmlType};
use gguf_export::gguf::Header;
use gguf_export::io::{self, ByteSource, FileSource};
use gguf_export::plan::OutType;
use gguf_export::{ExportOptions, PlanOptions, export, survey};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use common::{data, json};

/// Keys that llama.cpp's converter does not write, with the reason.
const KEYS: &[(&str, &str)] =
    &[("ggrun.tokenizer.normalizer", "llama.cpp does not normalize text; ggrun does so by this key")];

fn compare(checkpoint: &str, golden: &str, key: &str, ty: GgmlType) {
    let golden = json(&data("../golden").join(golden));
    let golden = &golden[key];
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.gguf");
    let checkpoint = Checkpoint::open(&data(checkpoint)).unwrap();
    let options = PlanOptions { outtype: OutType::Only(ty), ..PlanOptions::default() };
    let go = AtomicBool::new(false);
    let plan = survey(&checkpoint, &options, 2, &go, &|_| {}).unwrap();
    export(&checkpoint, &plan, &out, &ExportOptions::default(), &go, &|_| {}).unwrap();
    let source = FileSource::open(&out).unwrap();
    let header = Header::read(&out, &source).unwrap();

    let mut differences = Vec::new();
    let theirs: BTreeMap<&str, (&str, &Json)> = golden["metadata"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e[0].as_str().unwrap(), (e[1].as_str().unwrap(), &e[2])))
        .collect();
    let ours: BTreeMap<&str, (&str, Json)> =
        header.metadata.iter().map(|(k, v)| (k, common::golden(v))).collect();
    for key in theirs.keys().chain(ours.keys()) {
        let (theirs, ours) = (theirs.get(key), ours.get(key));
        let same = matches!((theirs, ours), (Some(t), Some(o)) if t.0 == o.0 && *t.1 == o.1);
        let known = theirs.is_none() && KEYS.iter().any(|(k, _)| k == key);
        if !same && !known && !differences.iter().any(|d: &String| d.starts_with(key)) {
            differences.push(format!("{key}: theirs {theirs:.120?}, ours {ours:.120?}"));
        }
    }

    let theirs = golden["tensors"].as_array().unwrap();
    assert!(theirs.len() > 50);
    let mut names: Vec<&str> = header.tensors.iter().map(|t| t.name.as_str()).collect();
    for t in theirs {
        let name = t["name"].as_str().unwrap();
        let Some(info) = header.tensor(name) else {
            differences.push(format!("{name}: missing in ours"));
            continue;
        };
        names.retain(|n| *n != name);
        let dims: Vec<u64> = t["ne"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
        if info.dims != dims || info.ty.name() != t["type"].as_str().unwrap() {
            differences.push(format!(
                "{name}: theirs {dims:?} {}, ours {:?} {}",
                t["type"],
                info.dims,
                info.ty.name()
            ));
        }
        let mut bytes = vec![0; info.bytes().try_into().unwrap()];
        source.read_at(header.data_offset + info.offset, &mut bytes).unwrap();
        let mut values = vec![0f32; info.elements().try_into().unwrap()];
        ggml::decode_row(info.ty, &bytes, &mut values).unwrap();
        let mut hash = Sha256::new();
        for value in &values {
            hash.update(value.to_le_bytes());
        }
        let hash = io::hex(&hash.finalize());
        if t["sha256"] != Json::String(hash) {
            differences.push(format!("{name}: the values differ"));
        }
    }
    differences.extend(names.iter().map(|n| format!("{n}: missing in theirs")));
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn a_plain_checkpoint_is_converted_as_by_llama_cpp() {
    compare("matrix/source-bf16", "source-bf16.json", "bf16", GgmlType::BF16);
    compare("matrix/source-bf16", "source-bf16.json", "f32", GgmlType::F32);
}

#[test]
fn the_bundled_model_with_its_mtp_layer_is_converted_as_by_llama_cpp() {
    compare("tiny-thinker", "tiny-thinker-f32.json", "f32", GgmlType::F32);
}
