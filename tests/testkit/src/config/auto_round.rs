//! The configuration written by AutoRound's exporter.

use serde_json::{Map, Value, json};

use super::scheme::{difference, pattern, scheme};
use super::{Module, Recipe};
use crate::encode::{Encoding, Fp8, Fp8Scale, GIdx, StoredZero};
use crate::layout::Part;
use crate::model::Mtp;

/// `quantization_config` with `quant_method` `auto-round`.
pub(super) fn config(recipe: &Recipe) -> Value {
    let main = recipe.main;
    let version = recipe.autoround_version.as_deref().unwrap_or_else(|| version(recipe, main));
    let mut config = scheme(main);
    config.insert("quant_method".into(), json!("auto-round"));
    config.insert("autoround_version".into(), json!(version));
    config.insert("enable_quanted_input".into(), json!(false));
    let layers = &recipe.layers;
    let blocks = match recipe.mtp {
        Mtp::Quantized => json!([layers, "mtp.layers"]),
        Mtp::QuantizedFc => json!(format!("{layers},mtp.layers")),
        _ => json!(layers),
    };
    config.insert("block_name_to_quantize".into(), blocks);
    let packing = recipe.packing_format.clone().or_else(|| packing_format(recipe, main).map(String::from));
    if let Some(packing) = packing {
        config.insert("packing_format".into(), json!(packing));
    }
    if recipe.model_free {
        config.insert("model_free".into(), json!(true));
    }
    config.extend(activations(main));
    if let Encoding::Fp8(fp8) = main {
        config.extend(fp8_keys(recipe, fp8));
    }
    let extra = extra_config(recipe, main);
    if !extra.is_empty() {
        config.insert("extra_config".into(), Value::Object(extra));
    }
    Value::Object(config)
}

/// The same configuration with `quant_method` `fp8`, which does not need `packing_format`.
pub(super) fn fp8(recipe: &Recipe) -> Value {
    let mut config = config(recipe);
    let keys = config.as_object_mut().expect("written as an object");
    keys.remove("packing_format");
    keys.insert("quant_method".into(), json!("fp8"));
    config
}

/// A version of AutoRound that writes such files.
fn version(recipe: &Recipe, main: Encoding) -> &'static str {
    match main {
        Encoding::Gptq(gptq) if gptq.zero == StoredZero::MinusOneBorrow => {
            if recipe.model_free {
                "0.15.0"
            } else {
                "0.9.7"
            }
        }
        _ => "0.16.1",
    }
}

fn packing_format(recipe: &Recipe, main: Encoding) -> Option<&'static str> {
    match main {
        Encoding::Gptq(gptq) if recipe.model_free && !gptq.sym => Some("auto_round"),
        Encoding::Gptq(gptq) => Some(match (gptq.zero, gptq.g_idx) {
            (StoredZero::Direct, GIdx::Absent) => "auto_round",
            (StoredZero::Direct, _) => "auto_round:gptqmodel",
            _ => "auto_round:auto_gptq",
        }),
        Encoding::Awq(_) => Some("auto_round:auto_awq"),
        Encoding::Fp8(Fp8 { scale: Fp8Scale::Block(..), .. }) => Some("auto_round:fp8"),
        Encoding::MxInt4 => Some("auto_round"),
        Encoding::NvFp4E5m3 => Some("auto_round:llm_compressor_nvfp4_e5m3"),
        Encoding::MxFp4 | Encoding::MxFp8 | Encoding::NvFp4(_) => Some("auto_round:llm_compressor"),
        Encoding::Mlx(_) => Some("auto_round:mlx"),
        // Weight-only FP8 has none; the others are not formats of this tool.
        _ => None,
    }
}

/// The activation fields of a scheme; the writer omits them if activations have 16 bits.
fn activations(main: Encoding) -> Map<String, Value> {
    let (bits, group, kind) = match main {
        Encoding::MxFp4 => (4, json!(32), "mx_fp"),
        Encoding::MxFp8 => (8, json!(32), "mx_fp"),
        Encoding::MxInt4 => (4, json!(32), "mx_int"),
        Encoding::NvFp4(_) => (4, json!(16), "nv_fp4_with_static_gs"),
        Encoding::NvFp4E5m3 => (4, json!(16), "nvfp4_v2"),
        Encoding::Fp8(Fp8 { scale: Fp8Scale::Block(_, cols), .. }) => (8, json!(cols), "fp"),
        _ => return Map::new(),
    };
    let value = json!({"act_bits": bits, "act_data_type": kind, "act_dynamic": true,
                       "act_group_size": group, "act_sym": true});
    let Value::Object(map) = value else { unreachable!("written as an object") };
    map
}

fn fp8_keys(recipe: &Recipe, fp8: Fp8) -> Map<String, Value> {
    let mut keys = Map::new();
    keys.insert("fmt".into(), json!(fp8.fmt()));
    keys.insert("activation_scheme".into(), json!("dynamic"));
    if let Fp8Scale::Block(rows, cols) = fp8.scale {
        keys.insert("weight_block_size".into(), json!([rows, cols]));
        let plain = recipe.plain().into_iter();
        let ignored: Vec<_> = plain.filter(|m| m.ends_with("shared_expert_gate")).collect();
        keys.insert("ignored_layers".into(), json!(ignored));
    }
    keys
}

/// The modules that differ from the main scheme: routers by pattern, others by name or by pattern.
fn extra_config(recipe: &Recipe, main: Encoding) -> Map<String, Value> {
    let wide = if activations(main).is_empty() {
        match main {
            Encoding::Fp8(_) => json!({"act_data_type": "float", "bits": 16, "data_type": "float"}),
            _ => json!({"bits": 16, "data_type": "fp"}),
        }
    } else {
        json!({"act_bits": 16, "act_data_type": "float", "bits": 16, "data_type": "float"})
    };
    let mut by_pattern = Map::new();
    let mut by_name = Map::new();
    for module in &recipe.modules {
        let Module { name, part, encoding, is_named } = module;
        let (mtp, name) = (module.is_mtp(), name.clone());
        let is_omitted = match (part, recipe.mtp) {
            // The head is outside the blocks, so only a quantized one needs an entry.
            (Part::Head, _) => encoding.is_plain(),
            (Part::MtpFc | Part::Router | Part::SharedExpertGate, Mtp::Quantized) => false,
            _ => mtp && !is_named,
        };
        if is_omitted {
            continue;
        }
        if *part == Part::Head {
            by_name.insert(name, head(*encoding));
            continue;
        }
        let entry = match encoding.is_plain() {
            true if *part == Part::Router && !mtp => router(main),
            true => wide.clone(),
            false => Value::Object(difference(*encoding, main)),
        };
        if entry.as_object().is_some_and(Map::is_empty) {
            continue;
        }
        if *is_named || mtp {
            by_name.insert(name, entry);
        } else if *part == Part::Router && encoding.is_plain() {
            by_pattern.insert(pattern(&name), entry);
        } else if let Some(family) = family(&name).filter(|_| recipe.by_regex) {
            by_pattern.insert(pattern(family), entry);
        } else {
            by_name.insert(name, entry);
        }
    }
    by_pattern.extend(by_name);
    by_pattern
}

/// A router in 16 bits; for FP8 the writer lists every field.
fn router(main: Encoding) -> Value {
    match main {
        Encoding::Fp8(fp8) => {
            let group = scheme(main)["group_size"].clone();
            let act_group =
                if let Fp8Scale::Block(_, cols) = fp8.scale { json!(cols) } else { group.clone() };
            json!({
                "act_bits": 16, "act_data_type": "float", "act_dynamic": true, "act_group_size": act_group,
                "act_sym": true, "bits": 16, "data_type": "float", "group_size": group, "rotation_config": null,
                "super_bits": null, "super_group_size": null, "sym": true,
            })
        }
        _ if activations(main).is_empty() => json!({"bits": 16, "data_type": "float"}),
        _ => json!({"act_bits": 16, "act_data_type": "float", "bits": 16, "data_type": "float"}),
    }
}

/// A quantized head, with every field of a scheme; those without a value are null.
fn head(encoding: Encoding) -> Value {
    let mut entry = scheme(encoding);
    for key in ["act_bits", "act_data_type", "act_dynamic", "act_group_size", "act_sym", "super_bits"] {
        entry.insert(key.into(), Value::Null);
    }
    Value::Object(entry)
}

/// The pattern by which a user would select a module in all layers.
fn family(name: &str) -> Option<&'static str> {
    [
        "self_attn.",
        "linear_attn.in_proj_qkvz",
        "linear_attn.in_proj_ba",
        "linear_attn.out_proj",
        "mlp.shared_expert.",
        "mlp.shared_expert_gate",
    ]
    .into_iter()
    .find(|family| name.contains(family))
}
