//! The models: dimensions from their configurations, and parameters by a formula of its own.

use std::path::Path;

use serde_json::{Map, Value as Json, json};
use testkit::family::folder;

use crate::tensors::{self, Form, Tensors};

/// A model, and what is expected of its plan.
pub(crate) struct Published {
    pub(crate) name: &'static str,
    /// Folder of `tests/data/families` with the configuration that `changes` changes, and the tokenizer.
    pub(crate) family: &'static str,
    pub(crate) changes: Json,
    pub(crate) tensors: fn(&mut Tensors<'_>),
    /// Parameters of the language model, with the MTP layer unless it is left out.
    pub(crate) parameters: u64,
    /// Tensors of other parts.
    pub(crate) others: usize,
    /// Whether an MTP layer, if it has one, is not left out.
    pub(crate) keeps_mtp: bool,
}

pub(crate) fn merged(base: &Json, changes: &Json) -> Json {
    let mut all: Map<String, Json> = base.as_object().unwrap().clone();
    all.extend(changes.as_object().unwrap().clone());
    Json::Object(all)
}

/// Writes the files beside the weights: those of a folder of `tests/data/families`, with changes to the section of the
/// language model, which is returned.
pub(crate) fn write_config(dir: &Path, family: &str, changes: &Json, form: Form) -> Json {
    let from = folder(family);
    let json = |name: &str| -> Json {
        serde_json::from_str(&std::fs::read_to_string(from.join(name)).unwrap()).unwrap()
    };
    let mut config = json("config.json");
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
    let is_gemma = text["model_type"] == "gemma4_text";
    if is_gemma {
        // Its tensors have an audio part.
        config["audio_config"] = json!({"model_type": "gemma4_audio"});
    }
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    for name in ["tokenizer_config.json", "generation_config.json"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), dir.join(name)).unwrap();
        }
    }
    let mut tokenizer = json("tokenizer.json");
    if is_gemma {
        // Its embedding is cut to the tokens.
        let vocab = tokenizer["model"]["vocab"].as_object_mut().unwrap();
        let used = vocab.len() as u64;
        let rows = text["vocab_size"].as_u64().unwrap();
        vocab.extend((used..rows).map(|id| (format!("x{id}"), id.into())));
    }
    std::fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    text
}

fn layer_types(layers: usize, interval: usize, other: &str) -> Json {
    (0..layers).map(|l| if (l + 1) % interval == 0 { "full_attention" } else { other }).collect()
}

/// The largest of each family, and the Gemma 4 with an embedding for each layer.
pub(crate) fn published() -> Vec<Published> {
    [qwen(), others(), latent(), gemma()].into_iter().flatten().collect()
}

fn qwen() -> Vec<Published> {
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
            keeps_mtp: true,
        },
        Published {
            name: "Qwen3.5-397B-A17B",
            family: "qwen3_5-moe",
            changes: qwen3_5(json!({"hidden_size": 4096, "num_hidden_layers": 60, "layer_types": delta(60),
                "num_attention_heads": 32, "num_key_value_heads": 2, "linear_num_value_heads": 64,
                "num_experts": 512, "num_experts_per_tok": 10, "moe_intermediate_size": 1024,
                "shared_expert_intermediate_size": 1024})),
            tensors: tensors::qwen3_5,
            parameters: 402_941_918_464,
            others: 1,
            keeps_mtp: true,
        },
        Published {
            name: "Qwen3-Next-80B-A3B",
            family: "qwen3-moe",
            changes: json!({"architectures": ["Qwen3NextForCausalLM"], "model_type": "qwen3_next",
                "hidden_size": 2048, "intermediate_size": 5120, "num_hidden_layers": 48,
                "num_attention_heads": 16, "num_key_value_heads": 2, "head_dim": 256,
                "linear_conv_kernel_dim": 4, "linear_num_key_heads": 16, "linear_key_head_dim": 128,
                "linear_num_value_heads": 32, "linear_value_head_dim": 128, "full_attention_interval": 4,
                "num_experts": 512, "num_experts_per_tok": 10, "moe_intermediate_size": 512,
                "shared_expert_intermediate_size": 512, "partial_rotary_factor": 0.25,
                "rope_parameters": null, "rope_scaling": null, "rope_theta": 10_000_000,
                "vocab_size": 151_936}),
            tensors: tensors::qwen3_next,
            parameters: 81_324_862_720,
            others: 0,
            keeps_mtp: true,
        },
        Published {
            name: "Qwen3-32B",
            family: "qwen3",
            changes: json!({"hidden_size": 5120, "intermediate_size": 25_600, "num_hidden_layers": 64,
                "layer_types": layer_types(64, 1, "full_attention"), "num_attention_heads": 64,
                "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": false,
                "vocab_size": 151_936}),
            tensors: |out| tensors::llama(out, "model.", "lm_head"),
            parameters: 32_762_123_264,
            others: 0,
            keeps_mtp: true,
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
            keeps_mtp: true,
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
            keeps_mtp: true,
        },
    ]
}

fn others() -> Vec<Published> {
    vec![
        Published {
            name: "Llama-3.1-405B",
            family: "llama3",
            changes: json!({"hidden_size": 16_384, "intermediate_size": 53_248, "num_hidden_layers": 126,
                "num_attention_heads": 128, "num_key_value_heads": 8, "head_dim": 128,
                "vocab_size": 128_256}),
            tensors: |out| tensors::llama(out, "model.", "lm_head"),
            parameters: 405_853_388_800,
            others: 0,
            keeps_mtp: true,
        },
        Published {
            // Its language model has the dimensions of Devstral 2.
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
            keeps_mtp: true,
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
            keeps_mtp: true,
        },
        Published {
            name: "gpt-oss-120b",
            family: "gpt-oss",
            changes: json!({"hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 36,
                "layer_types": layer_types(36, 2, "sliding_attention"), "num_attention_heads": 64,
                "num_key_value_heads": 8, "head_dim": 64, "num_local_experts": 128,
                "num_experts_per_tok": 4, "sliding_window": 128, "vocab_size": 201_088}),
            tensors: tensors::gpt_oss,
            parameters: 116_829_156_672,
            others: 0,
            keeps_mtp: true,
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
            keeps_mtp: true,
        },
    ]
}

/// `DeepSeek` V3, Kimi K2, which has no MTP layer, and GLM-4.7-Flash.
fn latent() -> Vec<Published> {
    vec![
        Published {
            name: "DeepSeek-V3",
            family: "deepseek-v3",
            changes: json!({"hidden_size": 7168, "intermediate_size": 18_432, "num_hidden_layers": 61,
                "num_attention_heads": 128, "num_key_value_heads": 128, "q_lora_rank": 1536,
                "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "qk_head_dim": 192,
                "head_dim": 64, "v_head_dim": 128, "n_routed_experts": 256, "num_experts_per_tok": 8,
                "n_group": 8, "topk_group": 4, "moe_intermediate_size": 2048, "first_k_dense_replace": 3,
                "vocab_size": 129_280}),
            tensors: |out| tensors::latent(out, false),
            parameters: 671_026_419_200,
            others: 0,
            keeps_mtp: false,
        },
        Published {
            name: "Kimi K2",
            family: "deepseek-v3",
            changes: json!({"model_type": "kimi_k2", "hidden_size": 7168, "intermediate_size": 18_432,
                "num_hidden_layers": 61, "num_attention_heads": 64, "num_key_value_heads": 64,
                "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
                "qk_head_dim": 192, "head_dim": 64, "v_head_dim": 128, "n_routed_experts": 384,
                "num_experts_per_tok": 8, "n_group": 1, "topk_group": 1, "moe_intermediate_size": 2048,
                "first_k_dense_replace": 1, "num_nextn_predict_layers": 0, "vocab_size": 163_840}),
            tensors: |out| tensors::latent(out, true),
            parameters: 1_026_408_232_448,
            others: 0,
            keeps_mtp: true,
        },
        Published {
            name: "GLM-4.7-Flash",
            family: "glm4-moe-lite",
            changes: json!({"hidden_size": 2048, "intermediate_size": 10_240, "num_hidden_layers": 47,
                "mlp_layer_types": null, "num_attention_heads": 20, "num_key_value_heads": 20,
                "q_lora_rank": 768, "kv_lora_rank": 512, "qk_nope_head_dim": 192, "qk_rope_head_dim": 64,
                "qk_head_dim": 256, "v_head_dim": 256, "n_routed_experts": 64, "num_experts_per_tok": 4,
                "moe_intermediate_size": 1536, "first_k_dense_replace": 1, "num_nextn_predict_layers": 1,
                "vocab_size": 154_880}),
            tensors: |out| tensors::latent(out, true),
            parameters: 31_221_488_576,
            others: 0,
            keeps_mtp: true,
        },
    ]
}

fn gemma() -> Vec<Published> {
    let gemma = |layers| layer_types(layers, 6, "sliding_attention");
    vec![
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
            keeps_mtp: true,
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
            keeps_mtp: true,
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
            keeps_mtp: true,
        },
    ]
}
