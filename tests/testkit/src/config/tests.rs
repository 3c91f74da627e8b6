//! Compares configurations with those written by the tools.

use super::*;
use crate::encode::{Fp8, GIdx, Gptq, StoredZero};

fn int(bits: u32) -> Encoding {
    Encoding::Gptq(Gptq::sym(bits, 128))
}

fn quantization(model: &Model) -> Value {
    files(model).0["quantization_config"].clone()
}

#[test]
fn a_mixed_recipe_lists_only_differing_modules() {
    let mixed = Model { linears: int(8), ..Model::uniform(int(4)) };
    let q = quantization(&mixed);
    assert_eq!((&q["quant_method"], &q["bits"], &q["sym"]), (&json!("auto-round"), &json!(4), &json!(true)));
    assert_eq!(q["packing_format"], "auto_round:auto_gptq");
    let extra = q["extra_config"].as_object().unwrap();
    assert_eq!(extra["model.layers.0.linear_attn.out_proj"], json!({"bits": 8}));
    assert_eq!(extra["model.layers.0.linear_attn.in_proj_ba"], json!({"bits": 16, "data_type": "fp"}));
    assert_eq!(extra[".*model\\.layers\\.1\\.mlp\\.gate.*"], json!({"bits": 16, "data_type": "float"}));
    assert!(extra.keys().all(|key| !key.contains("experts.") && key != "lm_head"));

    let q = quantization(&Model { regex_recipe: true, ..mixed });
    assert_eq!(q["extra_config"][".*self_attn\\..*"], json!({"bits": 8}));
    assert!(q["extra_config"]["model.layers.0.linear_attn.out_proj"].is_null());
}

#[test]
fn a_quantized_head_lists_nulls_and_overrides_are_exact_names() {
    let name = "model.layers.1.mlp.experts.2.up_proj";
    let q = quantization(&Model {
        head: int(8),
        overrides: vec![(name.into(), int(8))],
        regex_recipe: true,
        ..Model::uniform(int(4))
    });
    assert_eq!(q["extra_config"]["lm_head"]["bits"], 8);
    assert_eq!(q["extra_config"]["lm_head"].get("act_bits"), Some(&Value::Null));
    assert_eq!(q["extra_config"][name], json!({"bits": 8}));
}

#[test]
fn the_copy_of_the_configuration_omits_the_mtp_layer() {
    let (config, files) = files(&Model { mtp: Mtp::Quantized, ..Model::uniform(int(4)) });
    let (ours, copy) = (&config["quantization_config"], &files["quantization_config.json"]);
    assert_eq!(ours["block_name_to_quantize"], json!(["model.layers", "mtp.layers"]));
    assert_eq!(ours["extra_config"]["mtp.fc"], json!({"bits": 16, "data_type": "fp"}));
    assert_eq!(copy["block_name_to_quantize"], "model.layers");
    assert!(copy["extra_config"]["mtp.fc"].is_null());
}

#[test]
fn the_packing_format_depends_on_the_zero_convention() {
    let gptq = |gptq: Gptq| Model::uniform(Encoding::Gptq(gptq));
    let packing = |model: &Model| quantization(model)["packing_format"].clone();
    assert_eq!(packing(&gptq(Gptq::asym(4, 128))), "auto_round");
    assert_eq!(packing(&gptq(Gptq { g_idx: GIdx::Trivial, ..Gptq::asym(4, 128) })), "auto_round:gptqmodel");
    let borrow = gptq(Gptq { zero: StoredZero::MinusOneBorrow, ..Gptq::asym(4, 128) });
    assert_eq!(packing(&borrow), "auto_round:auto_gptq");
    let q = quantization(&Model { model_free: true, ..borrow });
    assert_eq!((&q["packing_format"], &q["autoround_version"]), (&json!("auto_round"), &json!("0.15.0")));
}

#[test]
fn other_tools_have_their_own_keys() {
    let with = |encoding, method| quantization(&Model { method: Some(method), ..Model::uniform(encoding) });
    let shuffled = Gptq { g_idx: GIdx::Shuffled(1), ..Gptq::sym(4, 128) };
    let gptq = with(Encoding::Gptq(shuffled), Method::Gptq);
    assert_eq!((&gptq["desc_act"], gptq.get("checkpoint_format")), (&json!(true), None));
    assert_eq!(gptq["dynamic"]["-:.*model\\.layers\\.0\\.mlp\\.gate.*"], json!({}));
    let direct = with(Encoding::Gptq(Gptq::asym(4, 128)), Method::Gptq);
    assert_eq!(direct["checkpoint_format"], "gptq_v2");
    let fp8 = with(Encoding::Fp8(Fp8::block()), Method::Fp8);
    assert_eq!(fp8["weight_block_size"], json!([128, 128]));
    let block = with(Encoding::Fp8(Fp8::block()), Method::CompressedTensors);
    assert_eq!(block["config_groups"]["group_0"]["weights"]["block_structure"], json!([128, 128]));
    assert_eq!(block["format"], "float-quantized");
}

#[test]
fn edits_are_applied_last() {
    let edits = vec![
        Edit::Set("/quantization_config/bits", json!(5)),
        Edit::Set("/quantization_config/extra_config/lm_head", Value::Null),
        Edit::Remove("/layer_types"),
    ];
    let config = files(&Model { edits, ..Model::uniform(int(4)) }).0;
    assert_eq!(config["quantization_config"]["bits"], 5);
    assert!(config["quantization_config"]["extra_config"].as_object().unwrap().contains_key("lm_head"));
    assert!(config.get("layer_types").is_none());
}

#[test]
fn the_older_configuration_has_an_interval() {
    let config = files(&Model { old_config: true, ..Model::tiny() }).0;
    assert_eq!((&config["full_attention_interval"], &config["rope_theta"]), (&json!(2), &json!(10000)));
    assert!(config.get("layer_types").is_none() && config.get("quantization_config").is_none());
}
