//! The published configuration, and one test per refusal.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::hparams::RopeScaling;
use super::super::testing;
use super::*;

/// That of the 20B model.
fn published() -> Map<String, Value> {
    let kinds: Vec<_> =
        (0..24).map(|l| if l % 2 == 0 { "sliding_attention" } else { "full_attention" }).collect();
    let value = json!({
        "architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "attention_bias": true,
        "attention_dropout": 0.0, "experts_per_token": 4, "head_dim": 64, "hidden_act": "silu",
        "hidden_size": 2880, "initial_context_length": 4096, "intermediate_size": 2880, "layer_types": kinds,
        "max_position_embeddings": 131_072, "num_attention_heads": 64, "num_experts_per_tok": 4,
        "num_hidden_layers": 24, "num_key_value_heads": 8, "num_local_experts": 32, "rms_norm_eps": 1e-5,
        "rope_scaling": {
            "beta_fast": 32.0, "beta_slow": 1.0, "factor": 32.0, "original_max_position_embeddings": 4096,
            "rope_type": "yarn", "truncate": false
        },
        "rope_theta": 150_000, "sliding_window": 128, "swiglu_limit": 7.0, "tie_word_embeddings": false,
        "vocab_size": 201_088
    });
    value.as_object().unwrap().clone()
}

fn with(field: &str, value: Value) -> Result<HParams> {
    testing::with(published(), field, value)
}

#[track_caller]
fn refused(field: &str, value: Value, words: &str) {
    testing::refused(published(), field, value, words);
}

#[test]
fn the_published_model_is_read() {
    let h = with("rope_theta", json!(150_000)).unwrap();
    assert_eq!((h.layers.len(), h.sliding_window, h.experts.unwrap().count), (24, Some(128), 32));
    assert!(matches!(h.rope.scaling, RopeScaling::Yarn { truncate: false, .. }));
    assert!(h.notes().len() == 1);
    let without = with("layer_types", Value::Null).unwrap();
    assert_eq!(without.layers, h.layers);
}

#[test]
fn what_the_graph_does_otherwise_is_refused() {
    refused("rope_theta", Value::Null, "`rope_theta` is missing");
    refused("attention_bias", json!(false), "`attention_bias` of false");
    refused("tie_word_embeddings", json!(true), "`tie_word_embeddings` of true");
    refused("swiglu_limit", json!(6.0), "`swiglu_limit` of 6");
    refused("swiglu_alpha", json!(1.7), "`swiglu_alpha` of 1.7");
    refused("hidden_act", json!("gelu"), "`hidden_act` of `gelu`");
    refused("sliding_window", Value::Null, "`sliding_window` is missing");
    refused("layer_types", json!(vec!["full_attention"; 24]), "in turn, for 24 layers");
    refused("layer_types", json!(["sliding_attention"]), "in turn, for 24 layers");
    refused("experts_per_token", json!(2), "expected `num_experts_per_tok`, 4");
    refused("partial_rotary_factor", json!(0.5), "rotation of 32 of 64 elements");
    refused("rope_scaling", json!({"rope_type": "llama3", "factor": 4}), "rope type `llama3`");
}

proptest! {
    #[test]
    fn any_value_of_any_field_is_within_the_limits_or_refused(
        index in 0..published().len(),
        value in testing::any_value(),
    ) {
        let field = published().keys().nth(index).unwrap().clone();
        if let Ok(h) = with(&field, value) {
            let experts = h.experts.unwrap();
            prop_assert!(h.layers.len() as u64 <= limits::LAYERS && experts.count <= limits::EXPERTS);
            prop_assert!(experts.used <= experts.count && h.sliding_window.unwrap() <= limits::CONTEXT);
            let layout = super::super::families::layout(&h, true, &|name| name.ends_with("_blocks"));
            prop_assert!(layout.targets.iter().all(testing::has_all_rows));
        }
    }
}
