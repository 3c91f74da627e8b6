//! Keys of a quantization configuration that may change the weights, and contradictions between its fields.

use gguf_export::checkpoint::Checkpoint;
use gguf_export::quant::{Choices, ZeroPoints};
use gguf_export::verify::{VerifyOptions, receipt};
use gguf_export::{Error, PlanOptions};
use serde_json::{Value, json};
use testkit::{Awq, CtPacked, Encoding, Fp8, Gptq, Method, Model, NvFp4, StoredZero};

use crate::common::{Place, story};
use crate::{asym, edited, int4, set};

fn compressed() -> Model {
    Model::uniform(Encoding::CtPacked(CtPacked::sym(4, 64)))
}

fn by(method: Method, encoding: Encoding) -> Model {
    Model { method: Some(method), ..Model::uniform(encoding) }
}

fn hadamard() -> Value {
    json!({"config_groups": {"u": {"type": "hadamard", "apply": [
        {"targets": ["Linear"], "location": "weight_output", "inverse": true},
    ]}}})
}

#[test]
fn keys_that_may_change_the_weights_are_refused_by_name() {
    let gptq = by(Method::Gptq, Encoding::Gptq(Gptq::sym(4, 64)));
    let gptq_model = by(Method::GptqModel, Encoding::Gptq(Gptq::sym(4, 64)));
    let awq = by(Method::Awq, Encoding::Awq(Awq::asym(4, 64)));
    let fp8 = by(Method::Fp8, Encoding::Fp8(Fp8::block()));
    let nv = Model::uniform(Encoding::NvFp4(NvFp4 { modelopt: true, power_of_two: true }));
    let rule = ".*layers\\.0.*";
    for (model, parent, key, value) in [
        (compressed(), "", "transform_config", hadamard()),
        (compressed(), "", "sparsity_config.format", json!("sparse-24-bitmask")),
        (compressed(), "", "a_new_key", json!(0)),
        (compressed(), "/config_groups/group_0", "scheme", json!("W4")),
        (compressed(), "/config_groups/group_0/weights", "permutation", json!([1, 0])),
        (compressed(), "/config_groups/group_0/weights", "strategy", json!("token")),
        (int4(), "", "transform", json!(true)),
        (int4(), "", "super_bits", json!(6)),
        (int4(), "", "data_type", json!("int_asym_dq")),
        (int4(), "/extra_config", "lm_head", json!({"bits": 16, "offset": 1})),
        (int4(), "/extra_config", "lm_head", json!({"bits": 16, "rotation_config": {"a": 1}})),
        (gptq.clone(), "", "rotation", json!("hadamard")),
        (gptq.clone(), "", "is_marlin_format", json!(true)),
        (gptq, "/dynamic", rule, json!({"bits": 4, "adapter": {"rank": 8}})),
        (gptq_model, "", "krot", json!(8)),
        (awq.clone(), "", "backend", json!("llm-awq")),
        (awq, "", "smoothing", json!(1.5)),
        (fp8.clone(), "", "weight_scale_semantics", json!("inverse")),
        (fp8, "", "expert_dtype", json!("fp4")),
        (nv.clone(), "", "quant_algo", json!("NVFP4_AWQ")),
        (nv, "/config_groups/group_0", "pre_quant_scale", json!(true)),
    ] {
        let change = |c: &mut testkit::Checkpoint| {
            let (key, value) = match key.split_once('.').filter(|_| key != rule) {
                Some((outer, inner)) => (outer, json!({ inner: value })),
                None => (key, value.clone()),
            };
            set(c, &format!("/quantization_config{parent}/{key}"), value);
        };
        let name = format!("quantization_config{}.{key}", parent.replace('/', "."));
        edited(&name, &model, change, &["config.json", &name]);
    }
}

#[test]
fn a_second_configuration_is_refused_by_name() {
    for key in ["compression_config", "quantization", "text_config"] {
        let change = |c: &mut testkit::Checkpoint| {
            let other = json!({"bits": 3, "group_size": 32});
            let nested = key == "text_config";
            c.config[key] = if nested { json!({"quantization_config": other}) } else { other };
        };
        edited(key, &int4(), change, &["config.json", key, "expected one quantization configuration"]);
    }
    // A repetition and an empty section say nothing new.
    let place = Place::new();
    let mut checkpoint = int4().build();
    checkpoint.config["compression_config"] = checkpoint.config["quantization_config"].clone();
    checkpoint.config["quantization"] = json!({});
    let own = checkpoint.config["quantization_config"].clone();
    checkpoint.config["text_config"] = json!({"quantization_config": own});
    checkpoint.write(&place.source());
    place.export().unwrap();
}

#[test]
fn an_ignored_key_is_recorded_in_the_gguf_and_in_the_receipt() {
    let place = Place::new();
    let mut checkpoint = compressed().build();
    set(&mut checkpoint, "/quantization_config/transform_config", hadamard());
    set(&mut checkpoint, "/quantization_config/another", json!(1));
    checkpoint.write(&place.source());
    let names = ["quantization_config.transform_config", "quantization_config.another"].map(str::to_owned);
    let ignoring = |names: &[String]| {
        let config = Choices { ignored_keys: names.to_vec(), ..Choices::default() };
        PlanOptions { config, ..PlanOptions::default() }
    };
    // One name does not cover the other, and a name must be one that is refused.
    for (names, left) in [(&names[..1], 1), (&["quantization_config.bits".to_owned()], 2)] {
        let Err(Error::ConfigKeys { keys, .. }) = place.export_with(&ignoring(names)) else {
            panic!("{names:?}")
        };
        assert_eq!(keys.len(), left, "{keys:?}");
    }
    let more = [&names[..], &["quantization_config.format".to_owned()]].concat();
    let error = story(&place.export_with(&ignoring(&more)).unwrap_err());
    assert!(error.contains("`quantization_config.format` cannot be ignored"), "{error}");

    place.export_with(&ignoring(&names)).unwrap();
    let header = place.header();
    assert_eq!(header.metadata.strings("ggrun.ignored_config_keys"), Some(&names[..]));
    let report = place.verify().unwrap();
    assert!(report.equal(), "{:?}", report.differences);
    assert_eq!(report.ignored_keys, names);
    let receipt = receipt(&Checkpoint::open(&place.source()).unwrap(), &place.out(), &report).unwrap();
    let receipt = serde_json::to_value(&receipt).unwrap();
    assert_eq!(receipt["ignored_config_keys"], json!(names));
}

#[test]
fn contradictions_about_zero_points_are_refused_and_a_choice_resolves_them() {
    let v2 = by(Method::GptqModel, Encoding::Gptq(Gptq { zero: StoredZero::Direct, ..Gptq::asym(4, 64) }));
    for (pointer, value) in [
        ("/quantization_config/checkpoint_format", json!("gptq")),
        ("/quantization_config/format", json!("gptq")),
        ("/quantization_config/meta/format", json!("gptq")),
    ] {
        let parts = ["config.json", "zero points are stored", "is `gptq`", "is `gptq_v2`"];
        edited(pointer, &v2, |c| set(c, pointer, value.clone()), &parts);
    }
    let change = |c: &mut testkit::Checkpoint| {
        c.json.get_mut("quantize_config.json").unwrap()["format"] = json!("gptq");
        c.json.get_mut("quantize_config.json").unwrap()["checkpoint_format"] = json!("gptq");
    };
    edited("the copy", &v2, change, &["config.json", "zero points are stored", "quantize_config.json"]);

    let place = Place::new();
    let mut checkpoint = v2.build();
    set(&mut checkpoint, "/quantization_config/checkpoint_format", json!("gptq"));
    checkpoint.write(&place.source());
    let choose = |zero_points| {
        let config = Choices { zero_points: Some(zero_points), ..Choices::default() };
        PlanOptions { config, ..PlanOptions::default() }
    };
    place.export_with(&choose(ZeroPoints::V2)).unwrap();
    assert_eq!(place.header().metadata.str("ggrun.zero_points"), Some("v2"));
    let verify = |zero_points| {
        place.verify_with(VerifyOptions { threads: 2, zero_points, ..VerifyOptions::default() })
    };
    assert!(matches!(verify(None), Err(Error::ZeroPoints { .. })));
    assert!(verify(Some(ZeroPoints::V2)).unwrap().equal());
    let other = verify(Some(ZeroPoints::V1)).unwrap();
    assert!(other.count > 1000, "every asymmetric weight is off by one step: {:?}", other.differences);
}

#[test]
fn a_configuration_that_does_not_tell_about_zero_points_asks() {
    let asked = ["config.json", "does not state how zero points are stored"];
    let packing = "/quantization_config/packing_format";
    edited("a new packing", &asym(), |c| set(c, packing, json!("auto_round:new")), &asked);
    let old = Model { model_free: true, ..asym() };
    let version = "/quantization_config/autoround_version";
    edited("model-free, without a version", &old, |c| set(c, version, Value::Null), &asked);
    // Symmetric weights tell by their zero points.
    let place = Place::new();
    let mut checkpoint = int4().build();
    set(&mut checkpoint, packing, json!("auto_round:new"));
    checkpoint.write(&place.source());
    place.export().unwrap();
    assert!(place.verify().unwrap().equal());
    // Other methods have no such rule.
    let place = Place::with(&compressed());
    let config = Choices { zero_points: Some(ZeroPoints::V1), ..Choices::default() };
    let error = place.export_with(&PlanOptions { config, ..PlanOptions::default() }).unwrap_err();
    assert!(story(&error).contains("a choice of zero points (v1)"), "{error}");
}
