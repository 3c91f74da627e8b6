//! The configurations written by other tools: GPTQ, AWQ, FP8 releases and ModelOpt.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Recipe;
use super::gptq_model::dynamic;
use crate::encode::{Encoding, Fp8Scale, GIdx, Gptq, ScaleDtype, StoredZero};

/// `quant_method` `gptq`.
pub(super) fn gptq(recipe: &Recipe) -> Value {
    let main = recipe.main;
    let Encoding::Gptq(Gptq { bits, group, sym, zero, g_idx, .. }) = main else {
        panic!("{main:?} cannot be described as gptq")
    };
    let mut config = json!({
        "quant_method": "gptq",
        "bits": bits,
        "group_size": group.config(),
        "sym": sym,
        "damp_percent": 0.01,
        "desc_act": matches!(g_idx, GIdx::Shuffled(_)),
        "true_sequential": false,
        "lm_head": recipe.has_quantized_head(),
        "dynamic": dynamic(recipe),
        "modules_in_block_to_quantize": [in_block(recipe)],
    });
    if zero == StoredZero::Direct {
        config["checkpoint_format"] = json!("gptq_v2");
    }
    config
}

/// Names of the quantized modules within a block, without duplicates.
fn in_block(recipe: &Recipe) -> BTreeSet<String> {
    let modules = recipe.modules.iter().filter(|m| !m.encoding.is_plain());
    let inner = |name: &str| {
        let inner = name.strip_prefix(recipe.layers.as_str())?.strip_prefix('.')?;
        Some(inner.split_once('.')?.1.to_owned())
    };
    modules.filter_map(|m| inner(&m.name)).collect()
}

/// `quant_method` `awq`.
pub(super) fn awq(recipe: &Recipe) -> Value {
    let main = recipe.main;
    let Encoding::Awq(awq) = main else { panic!("{main:?} cannot be described as awq") };
    json!({
        "quant_method": "awq",
        "version": "gemm",
        "bits": awq.bits,
        "group_size": awq.group.config(),
        "zero_point": !awq.sym,
        "sym": awq.sym,
        "modules_to_not_convert": recipe.plain(),
    })
}

/// `quant_method` `fp8`.
pub(super) fn fp8(recipe: &Recipe) -> Value {
    let main = recipe.main;
    let Encoding::Fp8(fp8) = main else { panic!("{main:?} cannot be described as fp8") };
    let mut config = json!({
        "quant_method": "fp8",
        "fmt": fp8.fmt(),
        "activation_scheme": "dynamic",
        "modules_to_not_convert": recipe.plain(),
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
pub(super) fn modelopt(recipe: &Recipe) -> Value {
    let half = json!({"dynamic": false, "num_bits": 4, "type": "float", "group_size": 16});
    json!({
        "quant_method": "modelopt",
        "quant_algo": "NVFP4",
        "producer": {"name": "modelopt", "version": "0.39.0"},
        "config_groups": {"group_0": {"input_activations": half, "weights": half, "targets": ["Linear"]}},
        "ignore": recipe.plain(),
    })
}

/// ModelOpt's `hf_quant_config.json`.
pub(super) fn hf_quant_config(recipe: &Recipe) -> Value {
    json!({
        "producer": {"name": "modelopt", "version": "0.39.0"},
        "quantization": {
            "quant_algo": "NVFP4",
            "kv_cache_quant_algo": null,
            "group_size": 16,
            "exclude_modules": recipe.plain(),
        },
    })
}
