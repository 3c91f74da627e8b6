//! The configuration written by compressed-tensors: one group of targets per scheme.

use serde_json::{Map, Value, json};

use super::Recipe;
use crate::encode::{Encoding, Fp8Scale, GIdx, Group};

/// `quant_method` `compressed-tensors`.
pub(super) fn config(recipe: &Recipe) -> Value {
    let main = recipe.main;
    let mut groups: Vec<(Encoding, Vec<String>)> = vec![(main, vec!["Linear".into()])];
    for module in &recipe.modules {
        if module.encoding.is_plain() || module.encoding == main {
            continue;
        }
        match groups.iter_mut().find(|(encoding, _)| *encoding == module.encoding) {
            Some((_, targets)) => targets.push(module.name.clone()),
            None => groups.push((module.encoding, vec![module.name.clone()])),
        }
    }
    let mixed = groups.iter().any(|(encoding, _)| format(*encoding) != format(main));
    let config_groups: Map<String, Value> = groups
        .into_iter()
        .enumerate()
        .map(|(i, (encoding, targets))| {
            let group = json!({
                "format": format(encoding),
                "input_activations": input_activations(encoding),
                "output_activations": null,
                "targets": targets,
                "weights": weights(encoding),
            });
            (format!("group_{i}"), group)
        })
        .collect();
    json!({
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
        "format": if mixed { "mixed-precision" } else { format(main) },
        "config_groups": config_groups,
        "global_compression_ratio": null,
        "ignore": recipe.plain(),
        "kv_cache_scheme": null,
        "moe_sparsity_config": null,
    })
}

fn format(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::CtPacked(_) => "pack-quantized",
        Encoding::CtInt8(_) => "int-quantized",
        Encoding::Fp8(_) => "float-quantized",
        Encoding::MxFp4 => "mxfp4-pack-quantized",
        Encoding::MxFp8 => "mxfp8-quantized",
        Encoding::NvFp4(_) => "nvfp4-pack-quantized",
        Encoding::NvFp4E5m3 => "nvfp4-e5m3-pack-quantized",
        other => panic!("{other:?} cannot be described as compressed-tensors"),
    }
}

/// Eight-bit integers have eight-bit activations; the others are weight-only.
fn input_activations(encoding: Encoding) -> Value {
    if matches!(encoding, Encoding::CtInt8(_)) {
        json!({"dynamic": true, "group_size": null, "num_bits": 8, "strategy": "token", "symmetric": true,
               "type": "int"})
    } else {
        Value::Null
    }
}

fn weights(encoding: Encoding) -> Value {
    let integer = |bits: u32, sym: bool, strategy: &str, group: Value| {
        json!({"num_bits": bits, "type": "int", "symmetric": sym, "strategy": strategy, "group_size": group,
               "dynamic": false})
    };
    let float = |bits: u32, strategy: &str, group: Value| {
        json!({"num_bits": bits, "type": "float", "symmetric": true, "strategy": strategy, "group_size": group,
               "dynamic": false})
    };
    match encoding {
        Encoding::CtPacked(packed) => {
            let mut weights = match packed.group {
                Group::Size(size) => integer(packed.bits, packed.sym, "group", json!(size)),
                Group::PerRow => integer(packed.bits, packed.sym, "channel", Value::Null),
            };
            if packed.g_idx != GIdx::Absent {
                weights["actorder"] = json!("group");
            }
            weights
        }
        Encoding::CtInt8(int8) => {
            integer(8, !int8.zero_point, if int8.per_tensor { "tensor" } else { "channel" }, Value::Null)
        }
        Encoding::Fp8(fp8) => match fp8.scale {
            Fp8Scale::Tensor => float(8, "tensor", Value::Null),
            Fp8Scale::Channel | Fp8Scale::ChannelColumn => float(8, "channel", Value::Null),
            Fp8Scale::Group(size) => float(8, "group", json!(size)),
            Fp8Scale::Block(rows, cols) => {
                let mut weights = float(8, "block", Value::Null);
                weights["block_structure"] = json!([rows, cols]);
                weights
            }
        },
        Encoding::MxFp4 => float(4, "group", json!(32)),
        Encoding::MxFp8 => float(8, "group", json!(32)),
        Encoding::NvFp4(_) | Encoding::NvFp4E5m3 => float(4, "tensor_group", json!(16)),
        other => panic!("{other:?} cannot be described as compressed-tensors"),
    }
}
