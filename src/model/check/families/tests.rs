//! Every table against the file of its family that llama.cpp's converter writes.

use std::collections::BTreeSet;

use gguf_export::ggml::GgmlType;
use gguf_export::gguf::{self, Array, Metadata, Value};
use testkit::family::NAMES;

use super::super::slot::{Part, Slot, Table, When};
use super::super::tables::{self, places};
use super::super::types::Kind;
use super::super::{TensorCheck, check_parts};
use super::TABLES;
use crate::model::tiny::{header, joined};
use crate::model::{HParams, Header, LoadError};

type Tensors = Vec<(String, Vec<u64>, GgmlType)>;

fn check(metadata: &Metadata, tensors: Tensors) -> Result<Header, LoadError> {
    let header = gguf::Header::layout(metadata.clone(), tensors).unwrap();
    check_parts("model.gguf".as_ref(), vec![("model.gguf".into(), header)], &[], TensorCheck::All)
}

fn tensors(header: &gguf::Header) -> Tensors {
    header.tensors.iter().map(|tensor| (tensor.name.clone(), tensor.dims.clone(), tensor.ty)).collect()
}

#[track_caller]
fn refused(family: &str, name: &str, why: &str, checked: Result<Header, LoadError>) {
    let Err(error) = checked else { panic!("{family}: `{name}` {why} is accepted") };
    let error = error.to_string();
    assert!(error.contains(&format!("`{name}`")) && error.contains(why), "{family}: {name} {why}: {error}");
}

#[test]
fn the_file_of_every_family_is_accepted() {
    let mut seen = BTreeSet::new();
    for family in NAMES {
        let header = header(family);
        let checked =
            check(&header.metadata, tensors(&header)).unwrap_or_else(|error| panic!("{family}: {error}"));
        seen.insert(HParams::read(&checked).unwrap().architecture);
    }
    let named: BTreeSet<String> = TABLES.iter().map(|table| table.name.to_owned()).collect();
    let without = named.difference(&seen).collect::<Vec<_>>();
    assert_eq!(without, ["qwen3next"], "the bundled model is this one");
}

/// The slots of a table.
fn slots(parts: &[Part]) -> impl Iterator<Item = &Slot> {
    parts.iter().flat_map(|part| part.slots)
}

/// Whether a tensor may be missing, by its table.
fn may_be_missing(table: &Table, name: &str) -> bool {
    let name = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')).map_or(name, |(_, rest)| rest);
    let all = slots(table.parts).chain(slots(table.factors));
    let mut whens = all.filter(|slot| slot.name == name).map(|slot| slot.when).peekable();
    assert!(whens.peek().is_some(), "{}: {name} is not in the table", table.name);
    whens.any(|when| !matches!(when, When::Always | When::Unless(_)))
}

#[test]
fn a_tensor_that_is_missing_has_another_shape_or_type_or_is_one_too_many_is_refused_by_name() {
    for family in NAMES {
        let header = header(family);
        let all = tensors(&header);
        let with = |change: &dyn Fn(&mut Tensors)| {
            let mut changed = all.clone();
            change(&mut changed);
            check(&header.metadata, changed)
        };
        let hparams = HParams::read(&joined(header.clone())).unwrap();
        let table = super::table(&hparams.architecture).unwrap();
        let mut required = 0;
        for (index, (name, dims, _)) in all.iter().enumerate() {
            if !may_be_missing(table, name) {
                let missing = with(&|tensors| drop(tensors.remove(index)));
                refused(family, name, "is missing", missing);
                required += 1;
            }
            refused(family, name, "has shape", with(&|tensors| tensors[index].1[0] += 1));
            let last = dims.len() - 1;
            refused(family, name, "has shape", with(&|tensors| tensors[index].1[last] *= 2));
            refused(family, name, "has type I16", with(&|tensors| tensors[index].2 = GgmlType::I16));
            if Kind::of(name) == Some(Kind::Vector) {
                refused(family, name, "has type F16", with(&|tensors| tensors[index].2 = GgmlType::F16));
            }
            if let Some(rest) = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
                let beyond = format!("blk.{}.{}", hparams.layers, rest.1);
                let more = (beyond.clone(), dims.clone(), GgmlType::F32);
                let too_many = with(&|tensors| tensors.push(more.clone()));
                refused(family, &beyond, "in a model of", too_many);
            }
        }
        assert!(required >= 20, "{family}: {required}");
    }
}

#[test]
fn a_tensor_of_the_table_that_a_file_does_not_have_is_refused_in_another_shape_too() {
    for family in NAMES {
        let header = header(family);
        let all = tensors(&header);
        let hparams = HParams::read(&joined(header.clone())).unwrap();
        let table = super::table(&hparams.architecture).unwrap();
        for slot in slots(table.parts).chain(slots(table.factors)) {
            for layer in places(hparams.layers) {
                let name = slot.name_in(layer);
                if all.iter().all(|(other, ..)| *other != name) {
                    let mut changed = all.clone();
                    changed.push((name.clone(), vec![7, 5], GgmlType::F32));
                    refused(family, &name, "", check(&header.metadata, changed));
                }
            }
        }
    }
}

#[test]
fn optional_tensors_are_accepted() {
    for (family, name, dims) in [
        ("qwen3", "blk.0.attn_q.bias", vec![128]),
        ("qwen3", "blk.1.attn_q.scale", vec![1]),
        ("qwen3-moe", "blk.1.ffn_up_exps.scale", vec![3]),
        ("llama3", "blk.1.attn_output.bias", vec![128]),
        ("llama3", "blk.0.ffn_down.bias", vec![128]),
        ("qwen3_5", "blk.2.nextn.embed_tokens.weight", vec![128, 320]),
        ("qwen3_5", "blk.0.ssm_alpha.input_scale", vec![1]),
        ("glm4-moe", "blk.1.attn_q_norm.weight", vec![32]),
        ("qwen3", "cls.output.weight", vec![128, 1]),
        ("qwen3_5", "cls.output.weight", vec![128, 128]),
    ] {
        let header = header(family);
        let mut all = tensors(&header);
        if !all.iter().any(|(other, ..)| *other == name) {
            all.push((name.to_owned(), dims, GgmlType::F32));
        }
        check(&header.metadata, all).unwrap_or_else(|error| panic!("{family}: {error}"));
    }
}

/// A tied head, and one matrix for query, keys and values or for gate and up.
#[test]
fn fused_matrices_replace_single_ones() {
    let header = header("qwen3_5-moe");
    let mut all = tensors(&header);
    all.retain(|(name, ..)| {
        !["attn_q", "attn_k", "attn_v"].iter().any(|part| *name == format!("blk.1.{part}.weight"))
    });
    all.retain(|(name, ..)| {
        !["gate", "up"].iter().any(|part| *name == format!("blk.0.ffn_{part}_exps.weight"))
    });
    all.retain(|(name, ..)| name != "output.weight");
    let missing = check(&header.metadata, all.clone());
    refused("qwen3_5-moe", "blk.0.ffn_gate_exps.weight", "is missing", missing);
    all.push(("blk.1.attn_qkv.weight".to_owned(), vec![128, 384], GgmlType::Q8_0));
    all.push(("blk.0.ffn_gate_up_exps.weight".to_owned(), vec![128, 256, 3], GgmlType::Q4_0));
    check(&header.metadata, all.clone()).unwrap();
    all.push(("blk.1.attn_k.weight".to_owned(), vec![128, 64], GgmlType::F32));
    refused("qwen3_5-moe", "blk.1.attn_k.weight", "unexpected tensor", check(&header.metadata, all));
}

#[test]
fn biases_beside_one_matrix_are_all_there_or_none() {
    let header = header("qwen3");
    let mut all = tensors(&header);
    all.retain(|(name, ..)| !["q", "k", "v"].iter().any(|part| *name == format!("blk.0.attn_{part}.weight")));
    let add = |all: &mut Tensors, name: &str, dims: &[u64]| {
        all.push((format!("blk.0.attn_{name}"), dims.to_vec(), GgmlType::F32));
    };
    add(&mut all, "qkv.weight", &[128, 256]);
    check(&header.metadata, all.clone()).unwrap();
    let mut keys_only = all.clone();
    add(&mut keys_only, "k.bias", &[64]);
    refused("qwen3", "blk.0.attn_k.bias", "unexpected", check(&header.metadata, keys_only));
    add(&mut all, "q.bias", &[128]);
    refused("qwen3", "blk.0.attn_k.bias", "is missing", check(&header.metadata, all.clone()));
    add(&mut all, "k.bias", &[64]);
    add(&mut all, "v.bias", &[64]);
    check(&header.metadata, all).unwrap();
}

#[test]
fn factors_beside_biases_that_llama_cpp_multiplies_too_are_refused() {
    let header = header("llama3");
    let mut all = tensors(&header);
    for (name, dims) in [("attn_q.bias", vec![128]), ("attn_q.scale", vec![1]), ("ffn_up.scale", vec![1])] {
        all.push((format!("blk.0.{name}"), dims, GgmlType::F32));
    }
    check(&header.metadata, all.clone()).unwrap();
    all.push(("blk.0.ffn_up.bias".to_owned(), vec![128], GgmlType::F32));
    refused("llama3", "blk.0.ffn_up.scale", "has a bias beside it", check(&header.metadata, all));
}

#[test]
fn factors_that_llama_cpp_ignores_or_does_not_read_are_refused() {
    for (family, name, count) in [
        ("glm4-moe", "blk.0.ffn_up.scale", 1),
        ("glm4-moe", "blk.1.ffn_up_exps.scale", 3),
        ("glm4-moe-lite", "blk.0.attn_q_a.scale", 1),
        ("gpt-oss", "blk.0.ffn_down_exps.scale", 3),
        ("minimax-m2", "blk.0.ffn_gate_exps.scale", 3),
        ("qwen3_5", "blk.2.attn_q.scale", 1),
        ("qwen3-moe", "output.scale", 1),
    ] {
        let header = header(family);
        let mut all = tensors(&header);
        all.push((name.to_owned(), vec![count], GgmlType::F32));
        refused(family, name, "does not multiply by", check(&header.metadata, all));
    }
    // Where the head is NVFP4, llama.cpp reads its factor.
    let header = header("qwen3-moe");
    let mut all = tensors(&header);
    let head = all.iter_mut().find(|(name, ..)| name == "output.weight");
    head.unwrap().2 = GgmlType::NVFP4;
    all.push(("output.scale".to_owned(), vec![1], GgmlType::F32));
    check(&header.metadata, all).unwrap();
}

#[test]
fn mtp_layers_are_checked_or_left_out_altogether_where_that_is_usual() {
    for (family, prefix, may) in [("glm4-moe", "glm4moe", true), ("qwen3", "qwen3", false)] {
        let mut header = header(family);
        // One layer more, which is an MTP layer.
        header.metadata.set(&format!("{prefix}.block_count"), Value::U32(3));
        header.metadata.set(&format!("{prefix}.nextn_predict_layers"), Value::U32(1));
        let mut all = tensors(&header);
        let alone = check(&header.metadata, all.clone());
        assert_eq!(alone.is_ok(), may, "{family}");
        all.push(("blk.2.nextn.eh_proj.weight".to_owned(), vec![256, 128], GgmlType::F32));
        let key = format!("{prefix}.nextn_predict_layers");
        let name = if may { "blk.2.attn_norm.weight" } else { &key };
        refused(family, name, "is", check(&header.metadata, all));
    }
}

#[test]
fn hyperparameters_on_which_a_graph_asserts_are_refused_by_key() {
    let truths = |list: &[bool]| Value::Array(Array::Bool(list.to_vec()));
    let ints = |list: &[i32]| Value::Array(Array::I32(list.to_vec()));
    let number = Value::U32;
    for (family, key, value, reason) in [
        ("qwen3_5", "rope.dimension_sections", ints(&[0, 0, 0, 8]), "is [0, 0, 0, 8], expected four numbers"),
        ("qwen3_5", "rope.dimension_sections", ints(&[3, 3, 3]), "is [3, 3, 3], expected four numbers"),
        ("qwen3_5", "rope.dimension_sections", ints(&[3, 3, -1, 0]), "negative number"),
        ("qwen3_5", "rope.dimension_sections", number(3), "is 3, expected four numbers"),
        ("qwen3_5", "attention.recurrent_layers", truths(&[true, false, true]), "true for an MTP layer"),
        ("qwen3_5", "ssm.inner_size", number(128), "is 128, expected 4 heads of 64"),
        ("qwen3_5", "attention.value_length", number(32), "is 32, expected 64"),
        ("qwen3_5", "expert_count", number(0), ""),
        ("qwen3_5-moe", "expert_count", number(0), "expected 0 without experts"),
        ("qwen3_5-moe", "expert_used_count", ints(&[2, 2, 2]), "an array of 3 values, expected one number"),
        ("qwen3", "rope.dimension_count", number(16), "is 16, expected 32"),
        ("qwen3", "nextn_predict_layers", number(1), "is 1, expected 0 for qwen3"),
        ("qwen3", "expert_count", number(0), ""),
        ("qwen3-moe", "attention.head_count_kv", ints(&[2, 4]), "the same in every layer"),
        ("qwen3-moe", "expert_used_count", ints(&[0, 2]), "an array of 2 values, expected one number"),
        ("llama3", "rope.dimension_count", number(0), "is 0, expected at least 2"),
        ("llama3", "attention.value_length", number(16), "is 16, expected 32"),
        ("mistral3", "rope.dimension_count", number(16), "is 16, expected 32"),
        ("glm4-moe", "expert_gating_func", number(5), "is 5, expected 0 to 4"),
        ("glm4-moe", "expert_shared_count", number(0), "is 0, expected 1 to 1024"),
        ("glm4-moe", "rope.dimension_sections", ints(&[0, 0, 0, 0]), "expected four numbers"),
        (
            "glm4-moe-lite",
            "attention.key_length",
            number(128),
            "is 128, expected 128 compressed and 32 rotated",
        ),
        ("glm4-moe-lite", "attention.value_length", number(64), "is 64, expected 128"),
        (
            "glm4-moe-lite",
            "attention.key_length_mla",
            number(32),
            "is 32, expected more than 32 rotated values",
        ),
        ("glm4-moe-lite", "attention.key_length_mla", number(0), "is 0, expected at least 1"),
        ("glm4-moe-lite", "attention.value_length_mla", number(0), "is 0, expected at least 1"),
        ("glm4-moe-lite", "attention.head_count_kv", number(4), "is 4, expected 1"),
        ("glm4-moe-lite", "attention.kv_lora_rank", number(0), "is 0"),
        ("deepseek-v3", "expert_group_count", number(4), "is 4, expected 0 to 3"),
        ("deepseek-v3", "expert_group_used_count", number(2), "is 2, expected 1 to 1"),
        ("gpt-oss", "attention.sliding_window", number(0), "is 0, expected 1 to"),
        ("gpt-oss", "attention.sliding_window_pattern", number(1), "is 1, expected 2 to"),
        ("gpt-oss", "attention.sliding_window_pattern", truths(&[false, false]), "the same for all layers"),
        ("gpt-oss", "attention.key_length_swa", number(16), "is 16, expected 32, as in layers without"),
        ("gpt-oss", "rope.dimension_count", number(16), "is 16, expected 32"),
        ("minimax-m2", "expert_gating_func", number(0), "is 0, expected 1 to 4"),
        ("gemma4", "attention.sliding_window_pattern", number(2), "is 2, expected an array of booleans"),
        ("gemma4", "attention.sliding_window_pattern", truths(&[true]), "expected one for each of 2 layers"),
        ("gemma4", "attention.sliding_window_pattern", truths(&[true, true]), "the same for all layers"),
        ("gemma4", "attention.value_length", number(32), "is 32, expected 64"),
        ("gemma4", "attention.value_length_swa", number(16), "is 16, expected 32"),
        ("gemma4", "rope.dimension_count_swa", number(0), "is 0, expected an even number of at least 2"),
        ("gemma4", "attention.shared_kv_layers", number(1), "is 1, expected at most 0"),
        ("gemma4", "attention.head_count_kv", ints(&[2, 0]), "at least 1 in every layer"),
    ] {
        let mut header = header(family);
        let architecture = header.metadata.str("general.architecture").unwrap().to_owned();
        let key = format!("{architecture}.{key}");
        header.metadata.set(&key, value);
        if reason.is_empty() {
            // No change: the key says what is so without it.
            check(&header.metadata, tensors(&header)).unwrap();
            continue;
        }
        let checked = check(&header.metadata, tensors(&header));
        let error = checked.map(drop).unwrap_err().to_string();
        assert!(
            error.contains(reason) && (error.contains(&key) || reason.contains("experts")),
            "{key}: {error}"
        );
    }
}

#[test]
fn keys_that_layers_share_are_those_of_an_earlier_layer_of_their_kind() {
    let mut header = header("gemma4");
    let hparams = |header: &gguf::Header| {
        let header = joined(header.clone());
        let hparams = HParams::read(&header).unwrap();
        let table = super::table("gemma4").unwrap();
        tables::check(table, &header, &hparams).unwrap_err().to_string()
    };
    header.metadata.set("gemma4.block_count", Value::U32(4));
    header.metadata.set("gemma4.attention.head_count_kv", Value::U32(2));
    header.metadata.set("gemma4.attention.shared_kv_layers", Value::U32(2));
    for (slides, reason) in [
        ([true, false, true, false], "tensor `blk."),
        ([false, true, true, true], "is 2, expected layers before them"),
        ([true, true, true, false], "is 2, expected layers before them"),
    ] {
        let key = "gemma4.attention.sliding_window_pattern";
        header.metadata.set(key, Value::Array(Array::Bool(slides.to_vec())));
        let error = hparams(&header);
        assert!(error.contains(reason), "{slides:?}: {error}");
    }
}
