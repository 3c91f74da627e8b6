//! The tables accept the factors that llama.cpp multiplies by, and no others; the converter writes no others.

use std::collections::BTreeSet;
use std::path::Path;

use gguf_export::arch::{self, Rule};
use gguf_export::checkpoint::ModelConfig;
use gguf_export::ggml::GgmlType;
use gguf_export::gguf::{self, Metadata, Value};
use testkit::family::{NAMES, folder};

use super::super::types::Kind;
use super::TABLES;
use super::seeds::{header, metadata};
use crate::engine::{BatchToken, Pos, SeqId, Token};
use crate::llama::default_version;
use crate::model::check::{TensorCheck, check_parts};
use crate::model::tiny;
use crate::model::{Abort, ContextSize, LoadError, LoadOptions, Model};

type Tensor = (String, Vec<u64>, GgmlType);

fn tensors(header: &gguf::Header) -> Vec<Tensor> {
    header.tensors.iter().map(|tensor| (tensor.name.clone(), tensor.dims.clone(), tensor.ty)).collect()
}

/// A header with the factor of a matrix, and the factor's name; `None` if it has that already.
fn with_factor(keys: &Metadata, tensors: &[Tensor], matrix: &str) -> Option<(String, gguf::Header)> {
    let factor = format!("{}.scale", matrix.strip_suffix(".weight").unwrap());
    if tensors.iter().any(|(other, ..)| *other == factor) {
        return None;
    }
    let (_, dims, _) = tensors.iter().find(|(other, ..)| other == matrix).unwrap();
    let count = if matrix.contains("_exps") { dims[2] } else { 1 };
    let mut all = tensors.to_vec();
    all.push((factor.clone(), vec![count], GgmlType::F32));
    Some((factor, gguf::Header::layout(keys.clone(), all).unwrap()))
}

fn checked(header: gguf::Header) -> Result<(), LoadError> {
    let parts = vec![("model.gguf".into(), header)];
    check_parts(Path::new("model.gguf"), parts, &[], TensorCheck::All).map(drop)
}

/// The logits of a few tokens; `None` if llama.cpp refuses the file.
fn logits(header: &gguf::Header, folder: &Path) -> Option<Vec<f32>> {
    let options = LoadOptions {
        threads: 1,
        devices: Some(Vec::new()),
        context: ContextSize::Tokens(64),
        tensor_check: TensorCheck::Skip,
        ..LoadOptions::new(tiny::write(header, folder))
    };
    let model = Model::load(options, |_| true).ok()?;
    let mut decoder = model.decoder(Abort::default()).unwrap();
    let token = |pos: u32| {
        let token = Token(i32::try_from(7 + pos).unwrap());
        BatchToken { seq: SeqId(0), pos: Pos(pos), token, sample: true }
    };
    let mut found = Vec::new();
    decoder
        .read_logits(&(0..6).map(token).collect::<Vec<_>>(), |_, row| found.extend_from_slice(row))
        .unwrap();
    Some(found)
}

#[test]
fn a_factor_is_accepted_if_llama_cpp_multiplies_by_it() {
    let _version = default_version();
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = tiny::header("qwen3_5").metadata;
    for table in TABLES {
        let mut keys = metadata(table.name);
        for (key, value) in tokenizer.iter().filter(|(key, _)| key.starts_with("tokenizer.")) {
            keys.push(key, value.clone());
        }
        // So large that norms do not remove a factor, and so small that they do not hide it in rounding.
        keys.set(&format!("{}.attention.layer_norm_rms_epsilon", table.name), Value::F32(1e-4));
        let plain = header(table, keys.clone()).unwrap();
        let expected = logits(&plain, folder.path()).unwrap();
        let tensors = tensors(&plain);
        let (mut accepted, mut refused) = (BTreeSet::new(), BTreeSet::new());
        for (name, ..) in tensors.iter().filter(|(name, ..)| Kind::of(name) == Some(Kind::Matrix)) {
            let Some((factor, changed)) = with_factor(&keys, &tensors, name) else { continue };
            let is_used = logits(&changed, folder.path()).is_some_and(|found| found != expected);
            let checked = checked(changed);
            assert_eq!(checked.is_ok(), is_used, "{}: {factor}: {:?}", table.name, checked.err());
            let list = if is_used { &mut accepted } else { &mut refused };
            list.insert(factor);
        }
        assert!(!accepted.is_empty() && !refused.is_empty(), "{}: {accepted:?} {refused:?}", table.name);
    }
}

#[test]
fn factors_that_the_converter_writes_are_accepted() {
    for family in NAMES {
        let config = std::fs::read(folder(family).join("config.json")).unwrap();
        let config = ModelConfig::new(Path::new("config.json"), serde_json::from_slice(&config).unwrap());
        let hparams = arch::HParams::read(&config).unwrap();
        let header = tiny::header(family);
        let all = tensors(&header);
        let mut count = 0;
        for target in arch::layout(&hparams, true, &|_| true).targets {
            let is_there = all.iter().any(|(name, ..)| *name == target.name);
            if !is_there || !matches!(target.rule, Rule::Matrix { scaled: true, .. }) {
                continue;
            }
            if let Some((factor, with)) = with_factor(&header.metadata, &all, &target.name) {
                checked(with).unwrap_or_else(|error| panic!("{family}: {factor}: {error}"));
                count += 1;
            }
        }
        assert!(count > 0, "{family}");
    }
}
