//! The configuration written by GPTQModel for its two layouts of packed integers.

use serde_json::{Map, Value, json};

use super::Recipe;
use super::scheme::{difference, pattern};
use crate::encode::{Encoding, GIdx, StoredZero};
use crate::layout::Part;

/// `quantization_config`, and the content of `quantize_config.json`.
pub(super) fn config(recipe: &Recipe) -> Value {
    let main = recipe.main;
    let (bits, group, method, format, ordered) = match main {
        Encoding::Gptq(gptq) => {
            let format = if gptq.zero == StoredZero::Direct { "gptq_v2" } else { "gptq" };
            (gptq.bits, gptq.group.config(), "gptq", format, matches!(gptq.g_idx, GIdx::Shuffled(_)))
        }
        Encoding::Awq(awq) => (awq.bits, awq.group.config(), "awq", "gemm", false),
        other => panic!("{other:?} is not a format of GPTQModel"),
    };
    let mut config = json!({
        "bits": bits,
        "dynamic": dynamic(recipe),
        "group_size": group,
        "desc_act": ordered,
        "lm_head": recipe.has_quantized_head(),
        "method": method,
        "quant_method": method,
        "format": format,
        "checkpoint_format": format,
        "pack_dtype": "int32",
        "meta": {
            "quantizer": ["gptqmodel:7.1.0"],
            "uri": "https://github.com/modelcloud/gptqmodel",
            "damp_percent": 0.05,
            "damp_auto_increment": 0.01,
            "static_groups": false,
            "true_sequential": true,
            "mse": 0.0,
            "gptaq": null,
            "fallback": {"strategy": "rtn", "threshold": "0.5%", "smooth": null},
            "offload_to_disk": true,
            "pack_impl": "cpu",
            "act_group_aware": true,
        },
    });
    match main {
        Encoding::Awq(awq) => {
            config["zero_point"] = json!(!awq.sym);
            config["version"] = json!(format);
        }
        Encoding::Gptq(gptq) => config["sym"] = json!(gptq.sym),
        _ => {}
    }
    config
}

/// Modules of another width, and those that are not quantized, by patterns that match from the start.
pub(super) fn dynamic(recipe: &Recipe) -> Map<String, Value> {
    let mut rules = Map::new();
    for module in recipe.modules.iter().filter(|m| m.part != Part::Head && !m.is_mtp()) {
        if module.encoding.is_plain() {
            rules.insert(format!("-:{}", pattern(&module.name)), json!({}));
        } else {
            let other = difference(module.encoding, recipe.main);
            if !other.is_empty() {
                rules.insert(format!("+:{}", pattern(&module.name)), Value::Object(other));
            }
        }
    }
    rules
}
