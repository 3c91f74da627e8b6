//! Both forms of `config.json`, and one test per refusal.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::hparams::RopeScaling;
use super::super::testing::{self, read};
use super::*;

/// The published 80B-A3B, as transformers 4 writes it.
fn published() -> Map<String, Value> {
    let value = json!({
        "architectures": ["Qwen3NextForCausalLM"], "model_type": "qwen3_next", "vocab_size": 151_936,
        "hidden_size": 2048, "intermediate_size": 5120, "num_hidden_layers": 48,
        "full_attention_interval": 4, "max_position_embeddings": 262_144, "num_attention_heads": 16,
        "num_key_value_heads": 2, "head_dim": 256, "rms_norm_eps": 1e-6, "rope_theta": 10_000_000,
        "partial_rotary_factor": 0.25, "rope_scaling": null, "num_experts": 512,
        "num_experts_per_tok": 10, "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512,
        "linear_conv_kernel_dim": 4, "linear_num_key_heads": 16, "linear_num_value_heads": 32,
        "linear_key_head_dim": 128, "linear_value_head_dim": 128, "norm_topk_prob": true,
        "attention_bias": false, "mlp_only_layers": [], "decoder_sparse_step": 1,
        "tie_word_embeddings": false, "hidden_act": "silu"
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
    let h = read(published()).unwrap();
    assert_eq!((h.layers.len(), h.rope.dims, h.rope.base), (48, 64, 1e7));
    let full: Vec<_> = (0..48).filter(|&l| h.layers[l].attention == Attention::Full).collect();
    assert_eq!(full, (3..48).step_by(4).collect::<Vec<_>>());
}

#[test]
fn both_forms_of_the_rotary_parameters_are_read_alike() {
    let mut fields = published();
    for old in ["rope_theta", "partial_rotary_factor", "rope_scaling"] {
        fields.remove(old);
    }
    fields.insert(
        "rope_parameters".into(),
        json!({"rope_type": "default", "rope_theta": 1e7, "partial_rotary_factor": 0.25}),
    );
    let kinds: Vec<_> =
        (1..=48).map(|l| if l % 4 == 0 { "full_attention" } else { "linear_attention" }).collect();
    fields.insert("layer_types".into(), json!(kinds));
    assert_eq!(read(fields).unwrap(), read(published()).unwrap());
}

// transformers takes `rope_scaling` where both are there.
#[test]
fn both_forms_at_once_must_mean_the_same() {
    let original = 262_144;
    let older =
        json!({"type": "yarn", "factor": 4, "original_max_position_embeddings": original, "beta_fast": null});
    let newer = json!({
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": original, "rope_theta": 1e7,
        "partial_rotary_factor": 0.25
    });
    let mut fields = published();
    fields.insert("rope_scaling".to_owned(), older);
    let both = testing::with(fields.clone(), "rope_parameters", newer.clone()).unwrap();
    assert_eq!(both, read(fields.clone()).unwrap());
    for (field, value) in [
        ("factor", json!(8)),
        ("beta_fast", json!(16)),
        ("rope_theta", json!(1e6)),
        ("rope_type", json!("default")),
    ] {
        let mut other = newer.clone();
        other[field] = value;
        testing::refused(fields.clone(), "rope_parameters", other, "`rope_scaling` is `{\"");
    }
}

#[test]
fn layer_types_take_precedence_over_the_interval() {
    let mut fields = published();
    fields.insert("num_hidden_layers".into(), json!(2));
    fields.insert("layer_types".into(), json!(["full_attention", "linear_attention"]));
    assert_eq!(
        read(fields).unwrap().layers.iter().map(|layer| layer.attention).collect::<Vec<_>>(),
        [Attention::Full, Attention::Linear]
    );
    refused("layer_types", json!(["full_attention"]), "expected 48 times");
    refused("layer_types", json!(vec!["sliding"; 48]), "expected 48 times");
}

#[test]
fn yarn_and_linear_scaling_are_kept() {
    let yarn = json!({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 262_144});
    let scaling = with("rope_scaling", yarn).unwrap().rope.scaling;
    let RopeScaling::Yarn { factor, original_context, beta_fast, .. } = scaling else { panic!() };
    assert_eq!((factor, original_context, beta_fast), (4.0, 262_144, None));
    let linear = with("rope_scaling", json!({"rope_type": "linear", "factor": 2})).unwrap();
    assert_eq!(linear.rope.scaling, RopeScaling::Linear { factor: 2.0 });
    refused("rope_scaling", json!({"rope_type": "yarn", "factor": 4}), "rope_scaling.original_max");
    refused("rope_scaling", json!({"rope_type": "linear"}), "`rope_scaling.factor` is missing");
    refused("rope_scaling", json!({"rope_type": "llama3", "factor": 4}), "rope type `llama3`");
}

#[test]
fn other_models_are_refused_by_name() {
    refused(
        "model_type",
        json!("bert"),
        "`model_type` is `\"bert\"`, expected one of `qwen3_next`, `qwen3_5`",
    );
    refused("model_type", json!(null), "`model_type` is missing");
    refused("architectures", json!(["Qwen3MoeForCausalLM"]), "expected one of `Qwen3NextForCausalLM` first");
    refused("architectures", json!([]), "expected one of `Qwen3NextForCausalLM` first");
}

#[test]
fn options_that_the_graph_ignores_are_refused() {
    refused("norm_topk_prob", json!(false), "`norm_topk_prob` of false");
    refused("attention_bias", json!(true), "`attention_bias` of true");
    refused("mlp_only_layers", json!([0, 1]), "`mlp_only_layers` with 2 layers");
    refused("decoder_sparse_step", json!(2), "`decoder_sparse_step` of 2");
    refused("linear_value_head_dim", json!(64), "`linear_value_head_dim` of 64 beside");
    refused("hidden_act", json!("gelu"), "`hidden_act` of `gelu`");
}

#[test]
fn inconsistent_sizes_are_refused() {
    refused("linear_num_value_heads", json!(24), "a multiple of `linear_num_key_heads`, 16");
    refused("num_key_value_heads", json!(3), "a divisor of `num_attention_heads`, 16");
    refused("num_experts_per_tok", json!(513), "at most `num_experts`, 512");
    refused("partial_rotary_factor", json!(1.5), "`partial_rotary_factor` is `1.5`");
    refused("partial_rotary_factor", json!(0.001), "`partial_rotary_factor`");
    refused("rms_norm_eps", json!(0), "a positive number");
    refused("rope_theta", json!(-1), "a positive number");
}

#[test]
fn every_size_has_a_lower_and_an_upper_limit() {
    for (field, value) in published() {
        if value.is_u64() && !["decoder_sparse_step", "rope_theta"].contains(&field.as_str()) {
            for bad in [json!(0), json!(u64::MAX), json!("7"), json!(1.5), json!(-1)] {
                assert!(with(&field, bad.clone()).is_err(), "{field} {bad}");
            }
        }
    }
    refused("num_hidden_layers", json!(513), "from 1 to 512");
    refused("num_experts", json!(1025), "from 1 to 1024");
}

#[test]
fn sizes_beyond_those_that_a_run_accepts_are_refused() {
    refused("max_position_embeddings", json!(1u64 << 31), "expected an integer from 1 to 2147483647");
    assert_eq!(with("max_position_embeddings", json!(limits::CONTEXT)).unwrap().context, limits::CONTEXT);
    refused("hidden_size", json!(limits::WIDTH + 1), "expected an integer from 1 to 1048576");
    refused("linear_num_value_heads", json!(4096 * 4), "`linear_num_value_heads`");
    let mut fields = published();
    fields.insert("linear_value_head_dim".to_owned(), json!(4096));
    fields.insert("linear_key_head_dim".to_owned(), json!(4096));
    fields.insert("linear_num_value_heads".to_owned(), json!(512));
    let error = read(fields).unwrap_err().to_string();
    assert!(
        error.contains("`linear_num_value_heads` is `512`, expected at most 256 for heads of 4096"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn any_value_of_any_field_is_within_the_limits_or_refused(
        index in 0..published().len(),
        value in testing::any_value(),
    ) {
        let field = published().keys().nth(index).unwrap().clone();
        if let Ok(h) = with(&field, value) {
            prop_assert!(h.context <= limits::CONTEXT && h.hidden <= limits::WIDTH && h.vocab <= limits::VOCAB);
            prop_assert!(h.layers.len() as u64 <= limits::LAYERS && h.experts.unwrap().count <= limits::EXPERTS);
            prop_assert!(h.delta.unwrap().values() <= limits::WIDTH);
            prop_assert!(h.rope.dims <= h.head_dim && h.rope.dims.is_multiple_of(2));
        }
    }
}
