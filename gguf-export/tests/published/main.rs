//! Stand-ins for the largest published model of each family, with headers of its dimensions and no data: the plan is
//! complete, uses every tensor of the language model, and has its number of parameters. And the goldens of llama.cpp's
//! converter for a tiny Gemma 4 of which no weights are kept.
#![expect(clippy::unwrap_used, reason = "tests rely on panics")]
#![allow(clippy::disallowed_methods, reason = "tests read and write files directly")]

mod tensors;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use gguf_export::checkpoint::Checkpoint;
use gguf_export::ggml::GgmlType;
use gguf_export::gguf::{Array, Value};
use gguf_export::plan::{Content, Reason};
use gguf_export::{Plan, PlanOptions, survey};
use serde_json::{Map, Value as Json, json};
use testkit::header_only;

use tensors::{Form, Tensors};

/// Far more than a plan takes, so that a slow machine does not fail.
const LIMIT: Duration = Duration::from_secs(30);

struct Published {
    name: &'static str,
    /// Folder of `tests/data/families` with the configuration that `changes` changes, and the tokenizer.
    family: &'static str,
    changes: Json,
    tensors: fn(&mut Tensors<'_>),
    /// Parameters of the language model, with the MTP layer.
    parameters: u64,
    /// Tensors of other parts.
    others: usize,
}

fn layer_types(layers: usize, interval: usize, other: &str) -> Json {
    (0..layers).map(|l| if (l + 1) % interval == 0 { "full_attention" } else { other }).collect()
}

fn published() -> Vec<Published> {
    let gemma = |layers| layer_types(layers, 6, "sliding_attention");
    let delta = |layers| layer_types(layers, 4, "linear_attention");
    let all = json!({"linear_num_key_heads": 16, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
        "head_dim": 256, "vocab_size": 248_320, "tie_word_embeddings": false});
    let qwen3_5 = |changes: Json| merged(&all, &changes);
    vec![
        Published {
            name: "Qwen3.6-27B",
            family: "qwen3_5",
            changes: qwen3_5(json!({"hidden_size": 5120, "intermediate_size": 17_408,
                "num_hidden_layers": 64, "layer_types": delta(64), "num_attention_heads": 24,
                "num_key_value_heads": 4, "linear_num_value_heads": 48})),
            tensors: tensors::qwen3_5,
            parameters: 27_320_697_856,
            others: 1,
        },
        Published {
            name: "Qwen3.6-122B-A10B",
            family: "qwen3_5-moe",
            changes: qwen3_5(json!({"hidden_size": 3072, "num_hidden_layers": 48, "layer_types": delta(48),
                "num_attention_heads": 32, "num_key_value_heads": 2, "linear_num_value_heads": 64,
                "num_experts": 256, "num_experts_per_tok": 8, "moe_intermediate_size": 1024,
                "shared_expert_intermediate_size": 1024})),
            tensors: tensors::qwen3_5,
            parameters: 124_635_206_144,
            others: 1,
        },
        Published {
            name: "Qwen3-235B-A22B",
            family: "qwen3-moe",
            changes: json!({"hidden_size": 4096, "num_hidden_layers": 94, "num_attention_heads": 64,
                "num_key_value_heads": 4, "head_dim": 128, "num_local_experts": 128,
                "num_experts_per_tok": 8, "moe_intermediate_size": 1536, "vocab_size": 151_936}),
            tensors: tensors::qwen3_moe,
            parameters: 235_093_634_560,
            others: 0,
        },
        Published {
            name: "Qwen3-Coder-480B-A35B",
            family: "qwen3-moe",
            changes: json!({"hidden_size": 6144, "num_hidden_layers": 62, "num_attention_heads": 96,
                "num_key_value_heads": 8, "head_dim": 128, "num_local_experts": 160,
                "num_experts_per_tok": 8, "moe_intermediate_size": 2560, "vocab_size": 151_936}),
            tensors: tensors::qwen3_moe,
            parameters: 480_154_875_392,
            others: 0,
        },
        Published {
            name: "Llama-3.1-405B",
            family: "llama3",
            changes: json!({"hidden_size": 16_384, "intermediate_size": 53_248, "num_hidden_layers": 126,
                "num_attention_heads": 128, "num_key_value_heads": 8, "head_dim": 128,
                "vocab_size": 128_256}),
            tensors: |out| tensors::llama(out, "model.", "lm_head"),
            parameters: 405_853_388_800,
            others: 0,
        },
        Published {
            // The dimensions are those of Mistral Large 2, which has about as many parameters.
            name: "Mistral Medium 3.5",
            family: "mistral3",
            changes: json!({"hidden_size": 12_288, "intermediate_size": 28_672, "num_hidden_layers": 88,
                "num_attention_heads": 96, "num_key_value_heads": 8, "head_dim": 128,
                "vocab_size": 131_072}),
            tensors: |out| {
                tensors::llama(out, "language_model.model.", "language_model.lm_head");
                out.other_part("vision_tower.patch_conv.weight");
                out.other_part("multi_modal_projector.linear_1.weight");
            },
            parameters: 125_025_988_608,
            others: 2,
        },
        Published {
            name: "GLM-4.7",
            family: "glm4-moe",
            changes: json!({"hidden_size": 5120, "intermediate_size": 12_288, "num_hidden_layers": 92,
                "num_attention_heads": 96, "num_key_value_heads": 8, "head_dim": 128,
                "n_routed_experts": 160, "num_experts_per_tok": 8, "moe_intermediate_size": 1536,
                "first_k_dense_replace": 3, "num_nextn_predict_layers": 1, "vocab_size": 151_552}),
            tensors: tensors::glm4_moe,
            parameters: 358_337_791_296,
            others: 0,
        },
        Published {
            name: "MiniMax-M2",
            family: "minimax-m2",
            changes: json!({"hidden_size": 3072, "intermediate_size": 1536, "num_hidden_layers": 62,
                "num_attention_heads": 48, "num_key_value_heads": 8, "head_dim": 128, "rotary_dim": 64,
                "num_local_experts": 256, "num_experts_per_tok": 8, "vocab_size": 200_064}),
            tensors: tensors::minimax_m2,
            parameters: 228_689_764_864,
            others: 0,
        },
        Published {
            name: "Gemma 4 31B",
            family: "gemma4",
            changes: json!({"hidden_size": 5376, "intermediate_size": 21_504, "num_hidden_layers": 60,
                "layer_types": gemma(60), "num_attention_heads": 32, "num_key_value_heads": 16,
                "num_global_key_value_heads": 4, "head_dim": 256, "global_head_dim": 512,
                "per_layer_config": null, "sliding_window": 1024, "vocab_size": 262_144,
                "vocab_size_per_layer_input": 262_144}),
            tensors: |out| tensors::gemma4(out, [512, 4]),
            parameters: 30_697_345_340,
            others: 3,
        },
        Published {
            name: "Gemma 4 26B-A4B",
            family: "gemma4-moe",
            changes: json!({"hidden_size": 2816, "intermediate_size": 2112, "num_hidden_layers": 30,
                "layer_types": gemma(30), "num_attention_heads": 16, "num_key_value_heads": 8,
                "num_global_key_value_heads": 2, "head_dim": 256, "global_head_dim": 512,
                "per_layer_config": null, "sliding_window": 1024, "vocab_size": 262_144,
                "num_experts": 128, "top_k_experts": 8, "moe_intermediate_size": 704}),
            tensors: |out| tensors::gemma4(out, [512, 2]),
            parameters: 25_233_141_790,
            others: 3,
        },
        Published {
            name: "Gemma 4 E2B",
            family: "gemma4",
            changes: json!({"hidden_size": 1536, "intermediate_size": 6144, "num_hidden_layers": 35,
                "layer_types": layer_types(35, 5, "sliding_attention"), "num_attention_heads": 8,
                "num_key_value_heads": 1, "attention_k_eq_v": false, "head_dim": 256,
                "global_head_dim": 512, "per_layer_config": null, "sliding_window": 512,
                "num_kv_shared_layers": 20, "use_double_wide_mlp": true,
                "hidden_size_per_layer_input": 256, "vocab_size": 262_144,
                "vocab_size_per_layer_input": 262_144}),
            tensors: |out| tensors::gemma4(out, [512, 1]),
            parameters: 4_628_569_379,
            others: 3,
        },
    ]
}

fn folder(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/data/families").join(family)
}

fn json(path: &Path) -> Json {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn merged(base: &Json, changes: &Json) -> Json {
    let mut all: Map<String, Json> = base.as_object().unwrap().clone();
    all.extend(changes.as_object().unwrap().clone());
    Json::Object(all)
}

/// Writes a stand-in, and returns its parameters.
fn write(
    dir: &Path,
    family: &str,
    changes: &Json,
    form: Form,
    tensors: fn(&mut Tensors<'_>),
    shards: usize,
) -> u64 {
    let from = folder(family);
    let mut config = json(&from.join("config.json"));
    let is_wrapped = config["text_config"].is_object();
    let section = if is_wrapped { &mut config["text_config"] } else { &mut config };
    *section = merged(section, changes);
    let text = section.clone();
    if let Some(tied) = changes.get("tie_word_embeddings") {
        config["tie_word_embeddings"] = tied.clone();
    }
    if form == Form::Int4 {
        config["quantization_config"] = json!({"quant_method": "auto-round",
            "packing_format": "auto_round:auto_gptq", "bits": 4, "group_size": 128, "sym": true,
            "data_type": "int", "autoround_version": "0.16.1"});
    }
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    for name in ["tokenizer_config.json", "generation_config.json"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), dir.join(name)).unwrap();
        }
    }
    let mut tokenizer = json(&from.join("tokenizer.json"));
    if text["model_type"] == "gemma4_text" {
        // Its embedding is cut to the tokens.
        let vocab = tokenizer["model"]["vocab"].as_object_mut().unwrap();
        let used = vocab.len() as u64;
        let rows = text["vocab_size"].as_u64().unwrap();
        vocab.extend((used..rows).map(|id| (format!("x{id}"), id.into())));
    }
    std::fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
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
    for model in published() {
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
            let reasons: Vec<&Reason> = plan.left_out.iter().map(|item| &item.reason).collect();
            assert_eq!(reasons, vec![&Reason::OtherPart; model.others], "{what}");
            // What was quantized stays so.
            let of = |ty| plan.tensors.iter().filter(|tensor| tensor.ty() == ty).count();
            let (q4_0, bf16) = (of(GgmlType::Q4_0), of(GgmlType::BF16));
            assert_eq!(q4_0 > bf16, form == Form::Int4, "{what}: {q4_0} of Q4_0, {bf16} of BF16");
        }
    }
}

/// A value in the form of the golden file.
fn golden(value: &Value) -> Json {
    match value {
        Value::U32(n) => json!(["UINT32", n]),
        Value::F32(n) => json!(["FLOAT32", f64::from(*n)]),
        Value::Array(Array::I32(list)) => json!(["[INT32]", list]),
        Value::Array(Array::Bool(list)) => json!(["[BOOL]", list]),
        other => panic!("{other:?}"),
    }
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
        .map(|(key, value)| (key.to_owned(), golden(value)))
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
