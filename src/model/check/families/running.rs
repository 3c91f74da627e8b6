//! What a table accepts, llama.cpp runs or refuses: it does not end the process, whatever the hyperparameters.

use std::path::Path;
use std::process::Command;

use gguf_export::ggml::GgmlType;
use gguf_export::gguf::{self, Array, Metadata, Value};
use testkit::rng::Rng;

use super::super::slot::Table;
use super::super::types::Kind;
use super::TABLES;
use super::seeds::{header, metadata};
use crate::engine::{BatchToken, Pos, SeqId, Token};
use crate::model::check::{TensorCheck, check_parts};
use crate::model::tiny;
use crate::model::{Abort, ContextSize, LoadOptions, Model};

/// The variable that names the file which a process of its own runs.
const FILE: &str = "GGRUN_TEST_RUN";

/// Bytes of a file, so that it is soon written and read.
const LARGEST: u64 = 4 << 20;

const SIZES: [u32; 16] = [0, 1, 2, 3, 4, 5, 6, 8, 16, 20, 32, 48, 64, 96, 100, 128];

/// Keys of widths by their ends. With 256, every type has whole blocks in a row.
const WIDE: [&str; 6] = [
    "embedding_length",
    "feed_forward_length",
    "key_length",
    "lora_rank",
    "ssm.state_size",
    "per_layer_input",
];

/// The header with other types of matrices, mostly one for all; `None` if there is none of whole blocks.
fn with_types(header: &gguf::Header, random: &mut Rng) -> Option<gguf::Header> {
    let types: Vec<GgmlType> = GgmlType::all().filter(|ty| Kind::Matrix.allows(*ty)).collect();
    let main = types[random.below(types.len())];
    let tensors = header.tensors.iter().map(|tensor| {
        let ty = if random.one_in(8) { types[random.below(types.len())] } else { main };
        let fits = tensor.dims[0].is_multiple_of(ty.block_len());
        let is_matrix = Kind::of(&tensor.name) == Some(Kind::Matrix);
        (tensor.name.clone(), tensor.dims.clone(), if fits && is_matrix { ty } else { GgmlType::F32 })
    });
    gguf::Header::layout(header.metadata.clone(), tensors.collect()).ok()
}

/// A header with random hyperparameters that is accepted.
fn accepted(table: &Table, random: &mut Rng) -> gguf::Header {
    let tokenizer = tiny::header("qwen3_5").metadata;
    for _ in 0..10_000 {
        let mut keys = metadata(table.name);
        for (key, value) in tokenizer.iter().filter(|(key, _)| key.starts_with("tokenizer.")) {
            keys.push(key, value.clone());
        }
        let numbers: Vec<String> = keys
            .iter()
            .filter(|(_, value)| matches!(value, Value::U32(_)))
            .map(|(key, _)| key.to_owned())
            .collect();
        if random.one_in(2) {
            for key in numbers.iter().filter(|key| WIDE.iter().any(|wide| key.ends_with(wide))) {
                keys.set(key, Value::U32(256));
            }
        }
        for _ in 0..random.below(7) {
            let key = &numbers[random.below(numbers.len())];
            if key.starts_with(table.name) && !key.ends_with("context_length") {
                keys.set(key, Value::U32(SIZES[random.below(SIZES.len())]));
            }
        }
        agree(&mut keys, table.name);
        lists(&mut keys, table.name, random);
        let Some(header) = header(table, keys).and_then(|header| with_types(&header, random)) else {
            continue;
        };
        if header.file_len() > LARGEST {
            continue;
        }
        let parts = vec![("model.gguf".into(), header.clone())];
        if check_parts(Path::new("model.gguf"), parts, &[], TensorCheck::All).is_ok() {
            return header;
        }
    }
    panic!("nothing is accepted for {}", table.name);
}

/// Sets kinds of layers, and other keys that are not there by default.
fn lists(keys: &mut Metadata, name: &str, random: &mut Rng) {
    let layers = usize::try_from(keys.u64(&format!("{name}.block_count")).unwrap_or(0)).unwrap();
    let key = |key: &str| format!("{name}.{key}");
    let truths = |random: &mut Rng| Array::Bool((0..layers).map(|_| random.one_in(2)).collect());
    let counts =
        |random: &mut Rng, of: &[i32]| Array::I32((0..layers).map(|_| of[random.below(of.len())]).collect());
    if name == "gemma4" {
        keys.set(&key("attention.sliding_window_pattern"), Value::Array(truths(random)));
        if random.one_in(2) {
            keys.set(&key("attention.head_count_kv"), Value::Array(counts(random, &[1, 2])));
            keys.set(&key("feed_forward_length"), Value::Array(counts(random, &[4, 8, 32])));
        }
    }
    if name == "gpt-oss" && random.one_in(2) {
        keys.set(&key("attention.sliding_window_pattern"), Value::Array(truths(random)));
    }
    if keys.get(&key("ssm.state_size")).is_some() && random.one_in(2) {
        keys.set(&key("attention.recurrent_layers"), Value::Array(truths(random)));
    }
    if keys.get(&key("rope.dimension_sections")).is_some() || name == "glm4moe" && random.one_in(2) {
        let sections = (0..4).map(|_| i32::try_from(random.below(4)).unwrap()).collect();
        keys.set(&key("rope.dimension_sections"), Value::Array(Array::I32(sections)));
    }
    for (name, most) in
        [("nextn_predict_layers", 3), ("expert_group_count", 5), ("expert_group_used_count", 4)]
    {
        if random.one_in(3) {
            keys.set(&key(name), Value::U32(u32::try_from(random.below(most)).unwrap()));
        }
    }
}

/// Sets keys that must agree with others, so that more is accepted.
fn agree(keys: &mut Metadata, name: &str) {
    let get = |keys: &Metadata, key: &str| keys.u64(&format!("{name}.{key}")).unwrap_or(0);
    let set = |keys: &mut Metadata, key: &str, value: u64| {
        let key = format!("{name}.{key}");
        if keys.get(&key).is_some() {
            keys.set(&key, Value::U32(u32::try_from(value).unwrap()));
        }
    };
    let (heads, kv) = (get(keys, "attention.head_count"), get(keys, "attention.head_count_kv").max(1));
    if !heads.is_multiple_of(kv) {
        set(keys, "attention.head_count", heads * kv);
    }
    let (groups, rank) = (get(keys, "ssm.group_count").max(1), get(keys, "ssm.time_step_rank"));
    if !rank.is_multiple_of(groups) {
        set(keys, "ssm.time_step_rank", groups);
    }
    let inner = get(keys, "ssm.time_step_rank") * get(keys, "ssm.state_size");
    set(keys, "ssm.inner_size", inner);
    let mut rotated = get(keys, "rope.dimension_count");
    if name == "deepseek2" {
        let rank = get(keys, "attention.kv_lora_rank");
        set(keys, "attention.head_count_kv", 1);
        set(keys, "attention.key_length", rank + rotated);
        set(keys, "attention.value_length", rank);
        let own = get(keys, "attention.key_length_mla");
        set(keys, "attention.key_length_mla", if own > rotated { own } else { rotated + own.max(1) });
        return;
    }
    let length = get(keys, "attention.key_length");
    set(keys, "attention.value_length", length);
    if rotated > length || ["qwen3", "qwen3moe", "llama", "mistral3", "gpt-oss"].contains(&name) {
        rotated = length;
    }
    set(keys, "rope.dimension_count", rotated);
    let window = get(keys, "attention.key_length_swa");
    set(keys, "attention.value_length_swa", window);
    let rotated = get(keys, "rope.dimension_count_swa").min(window);
    set(keys, "rope.dimension_count_swa", rotated);
}

#[test]
fn what_is_accepted_runs_or_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let rounds = if std::env::var_os("GGRUN_SLOW_TESTS").is_some() { 100 } else { 2 };
    let seed = std::env::var("GGRUN_TEST_SEED").map_or(1, |text| text.parse().unwrap());
    let mut random = Rng::named(seed, "hyperparameters");
    let (mut ran, mut wrong) = (0, Vec::new());
    for table in TABLES {
        for _ in 0..rounds {
            let header = accepted(table, &mut random);
            let path = tiny::write(&header, folder.path());
            let child = Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "--nocapture",
                    "model::check::families::running::a_file_of_the_other_test_runs",
                ])
                .env(FILE, &path)
                .env("GGML_NO_BACKTRACE", "1")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&child.stdout).into_owned();
            ran += u32::from(said.contains("it runs"));
            if !child.status.success() {
                let keys: Vec<String> = header
                    .metadata
                    .iter()
                    .filter(|(key, _)| key.starts_with(table.name))
                    .map(|(key, value)| format!("{key}={value:?}"))
                    .collect();
                let error = String::from_utf8_lossy(&child.stderr);
                let reason = error.lines().find(|line| line.contains("ASSERT") || line.contains("panicked"));
                wrong.push(format!("{}: {reason:?} {} {}", table.name, keys.join(" "), said));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(ran > rounds * 6, "{ran} run");
}

/// A part of the test above, in a process of its own.
#[test]
fn a_file_of_the_other_test_runs() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let context = ContextSize::Tokens(64);
    let options = LoadOptions { threads: 1, devices: Some(Vec::new()), context, ..LoadOptions::new(path) };
    let model = match Model::load(options, |_| true) {
        Ok(model) => model,
        Err(error) => return println!("refused: {error}"),
    };
    let mut decoder = match model.decoder(Abort::default()) {
        Ok(decoder) => decoder,
        Err(error) => return println!("no context: {error}"),
    };
    for step in 0..3u32 {
        let token =
            |pos: u32| BatchToken { seq: SeqId(0), pos: Pos(step * 4 + pos), token: Token(7), sample: true };
        decoder.read_logits(&(0..4).map(token).collect::<Vec<_>>(), |_, _| ()).unwrap();
    }
    println!("it runs");
}
