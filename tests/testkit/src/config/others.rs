//! The configurations written by other tools: GPTQ, AWQ, FP8 releases and ModelOpt.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::scheme::{difference, pattern};
use super::{modules, plain_modules};
use crate::encode::{Encoding, Fp8Scale, GIdx, Gptq, ScaleDtype, StoredZero};
use crate::layout::Part;
use crate::model::Model;

/// `quant_method` `gptq`.
pub(super) fn gptq(model: &Model) -> Value {
    let main = model.main_encoding();
    let Encoding::Gptq(Gptq { bits, group, sym, zero, g_idx, .. }) = main else {
        panic!("{main:?} cannot be described as gptq")
    };
    let mut dynamic = Map::new();
    for module in modules(model).iter().filter(|m| m.part != Part::Head && !m.name.starts_with("mtp.")) {
        if module.encoding.is_plain() {
            dynamic.insert(format!("-:{}", pattern(&module.name)), json!({}));
        } else {
            let other = difference(module.encoding, main);
            if !other.is_empty() {
                dynamic.insert(format!("+:{}", pattern(&module.name)), Value::Object(other));
            }
        }
    }
    let mut config = json!({
        "quant_method": "gptq",
        "bits": bits,
        "group_size": group.config(),
        "sym": sym,
        "damp_percent": 0.01,
        "desc_act": matches!(g_idx, GIdx::Shuffled(_)),
        "true_sequential": false,
        "lm_head": !model.head.is_plain(),
        "dynamic": dynamic,
        "modules_in_block_to_quantize": [in_block(model)],
    });
    if zero == StoredZero::Direct {
        config["checkpoint_format"] = json!("gptq_v2");
    }
    config
}

/// Names of the quantized modules within a block, without duplicates.
fn in_block(model: &Model) -> BTreeSet<String> {
    let modules = modules(model).into_iter().filter(|m| !m.encoding.is_plain());
    let inner = |name: &str| Some(name.strip_prefix("model.layers.")?.split_once('.')?.1.to_owned());
    modules.filter_map(|m| inner(&m.name)).collect()
}

/// `quant_method` `awq`.
pub(super) fn awq(model: &Model) -> Value {
    let main = model.main_encoding();
    let Encoding::Awq(awq) = main else { panic!("{main:?} cannot be described as awq") };
    json!({
        "quant_method": "awq",
        "version": "gemm",
        "bits": awq.bits,
        "group_size": awq.group.config(),
        "zero_point": !awq.sym,
        "sym": awq.sym,
        "modules_to_not_convert": plain_modules(model),
    })
}

/// `quant_method` `fp8`.
pub(super) fn fp8(model: &Model) -> Value {
    let main = model.main_encoding();
    let Encoding::Fp8(fp8) = main else { panic!("{main:?} cannot be described as fp8") };
    let mut config = json!({
        "quant_method": "fp8",
        "fmt": fp8.fmt(),
        "activation_scheme": "dynamic",
        "modules_to_not_convert": plain_modules(model),
    });
    if fp8.scale_dtype == ScaleDtype::E8m0 {
        config["scale_fmt"] = json!("ue8m0");
    }
    if let Fp8Scale::Block(rows, cols) = fp8.scale {
        config["weight_block_size"] = json!([rows, cols]);
    }
    config
}

/// `quant_method` `modelopt`.
pub(super) fn modelopt(model: &Model) -> Value {
    let half = json!({"dynamic": false, "num_bits": 4, "type": "float", "group_size": 16});
    json!({
        "quant_method": "modelopt",
        "quant_algo": "NVFP4",
        "producer": {"name": "modelopt", "version": "0.39.0"},
        "config_groups": {"group_0": {"input_activations": half, "weights": half, "targets": ["Linear"]}},
        "ignore": plain_modules(model),
    })
}

/// ModelOpt's `hf_quant_config.json`.
pub(super) fn hf_quant_config(model: &Model) -> Value {
    json!({
        "producer": {"name": "modelopt", "version": "0.39.0"},
        "quantization": {
            "quant_algo": "NVFP4",
            "kv_cache_quant_algo": null,
            "group_size": 16,
            "exclude_modules": plain_modules(model),
        },
    })
}
