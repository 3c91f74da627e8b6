//! Stand-ins for the largest published model of each family, with headers of its dimensions and no data: the plan is
//! complete, uses every tensor of the language model, and has its number of parameters. And the goldens of llama.cpp's
//! converter for a tiny Gemma 4 of which no weights are kept.
#![expect(clippy::unwrap_used, reason = "tests rely on panics")]
#![allow(clippy::disallowed_methods, reason = "tests read and write files directly")]

#[path = "../common/mod.rs"]
mod common;
mod models;
mod tensors;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use gguf_export::arch::FAMILIES;
use gguf_export::checkpoint::Checkpoint;
use gguf_export::ggml::GgmlType;
use gguf_export::gguf::Value;
use gguf_export::plan::{Content, LeftOut, Reason};
use gguf_export::{Plan, PlanOptions, survey};
use serde_json::{Map, Value as Json, json};
use testkit::family::folder;
use testkit::header_only;

use common::{golden, json};
use tensors::{Form, Tensors};

/// Far more than a plan takes, so that a slow machine does not fail.
const LIMIT: Duration = Duration::from_secs(30);

/// Writes a stand-in, and returns its parameters.
fn write(
    dir: &Path,
    family: &str,
    changes: &Json,
    form: Form,
    tensors: fn(&mut Tensors<'_>),
    shards: usize,
) -> u64 {
    let text = models::write_config(dir, family, changes, form);
    let mut out = Tensors::new(&text, form);
    tensors(&mut out);
    let parameters = out.parameters;
    header_only::write_outlines(dir, out.list, shards);
    parameters
}

fn plan(dir: &Path) -> Plan {
    let checkpoint = Checkpoint::open(dir).unwrap();
    survey(&checkpoint, &PlanOptions::default(), 2, &AtomicBool::new(false), &|_| {}).unwrap()
}

#[test]
fn the_largest_published_models_have_complete_plans() {
    let mut seen = BTreeSet::new();
    for model in models::published() {
        for form in [Form::Bf16, Form::Int4] {
            let what = format!("{}, {form:?}", model.name);
            let dir = tempfile::tempdir().unwrap();
            let stored = write(dir.path(), model.family, &model.changes, form, model.tensors, 8);
            assert_eq!(stored, model.parameters, "{what}");
            let start = Instant::now();
            let plan = plan(dir.path());
            let time = start.elapsed();
            println!("{what}: {} tensors, {:.2} s", plan.tensors.len(), time.as_secs_f64());
            assert!(time < LIMIT, "{what}: {time:?}");
            assert!(plan.settled(), "{what}");
            let planned = plan.tensors.iter().filter(|tensor| tensor.content == Content::Weights);
            let planned: u64 = planned.map(|tensor| tensor.dims.iter().product::<u64>()).sum();
            assert_eq!(planned, model.parameters, "{what}");
            let is_mtp = |item: &&LeftOut| item.reason == Reason::UnusedMtp;
            let is_other = |item: &&LeftOut| matches!(item.reason, Reason::OtherPart { .. });
            let (mtp, others) = (plan.left_out.iter().filter(is_mtp), plan.left_out.iter().filter(is_other));
            let (mtp, others) = (mtp.count(), others.count());
            assert_eq!((mtp == 0, others), (model.keeps_mtp, model.others), "{what}");
            assert_eq!(mtp + others, plan.left_out.len(), "{what}");
            // What was quantized stays so.
            let of = |ty| plan.tensors.iter().filter(|tensor| tensor.ty() == ty).count();
            let (q4_0, bf16) = (of(GgmlType::Q4_0), of(GgmlType::BF16));
            assert_eq!(q4_0 > bf16, form == Form::Int4, "{what}: {q4_0} of Q4_0, {bf16} of BF16");
            seen.insert(plan.hparams.family);
        }
    }
    let all: BTreeSet<&str> = FAMILIES.iter().map(|family| family.model_types[0]).collect();
    assert_eq!(seen, all);
}

#[test]
fn a_dense_gemma_4_has_the_keys_names_and_shapes_of_llama_cpp() {
    let theirs = json(&folder("gemma4").join("llama.json"));
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "gemma4", &json!({}), Form::Bf16, |out| tensors::gemma4(out, [64, 1]), 1);
    let plan = plan(dir.path());

    let own = |key: &str| key.starts_with("gemma4.");
    let ours: Map<String, Json> = plan
        .metadata
        .iter()
        .filter(|(key, _)| own(key))
        .map(|(key, value)| (key.to_owned(), json!(golden(value))))
        .collect();
    let expected: Map<String, Json> =
        theirs["keys"].as_object().unwrap().clone().into_iter().filter(|(key, _)| own(key)).collect();
    assert_eq!(expected.len(), 20);
    assert_eq!(ours, expected);

    let ours: Map<String, Json> =
        plan.tensors.iter().map(|tensor| (tensor.name.clone(), json!(tensor.dims))).collect();
    let expected: Map<String, Json> = theirs["tensors"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, entry)| (name.clone(), entry[1].clone()))
        .collect();
    assert_eq!(expected.len(), 30);
    assert_eq!(ours, expected);
}

#[test]
fn embedding_rows_without_a_token_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let changes = json!({"vocab_size": 384});
    let tensors: fn(&mut Tensors<'_>) = |out| tensors::gemma4(out, [64, 1]);
    write(dir.path(), "gemma4", &changes, Form::Bf16, tensors, 1);
    std::fs::copy(folder("gemma4").join("tokenizer.json"), dir.path().join("tokenizer.json")).unwrap();
    let plan = plan(dir.path());
    let embedding = plan.tensors.iter().find(|tensor| tensor.name == "token_embd.weight").unwrap();
    assert_eq!(embedding.dims, [128, 320]);
    assert_eq!(embedding.pieces.iter().map(|piece| piece.rows).sum::<u64>(), 320);
    let Some(Value::Array(tokens)) = plan.metadata.get("tokenizer.ggml.tokens") else { panic!() };
    assert_eq!(tokens.len(), 320);
}
