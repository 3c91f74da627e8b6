//! Published configurations, both forms of the heads, and one test per refusal.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::{Layout, Names, Rule, layout, testing};
use super::*;

fn kinds(layers: usize, interval: usize) -> Value {
    let kind = |l| if (l + 1) % interval == 0 { "full_attention" } else { "sliding_attention" };
    (0..layers).map(kind).collect()
}

/// The published 31B.
fn published() -> Map<String, Value> {
    let value = json!({
        "architectures": ["Gemma4ForCausalLM"], "model_type": "gemma4_text", "vocab_size": 262_144,
        "hidden_size": 5376, "intermediate_size": 21_504, "num_hidden_layers": 60,
        "layer_types": kinds(60, 6), "max_position_embeddings": 262_144, "num_attention_heads": 32,
        "num_key_value_heads": 16, "num_global_key_value_heads": 4, "head_dim": 256, "global_head_dim": 512,
        "attention_k_eq_v": true, "num_kv_shared_layers": 0, "hidden_size_per_layer_input": 0,
        "vocab_size_per_layer_input": 262_144, "sliding_window": 1024, "rms_norm_eps": 1e-6,
        "final_logit_softcapping": 30.0, "attention_bias": false, "enable_moe_block": false,
        "use_double_wide_mlp": false, "use_bidirectional_attention": "vision", "tie_word_embeddings": true,
        "hidden_activation": "gelu_pytorch_tanh", "rope_parameters": {
            "full_attention":
                {"partial_rotary_factor": 0.25, "rope_theta": 1_000_000.0, "rope_type": "proportional"},
            "sliding_attention": {"rope_theta": 10_000.0, "rope_type": "default"}
        }
    });
    value.as_object().unwrap().clone()
}

fn changed(changes: &Value) -> Map<String, Value> {
    let mut fields = published();
    fields.extend(changes.as_object().unwrap().clone());
    fields
}

/// The published E2B.
fn small() -> Map<String, Value> {
    changed(&json!({
        "hidden_size": 1536, "intermediate_size": 6144, "num_hidden_layers": 35, "layer_types": kinds(35, 5),
        "max_position_embeddings": 131_072, "num_attention_heads": 8, "num_key_value_heads": 1,
        "num_global_key_value_heads": null, "attention_k_eq_v": false, "num_kv_shared_layers": 20,
        "hidden_size_per_layer_input": 256, "sliding_window": 512, "use_double_wide_mlp": true,
        "use_bidirectional_attention": null
    }))
}

/// The published 26B-A4B.
fn with_experts() -> Map<String, Value> {
    changed(&json!({
        "hidden_size": 2816, "intermediate_size": 2112, "num_hidden_layers": 30, "layer_types": kinds(30, 6),
        "num_attention_heads": 16, "num_key_value_heads": 8, "num_global_key_value_heads": 2,
        "enable_moe_block": true, "num_experts": 128, "top_k_experts": 8, "moe_intermediate_size": 704
    }))
}

#[track_caller]
fn refused(field: &str, value: Value, words: &str) {
    testing::refused(published(), field, value, words);
}

#[test]
fn the_published_31b_is_read() {
    let h = testing::read(published()).unwrap();
    assert_eq!((h.layers.len(), h.head_dim, h.kv_heads, h.rope.dims, h.rope.base), (60, 512, 4, 512, 1e6));
    assert_eq!(h.rope.scaling, RopeScaling::Proportional { rotated: 64 });
    let gemma = h.gemma.unwrap();
    assert_eq!((gemma.window, gemma.head_dim, gemma.kv_heads, gemma.rope_base), (1024, 256, 16, 1e4));
    assert_eq!((gemma.softcap, gemma.keys_are_values, h.tied), (Some(30.0), true, true));
    let factors = h.rope.factors().unwrap();
    assert_eq!((factors.len(), factors[63], factors[64], factors[255]), (256, 1.0, 1e30, 1e30));
    let keys = h.metadata(0);
    let kv: Vec<i32> = [[16; 5].as_slice(), &[4]].concat().repeat(10);
    assert_eq!(*keys.get("gemma4.attention.head_count_kv").unwrap(), kv.into());
    assert_eq!(keys.u64("gemma4.feed_forward_length"), Some(21_504));
}

#[test]
fn heads_by_layer_are_those_of_the_fields_before() {
    let full = json!({"head_dim": 512, "num_key_value_heads": 4});
    let by_layer: Map<String, Value> =
        (5..60).step_by(6).map(|l: usize| (l.to_string(), full.clone())).collect();
    let mut fields = changed(&json!({"per_layer_config": by_layer}));
    assert_eq!(testing::read(fields.clone()).unwrap(), testing::read(published()).unwrap());
    fields.remove("global_head_dim");
    fields.remove("num_global_key_value_heads");
    assert_eq!(testing::read(fields.clone()).unwrap(), testing::read(published()).unwrap());

    testing::refused(fields.clone(), "global_head_dim", json!(256), "`global_head_dim` is `256`");
    testing::refused(
        fields.clone(),
        "num_global_key_value_heads",
        json!(8),
        "`num_global_key_value_heads` is `8`",
    );
    for (layer, own, words) in [
        ("59", json!({"head_dim": 256}), "layer 5 of `per_layer_config`"),
        ("11", json!({"num_key_value_heads": 8, "head_dim": 512}), "layer 11 of `per_layer_config`"),
        ("0", full.clone(), "layer 0 of `per_layer_config`"),
        ("60", full.clone(), "a layer below 60"),
        ("5", json!({"sliding_window": 7}), "`per_layer_config.5.sliding_window`"),
        ("5", json!({"head_dim": 0}), "`per_layer_config.5.head_dim` is `0`"),
        ("5", json!([]), "an object"),
    ] {
        let mut list = by_layer.clone();
        list.insert(layer.to_owned(), own);
        testing::refused(fields.clone(), "per_layer_config", Value::Object(list), words);
    }
}

#[test]
fn layers_of_the_published_e2b_share_keys_and_are_twice_as_wide() {
    let h = testing::read(small()).unwrap();
    let kinds: Vec<Attention> = h.layers[13..17].iter().map(|layer| layer.attention).collect();
    let shared = Attention::SharedSliding;
    assert_eq!(kinds, [Attention::Sliding, Attention::Full, shared, shared]);
    assert_eq!((h.kv_heads, h.head_dim, h.gemma.unwrap().layer_embedding), (1, 512, 256));
    let keys = h.metadata(0);
    assert_eq!(keys.u64("gemma4.attention.head_count_kv"), Some(1));
    assert_eq!(keys.u64("gemma4.attention.shared_kv_layers"), Some(20));
    assert_eq!(keys.u64("gemma4.embedding_length_per_layer_input"), Some(256));
    let widths: Vec<i32> = [vec![6144; 15], vec![12_288; 20]].concat();
    assert_eq!(*keys.get("gemma4.feed_forward_length").unwrap(), widths.into());
}

fn laid_out(h: &HParams, has: &dyn Fn(&str) -> bool) -> Layout {
    layout(h, false, &|module| module == Names::ALL[1].embedding() || has(module))
}

fn dims(layout: &Layout, name: &str) -> Option<Vec<u64>> {
    layout.targets.iter().find(|target| target.name == name).map(|target| target.dims.clone())
}

#[test]
fn shared_keys_are_taken_only_where_they_are_stored() {
    let h = HParams { tokens: 262_000, ..testing::read(small()).unwrap() };
    let without = laid_out(&h, &|_| false);
    for (name, size) in [
        ("token_embd", vec![1536, 262_000]),
        ("per_layer_token_embd", vec![256 * 35, 262_000]),
        ("per_layer_model_proj", vec![1536, 256 * 35]),
        ("per_layer_proj_norm", vec![256]),
        ("blk.34.inp_gate", vec![1536, 256]),
        ("blk.34.proj", vec![256, 1536]),
        ("blk.34.post_norm", vec![1536]),
        ("blk.14.ffn_up", vec![1536, 6144]),
        ("blk.15.ffn_up", vec![1536, 12_288]),
        ("blk.14.attn_v", vec![1536, 512]),
    ] {
        assert_eq!(dims(&without, &format!("{name}.weight")), Some(size), "{name}");
    }
    let all = laid_out(&h, &|module| module.contains("self_attn"));
    for (name, size) in [("attn_k", vec![1536, 256]), ("attn_v", vec![1536, 256]), ("attn_k_norm", vec![256])]
    {
        assert_eq!(dims(&without, &format!("blk.15.{name}.weight")), None);
        assert_eq!(dims(&all, &format!("blk.15.{name}.weight")), Some(size));
    }
    assert_eq!(all.targets.len(), without.targets.len() + 3 * 20);
}

#[test]
fn a_value_beside_a_key_that_is_the_value_is_not_taken() {
    let h = testing::read(published()).unwrap();
    let all = laid_out(&h, &|module| module.contains("self_attn"));
    assert_eq!(dims(&all, "blk.4.attn_v.weight"), Some(vec![5376, 16 * 256]));
    assert_eq!(dims(&all, "blk.5.attn_k.weight"), Some(vec![5376, 4 * 512]));
    assert_eq!(dims(&all, "blk.5.attn_v.weight"), None);
}

#[test]
fn experts_have_no_factors_beside_those_of_the_router() {
    let h = testing::read(with_experts()).unwrap();
    assert_eq!(h.experts.map(|experts| (experts.count, experts.used, experts.ff)), Some((128, 8, 704)));
    for is_stacked in [false, true] {
        let layout = laid_out(&h, &|module| is_stacked && module.ends_with("experts.gate_up_proj"));
        assert_eq!(dims(&layout, "blk.3.ffn_gate_up_exps.weight"), Some(vec![2816, 1408, 128]));
        assert_eq!(dims(&layout, "blk.3.ffn_down_exps.scale"), Some(vec![128]));
        let experts = layout.targets.iter().filter(|target| target.name.ends_with("_exps.weight"));
        for target in experts {
            let Rule::Matrix { scaled, .. } = target.rule else { panic!("{}", target.name) };
            assert!(!scaled, "{}", target.name);
            let rows: u64 = target.parts.iter().flat_map(|part| &part.runs).map(|(_, rows)| rows).sum();
            assert_eq!(rows, target.dims[1] * 128, "{}", target.name);
        }
    }
}

#[test]
fn other_graphs_are_refused_by_name() {
    refused("hidden_activation", json!("silu"), "`hidden_activation` of `silu`");
    refused("attn_logit_softcapping", json!(50.0), "`attn_logit_softcapping` of 50");
    refused("use_bidirectional_attention", json!("all"), "`use_bidirectional_attention` of `all`");
    refused("attention_bias", json!(true), "`attention_bias` of true");
    refused("final_logit_softcapping", json!(-1.0), "a positive number");
    refused("sliding_window", json!(null), "`sliding_window` is missing");
    refused(
        "model_type",
        json!("gemma4_unified"),
        "`model_type` is `\"gemma4_unified\"`, expected one of `qwen3_next`, ",
    );
    refused(
        "architectures",
        json!(["Gemma4UnifiedForConditionalGeneration"]),
        "expected one of `Gemma4ForConditionalGeneration`",
    );
}

#[test]
fn other_layers_are_refused_by_name() {
    let last = "the last `full_attention`";
    refused("layer_types", json!(null), last);
    refused("layer_types", kinds(59, 6), last);
    refused("layer_types", kinds(60, 7), last);
    refused("layer_types", json!(vec!["linear_attention"; 60]), last);
    refused("num_hidden_layers", json!(1), "at least 2");
    refused("num_kv_shared_layers", json!(59), "at most 58");
    refused("num_kv_shared_layers", json!(2), "where the last of the 58 layers");
    refused("num_kv_shared_layers", json!(5), "where the second to last of the 55 layers");
    refused("global_head_dim", json!(null), "`global_head_dim` is missing");
    refused("num_global_key_value_heads", json!(5), "a divisor of `num_attention_heads`, 32");
    refused("hidden_size_per_layer_input", json!(1 << 20), "`hidden_size_per_layer_input`");
    testing::refused(
        small(),
        "vocab_size_per_layer_input",
        json!(1000),
        "`vocab_size_per_layer_input` is `1000`",
    );
    testing::refused(with_experts(), "top_k_experts", json!(129), "from 1 to 128");
    testing::refused(with_experts(), "num_experts", json!(null), "`num_experts` is missing");
    testing::refused(
        with_experts(),
        "moe_intermediate_size",
        json!(null),
        "`moe_intermediate_size` is missing",
    );
}

#[test]
fn other_rotations_are_refused_by_name() {
    let full = json!({"partial_rotary_factor": 0.25, "rope_theta": 1e6, "rope_type": "proportional"});
    let sliding = json!({"rope_theta": 1e4, "rope_type": "default"});
    for (part, field, value, words) in [
        ("full", "rope_type", json!("default"), "`rope_parameters.full_attention.rope_type` of `default`"),
        ("full", "rope_type", json!(null), "rope_type` is missing"),
        ("full", "factor", json!(8.0), "`rope_parameters.full_attention.factor` of 8"),
        ("full", "partial_rotary_factor", json!(1.5), "partial_rotary_factor` is `1.5`"),
        ("full", "partial_rotary_factor", json!(null), "partial_rotary_factor` is missing"),
        ("full", "rope_theta", json!(null), "rope_theta` is missing"),
        ("sliding", "rope_type", json!("yarn"), "sliding_attention.rope_type` of `yarn`"),
        ("sliding", "factor", json!(2), "sliding_attention.factor` of 2"),
        ("sliding", "partial_rotary_factor", json!(0.5), "sliding_attention.partial_rotary_factor` of 0.5"),
    ] {
        let mut both = json!({"full_attention": full, "sliding_attention": sliding});
        both[format!("{part}_attention")][field] = value;
        refused("rope_parameters", both, words);
    }
    refused("rope_parameters", json!(null), "`full_attention` and `sliding_attention`");
    refused(
        "rope_parameters",
        json!({"full_attention": full}),
        "`rope_parameters.sliding_attention` is missing",
    );
    refused("rope_parameters", json!({"rope_type": "linear", "factor": 2}), "one rotation for all layers");
    refused("partial_rotary_factor", json!(0.5), "one rotation for all layers");
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        5 => testing::any_value(),
        1 => (0u64..64).prop_map(Value::from),
        1 => Just(json!({"5": {"head_dim": 4096, "num_key_value_heads": 1u64 << 40}})),
        1 => Just(json!({"full_attention": {}, "sliding_attention": {"rope_type": "default"}})),
    ]
}

proptest! {
    #[test]
    fn any_value_of_any_field_is_within_the_limits_or_refused(
        base in 0..3usize,
        index in 0..published().len(),
        value in any_value(),
    ) {
        let mut fields = [published(), small(), with_experts()][base].clone();
        let field = fields.keys().nth(index).unwrap().clone();
        fields.insert(field, value);
        if let Ok(h) = testing::read(fields) {
            prop_assert!(h.context <= limits::CONTEXT && h.hidden <= limits::WIDTH && h.vocab <= limits::VOCAB);
            prop_assert!(h.layers.len() as u64 <= limits::LAYERS && h.heads.is_multiple_of(h.kv_heads));
            let gemma = h.gemma.unwrap();
            prop_assert!(gemma.window <= limits::CONTEXT && gemma.head_dim <= MAX_HEAD_DIM);
            prop_assert!(gemma.layer_embedding * h.layers.len() as u64 <= limits::WIDTH);
            prop_assert_eq!(h.rope.factors().unwrap().len() as u64, h.head_dim / 2);
            prop_assert_eq!(h.rope.dims, h.head_dim);
            prop_assert!(h.metadata(0).u64("gemma4.block_count") == Some(h.layers.len() as u64));
            prop_assert!(!laid_out(&h, &|_| true).targets.is_empty());
        }
    }
}
