//! The published configurations, and one test per refusal.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::testing::{self, with};
use super::*;

/// That of GLM-4.7-Flash.
fn flash() -> Map<String, Value> {
    let value = json!({
        "architectures": ["Glm4MoeLiteForCausalLM"], "model_type": "glm4_moe_lite", "attention_bias": false,
        "first_k_dense_replace": 1, "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 10_240,
        "kv_lora_rank": 512, "max_position_embeddings": 202_752, "moe_intermediate_size": 1536, "n_group": 1,
        "n_routed_experts": 64, "n_shared_experts": 1, "norm_topk_prob": true, "num_attention_heads": 20,
        "num_experts_per_tok": 4, "num_hidden_layers": 47, "num_key_value_heads": 20,
        "num_nextn_predict_layers": 1, "partial_rotary_factor": 1.0, "q_lora_rank": 768,
        "qk_nope_head_dim": 192, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-5, "rope_scaling": null,
        "rope_theta": 1_000_000, "routed_scaling_factor": 1.8, "tie_word_embeddings": false, "topk_group": 1,
        "topk_method": "noaux_tc", "v_head_dim": 256, "vocab_size": 154_880
    });
    value.as_object().unwrap().clone()
}

/// What differs in that of `DeepSeek` V3.
fn v3() -> Map<String, Value> {
    let mut fields = flash();
    let value = json!({
        "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "first_k_dense_replace": 3,
        "hidden_size": 7168, "intermediate_size": 18_432, "moe_intermediate_size": 2048, "moe_layer_freq": 1,
        "n_group": 8, "n_routed_experts": 256, "num_attention_heads": 128, "num_experts_per_tok": 8,
        "num_hidden_layers": 61, "num_key_value_heads": 128, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
        "rope_scaling": {
            "beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
            "original_max_position_embeddings": 4096, "type": "yarn"
        },
        "rope_theta": 10_000, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "topk_group": 4,
        "v_head_dim": 128, "vocab_size": 129_280
    });
    fields.extend(value.as_object().unwrap().clone());
    fields
}

#[track_caller]
fn refused(field: &str, value: Value, words: &str) {
    testing::refused(v3(), field, value, words);
}

#[test]
fn the_published_models_are_read_and_differ_in_tokenizer_and_mtp_layer() {
    let (flash, v3) = (testing::read(flash()).unwrap(), testing::read(v3()).unwrap());
    assert_eq!((flash.family().gguf, v3.family().gguf), ("deepseek2", "deepseek2"));
    assert_eq!((flash.family().tokenizer, v3.family().tokenizer), (Tokenizer::Glm4, Tokenizer::Plain));
    let keys = flash.metadata(1);
    for (key, value) in [
        ("block_count", 48),
        ("attention.head_count_kv", 1),
        ("attention.key_length", 576),
        ("attention.value_length", 512),
        ("attention.key_length_mla", 256),
        ("attention.value_length_mla", 256),
        ("expert_gating_func", 2),
        ("nextn_predict_layers", 1),
    ] {
        assert_eq!(keys.u64(&format!("deepseek2.{key}")), Some(value), "{key}");
    }
    let has_all = |_: &str| true;
    let layout = |h: &HParams| super::super::families::layout(h, true, &has_all);
    assert_eq!((layout(&flash).mtp_layers, layout(&flash).unused_mtp.len()), (1, 0));
    assert_eq!((layout(&v3).mtp_layers, layout(&v3).unused_mtp), (0, vec!["model.layers.61.".to_owned()]));
    let kimi = with(self::v3(), "model_type", json!("kimi_k2")).unwrap();
    assert_eq!(HParams { family: "", ..kimi }, HParams { family: "", ..v3 });
}

#[test]
fn queries_without_a_smaller_vector_are_for_the_depths_that_llama_cpp_expects() {
    refused("q_lora_rank", Value::Null, "`q_lora_rank` of null with 61 layers");
    refused("num_hidden_layers", json!(27), "`q_lora_rank` of 1536 with 27 layers");
    let mut lite = v3();
    lite.insert("num_hidden_layers".to_owned(), json!(26));
    let h = with(lite, "q_lora_rank", Value::Null).unwrap();
    let layout = super::super::families::layout(&h, true, &|_| true);
    let has = |name: &str| layout.targets.iter().any(|target| target.name == name);
    assert!(has("blk.0.attn_q.weight") && !has("blk.0.attn_q_a.weight"));
}

#[test]
fn what_the_graph_does_otherwise_is_refused() {
    refused("attention_bias", json!(true), "`attention_bias` of true");
    refused("scoring_func", json!("softmax"), "`scoring_func` of `softmax`");
    refused("topk_method", json!("greedy"), "`topk_method` of \"greedy\"");
    refused("moe_layer_freq", json!(2), "`moe_layer_freq` of 2");
    refused("rope_interleave", json!(false), "`rope_interleave` of false");
    refused("hidden_act", json!("gelu"), "`hidden_act` of `gelu`");
    refused("partial_rotary_factor", json!(0.5), "rotation of 32 of 64 elements");
    refused("num_key_value_heads", json!(64), "expected `num_attention_heads`, 128, with latent attention");
    refused("qk_head_dim", json!(64), "together, 192");
    refused("n_shared_experts", json!(0), "`n_shared_experts`");
    refused("first_k_dense_replace", Value::Null, "`first_k_dense_replace` is missing");
    refused("mlp_layer_types", json!(vec!["sparse"; 61]), "then `sparse`, for 61 layers");
    refused("mlp_layer_types", json!(["dense"]), "then `sparse`, for 61 layers");
    refused("n_group", json!(7), "a divisor of 256 experts");
    refused("num_nextn_predict_layers", json!(u64::MAX), "at most 512");
}

#[test]
fn yarn_scales_attention_as_the_graph_does_or_is_refused() {
    let yarn = |mscale: Value, all: Value| json!({"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "mscale": mscale, "mscale_all_dim": all});
    let h = with(v3(), "rope_scaling", yarn(json!(0.5), json!(0.5))).unwrap();
    assert_eq!(
        h.metadata(0).get("deepseek2.rope.scaling.yarn_log_multiplier"),
        Some(&crate::gguf::Value::F32(0.05))
    );
    refused("rope_scaling", yarn(json!(1.0), json!(0.5)), "`mscale` of 1 and `mscale_all_dim` of 0.5");
    refused("rope_scaling", yarn(Value::Null, json!(1.0)), "`rope_scaling.mscale` is missing");
    refused("rope_scaling", yarn(Value::Null, Value::Null), "`rope_scaling.mscale` is missing");
    let mut exact = yarn(json!(1.0), json!(1.0));
    exact["truncate"] = json!(false);
    refused("rope_scaling", exact, "`rope_scaling.truncate` of false");
}

proptest! {
    #[test]
    fn any_value_of_any_field_is_within_the_limits_or_refused(
        index in 0..v3().len(),
        value in testing::any_value(),
    ) {
        let field = v3().keys().nth(index).unwrap().clone();
        if let Ok(h) = with(v3(), &field, value) {
            let mla = h.mla.unwrap();
            prop_assert!(h.layers.len() as u64 <= limits::LAYERS && mla.rank <= limits::WIDTH);
            prop_assert!(mla.plain <= MAX_HEAD_DIM && mla.value <= MAX_HEAD_DIM && h.nextn <= limits::LAYERS);
            let layout = super::super::families::layout(&h, true, &|_| false);
            prop_assert!(layout.targets.iter().all(testing::has_all_rows));
        }
    }
}
