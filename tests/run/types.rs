//! Every type and every tensor that is let through is computed; all others are refused by name before llama.cpp sees them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gguf_export::ggml::GgmlType;
use gguf_export::gguf::{self, Value};

use crate::deadline::output;
use crate::dense::zeros;
use crate::support::tiny_gguf;

fn run(path: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ggrun"));
    command.args(["run", "-p", "Hi", "-n", "2", "-c", "64", "-t", "1", "--temp", "0", "--no-config"]);
    command.args(more).arg("-m").arg(path).stdin(Stdio::null());
    let Output { status, stderr, .. } = output(&mut command);
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

fn write(folder: &tempfile::TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("model.gguf");
    fs::write(&path, bytes).unwrap();
    path
}

#[track_caller]
fn refused(path: &Path, reason: &str) {
    let error = ggrun::model::check(path).unwrap_err().to_string();
    assert!(error.contains(reason), "{reason}: {error}");
}

#[test]
fn matrices_of_every_weight_type_are_computed_and_other_types_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut computed, mut not) = (0, 0);
    for ty in GgmlType::all() {
        let path =
            write(&folder, &zeros(&[], &|name| if name.contains("norm") { GgmlType::F32 } else { ty }));
        if ggrun::model::check(&path).is_ok() {
            let (code, said) = run(&path, &[]);
            assert_eq!(code, Some(0), "{ty}: {said}");
            computed += 1;
        } else {
            refused(&path, &format!("tensor `token_embd.weight` has type {ty}, expected a weight type"));
            not += 1;
        }
    }
    assert_eq!((computed, not), (28, 7));
}

/// Vectors that a dense model may have besides its norms.
const MORE: [(&str, u64); 5] = [
    ("blk.0.attn_q.bias", 256),
    ("blk.0.attn_q.scale", 1),
    ("blk.1.ffn_down.input_scale", 1),
    ("blk.0.attn_output.bias", 256),
    ("rope_freqs.weight", 32),
];

#[test]
fn vectors_of_another_type_than_f32_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    // Frequencies of zero would make values that are not numbers.
    let path = write(&folder, &zeros(&MORE[..4], &|_| GgmlType::F32));
    let (code, said) = run(&path, &[]);
    assert_eq!(code, Some(0), "{said}");
    let norms = ["output_norm.weight", "blk.0.attn_norm.weight", "blk.1.ffn_norm.weight"];
    for name in MORE.iter().map(|(name, _)| *name).chain(norms) {
        for ty in [GgmlType::F16, GgmlType::BF16, GgmlType::I32, GgmlType::F64] {
            let path = write(&folder, &zeros(&MORE, &|other| if other == name { ty } else { GgmlType::F32 }));
            refused(&path, &format!("tensor `{name}` has type {ty}, expected F32"));
        }
    }
    let path = write(
        &folder,
        &zeros(&[], &|name| match name {
            "blk.0.attn_norm.weight" => GgmlType::Q4_0,
            _ => GgmlType::F32,
        }),
    );
    let (code, said) = run(&path, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("`blk.0.attn_norm.weight` has type Q4_0, expected F32"), "{said}");
}

#[test]
fn scales_of_the_bundled_architecture_are_checked_too() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = fs::read(tiny_gguf()).unwrap();
    let header = gguf::open_all(&tiny_gguf()).unwrap().remove(0).1;
    let with = |name: &str, ty: GgmlType, count: u64| {
        let mut header = header.clone();
        let offset = header.file_len() - header.data_offset;
        header.tensors.push(gguf::TensorInfo { name: name.to_owned(), dims: vec![count], ty, offset });
        let mut changed = header.encode();
        changed.extend(&bytes[usize::try_from(header.data_offset).unwrap()..]);
        changed.resize(changed.len() + 4096, 0);
        write(&folder, &changed)
    };
    let experts = "blk.1.ffn_down_exps.scale";
    for (name, count) in [("blk.3.attn_q.scale", 1), (experts, 16), ("blk.3.attn_q.input_scale", 1)] {
        let checked = ggrun::model::check(&with(name, GgmlType::F32, count));
        assert!(checked.is_ok(), "{name}: {:?}", checked.err());
    }
    refused(&with("blk.3.attn_q.scale", GgmlType::F16, 1), "`blk.3.attn_q.scale` has type F16, expected F32");
    refused(
        &with("blk.0.ssm_out.scale", GgmlType::F32, 1),
        "llama.cpp does not multiply by `blk.0.ssm_out.scale`",
    );
    refused(&with("blk.3.attn_q.input_scale", GgmlType::I32, 1), "has type I32, expected F32");
    // Only where the head is NVFP4.
    refused(&with("output.input_scale", GgmlType::F32, 1), "unexpected tensor `output.input_scale`");
    refused(&with(experts, GgmlType::F32, 1), "`blk.1.ffn_down_exps.scale` has shape [1], expected [16]");
    refused(&with("blk.0.nothing.scale", GgmlType::F32, 1), "unexpected tensor `blk.0.nothing.scale`");
}

#[test]
fn what_is_not_known_is_refused_by_name_and_loaded_only_unchecked() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, &zeros(&[("blk.0.attn_magic.weight", 8)], &|_| GgmlType::F32));
    let (code, said) = run(&path, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("unexpected tensor `blk.0.attn_magic.weight` in a model of 2 layers"), "{said}");
    let (code, said) = run(&path, &["--unchecked"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("llama.cpp cannot load") && said.contains("wrong number of tensors"), "{said}");

    let mut bytes = zeros(&[], &|_| GgmlType::F32);
    let header = gguf::Header::read(Path::new("m"), &bytes).unwrap();
    let mut other = header.clone();
    let metadata: Vec<_> =
        header.metadata.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
    for (key, value) in metadata {
        if let Some(rest) = key.strip_prefix("llama.") {
            other.metadata.set(&format!("llama-embed.{rest}"), value);
        }
    }
    other.metadata.set("general.architecture", Value::Str("llama-embed".to_owned()));
    bytes.drain(..usize::try_from(header.data_offset).unwrap());
    let path = write(&folder, &[other.encode(), bytes].concat());
    let (code, said) = run(&path, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("architecture `llama-embed` is not checked") && said.contains("--unchecked"),
        "{said}"
    );
    let (code, said) = run(&path, &["--unchecked"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn an_abort_of_the_engine_is_one_message_and_no_debugger() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = |name: &str| if name.contains("norm") { GgmlType::F16 } else { GgmlType::F32 };
    let path = write(&folder, &zeros(&[], &wrong));
    let (code, said) = run(&path, &["--unchecked", "-q"]);
    assert_eq!(code, Some(134), "{said}");
    assert!(said.starts_with("error: llama.cpp aborted: ") && said.contains("unsupported types"), "{said}");
    assert_eq!(said.lines().count(), 3, "{said}");
}

#[test]
fn a_gguf_that_belongs_to_a_model_is_not_run_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = zeros(&[], &|_| GgmlType::F32);
    let header = gguf::Header::read(Path::new("m"), &bytes).unwrap();
    for (key, value, is) in [
        ("general.type", "adapter", "a LoRA adapter"),
        ("general.type", "mmproj", "a multimodal projector"),
        ("general.architecture", "clip", "a multimodal projector"),
        ("general.type", "imatrix", "an importance matrix"),
        ("general.architecture", "controlvector", "a control vector"),
    ] {
        let mut other = header.clone();
        other.metadata.set(key, Value::Str(value.to_owned()));
        let data = &bytes[usize::try_from(header.data_offset).unwrap()..];
        refused(&write(&folder, &[&other.encode(), data].concat()), &format!("is {is}, expected a model"));
    }
}
