//! Tensors whose shapes or values contradict the configuration, their companions or their format.

use serde_json::{Value, json};
use testkit::{
    Awq, Checkpoint, CtInt8, CtPacked, Dtype, Encoding, Fp8, Fp8Scale, GIdx, Gptq, Group, Method, Mlx, Model,
    Mtp, NvFp4, ScaleDtype, Tensor,
};

use crate::{SHARD, UP, asym, edited, int4, reshaped, set};

#[test]
fn shapes_that_contradict_the_configuration_are_refused() {
    for (field, value, tensor) in [
        ("/hidden_size", json!(256), "embed_tokens"),
        ("/vocab_size", json!(640), "embed_tokens"),
        ("/num_hidden_layers", json!(3), "model.layers."),
        ("/num_hidden_layers", json!(1), "model.layers.1"),
        ("/num_experts", json!(8), "mlp.gate"),
        ("/num_experts", json!(3), "mlp.gate"),
        ("/moe_intermediate_size", json!(64), "experts.0"),
        ("/head_dim", json!(32), "self_attn"),
        ("/num_attention_heads", json!(8), "self_attn"),
        ("/linear_num_value_heads", json!(8), "linear_attn"),
        ("/linear_conv_kernel_dim", json!(5), "conv1d"),
        ("/shared_expert_intermediate_size", json!(96), "shared_expert"),
    ] {
        let change = |c: &mut Checkpoint| {
            set(c, field, value.clone());
            if field.ends_with("layers") {
                set(c, "/layer_types", Value::Null);
            }
        };
        edited(&format!("{field} of {value}"), &int4(), change, &[tensor]);
        if !field.ends_with("layers") {
            edited(&format!("{field} of {value}, plain"), &Model::tiny(), change, &[tensor]);
        }
    }
    let plain = format!("{UP}.weight");
    for (shape, bytes) in
        [(vec![0, 128], 0), (vec![128, 0], 0), (vec![0], 0), (vec![128], 256), (vec![128, 64], 16_384)]
    {
        let change = |c: &mut Checkpoint| reshaped(c, &plain, Dtype::Bf16, &shape, vec![0; bytes]);
        edited(&format!("plain {shape:?}"), &Model::tiny(), change, &[&plain, SHARD, "128 rows of 128"]);
    }
    edited(
        "a scalar",
        &Model::tiny(),
        |c| reshaped(c, &plain, Dtype::Bf16, &[], vec![0; 2]),
        &[&plain, SHARD],
    );
    for dtype in [Dtype::F64, Dtype::I64, Dtype::U32, Dtype::Bool, Dtype::I16] {
        let data = vec![0; 128 * 128 * dtype.size()];
        let change = |c: &mut Checkpoint| reshaped(c, &plain, dtype, &[128, 128], data);
        edited(&format!("plain {dtype:?}"), &Model::tiny(), change, &[&plain, SHARD, "F16, BF16 or F32"]);
    }
}

#[test]
fn empty_and_mismatched_parts_of_quantized_modules_are_refused() {
    let empty = |suffix: &str| {
        let name = format!("{UP}.{suffix}");
        move |shape: &[usize]| {
            let shape = shape.to_vec();
            move |c: &mut Checkpoint| {
                let dtype = c.tensor(&name).dtype;
                let data = vec![0; shape.iter().product::<usize>() * dtype.size()];
                *c.tensor(&name) = Tensor { name: name.clone(), dtype, shape, data };
            }
        }
    };
    let huge = 1usize << 62;
    for shape in [
        &[0, 128][..],
        &[16, 0],
        &[0, 0],
        &[0, huge],
        &[huge, 0],
        &[0],
        &[128],
        &[1, 1, 1],
        &[17, 128],
        &[32, 128],
    ] {
        for model in [int4(), asym()] {
            edited(&format!("qweight {shape:?}"), &model, empty("qweight")(shape), &[UP]);
        }
        edited(
            &format!("qweight {shape:?}"),
            &Model::uniform(Encoding::Awq(Awq::asym(4, 64))),
            empty("qweight")(shape),
            &[UP],
        );
    }
    for shape in [&[0, 128][..], &[1, 0], &[0, 0], &[0], &[129, 128], &[3, 128], &[1, 127], &[huge, 0]] {
        for model in [int4(), asym()] {
            edited(
                &format!("scales {shape:?}"),
                &model,
                empty("scales")(shape),
                &[&format!("{UP}.scales"), SHARD],
            );
        }
    }
    for shape in [&[0, 16][..], &[2, 0], &[2, 17], &[16, 2]] {
        edited(&format!("qzeros {shape:?}"), &asym(), empty("qzeros")(shape), &[UP, SHARD]);
    }
    let int8 = Model::uniform(Encoding::CtInt8(CtInt8 {
        per_tensor: false,
        scale: ScaleDtype::Bf16,
        zero_point: false,
    }));
    for shape in [&[128, 0][..], &[0], &[0, 1], &[128, 129], &[127, 1], &[128, 3], &[129]] {
        edited(
            &format!("int8 scale {shape:?}"),
            &int8,
            empty("weight_scale")(shape),
            &[&format!("{UP}.weight_scale"), SHARD],
        );
    }
    let fp8 = Model::uniform(Encoding::Fp8(Fp8::scaled(Fp8Scale::ChannelColumn)));
    for shape in [&[128, 0][..], &[0], &[128, 129], &[128, 200], &[127, 1], &[128, 3], &[2, 2, 3]] {
        edited(
            &format!("FP8 scale {shape:?}"),
            &fp8,
            empty("weight_scale")(shape),
            &[&format!("{UP}.weight_scale"), SHARD],
        );
    }
    for (encoding, group) in [(Encoding::MxFp4, 32), (Encoding::MxFp8, 32), (Encoding::NvFp4E5m3, 16)] {
        for shape in [&[0, 128 / group][..], &[128, 0], &[128, 1], &[64, 128 / group], &[128]] {
            edited(
                &format!("{encoding:?} {shape:?}"),
                &Model::uniform(encoding),
                empty("weight_scale")(shape),
                &[UP, SHARD],
            );
        }
    }
    let ct = Model::uniform(Encoding::CtPacked(CtPacked { sym: false, ..CtPacked::sym(4, 64) }));
    for shape in [&[128, 0][..], &[0, 2], &[128], &[128, 3], &[64, 2]] {
        edited(&format!("packed scale {shape:?}"), &ct, empty("weight_scale")(shape), &[UP, SHARD]);
        edited(&format!("packed zeros {shape:?}"), &ct, empty("weight_zero_point")(shape), &[UP, SHARD]);
    }
    // AWQ interleaves eight outputs, and this module has four.
    edited(
        "odd AWQ",
        &Model { value_heads: 2, ..Model::tiny() },
        |c| {
            let name = "model.layers.0.linear_attn.in_proj_ba";
            for (suffix, dtype, shape) in [
                ("qweight", Dtype::I32, [128, 1]),
                ("qzeros", Dtype::I32, [2, 1]),
                ("scales", Dtype::F16, [2, 4]),
            ] {
                let name = format!("{name}.{suffix}");
                c.tensors
                    .retain(|t| t.name != name && t.name != "model.layers.0.linear_attn.in_proj_ba.weight");
                let data = vec![0; shape.iter().product::<usize>() * dtype.size()];
                c.tensors.push(Tensor::new(name, dtype, &shape, data));
            }
            c.config["quantization_config"] =
                json!({"quant_method": "awq", "bits": 8, "group_size": 64, "zero_point": true});
        },
        &["in_proj_ba.qweight", SHARD, "AWQ words"],
    );
}

fn mlx() -> Mlx {
    Mlx { bits: 4, group: Group::Size(64) }
}

#[test]
fn contradictory_mlx_tensors_are_refused() {
    let model = Model::uniform(Encoding::Mlx(mlx()));
    let reshaped = |suffix: &'static str, shape: &'static [usize]| {
        move |c: &mut Checkpoint| {
            let name = format!("{UP}.{suffix}");
            let dtype = c.tensor(&name).dtype;
            let data = vec![0; shape.iter().product::<usize>() * dtype.size()];
            *c.tensor(&name) = Tensor { name: name.clone(), dtype, shape: shape.to_vec(), data };
        }
    };
    for (suffix, shape) in [
        ("weight", &[128, 17][..]),
        ("weight", &[127, 16]),
        ("weight", &[128, 8]),
        ("weight", &[0]),
        ("scales", &[128, 0]),
        ("scales", &[127, 2]),
        ("scales", &[128]),
        ("scales", &[128, 3]),
        ("biases", &[128, 1]),
        ("biases", &[2, 128]),
    ] {
        let place = format!("{UP}.{suffix}");
        edited(&format!("{suffix} {shape:?}"), &model, reshaped(suffix, shape), &[&place, SHARD]);
    }
    // The packing of three-bit codes is undocumented.
    edited("mlx of 3 bits", &model, reshaped("weight", &[128, 12]), &["MLX packing of 3 bits", UP]);
    for suffix in ["scales", "biases"] {
        edited(
            &format!("{suffix} that are not finite"),
            &model,
            |c| {
                let tensor = c.tensor(&format!("{UP}.{suffix}"));
                tensor.data[4..6].copy_from_slice(&half::f16::INFINITY.to_le_bytes());
            },
            &[&format!("{UP}.{suffix}"), SHARD],
        );
    }
}

#[test]
fn modules_that_lack_tensors_are_refused() {
    let nv = |modelopt| Encoding::NvFp4(NvFp4 { modelopt, power_of_two: true });
    let int8 = CtInt8 { per_tensor: false, scale: ScaleDtype::F16, zero_point: true };
    let shuffled = Gptq { g_idx: GIdx::Shuffled(3), ..Gptq::sym(4, 32) };
    for (encoding, needed) in [
        (Encoding::Gptq(Gptq::sym(4, 128)), &["qweight", "scales"][..]),
        (Encoding::Gptq(Gptq::asym(4, 64)), &["qweight", "scales", "qzeros"]),
        (Encoding::Awq(Awq::asym(4, 64)), &["qweight", "scales", "qzeros"]),
        (
            Encoding::CtPacked(CtPacked { sym: false, ..CtPacked::sym(4, 64) }),
            &["weight_packed", "weight_scale", "weight_zero_point"],
        ),
        (Encoding::CtInt8(int8), &["weight", "weight_scale"]),
        (Encoding::Mlx(mlx()), &["weight", "scales", "biases"]),
        (Encoding::Fp8(Fp8::scaled(Fp8Scale::Channel)), &["weight", "weight_scale"]),
        (Encoding::MxFp4, &["weight_packed", "weight_scale"]),
        (nv(false), &["weight_packed", "weight_scale", "weight_global_scale"]),
        (nv(true), &["weight", "weight_scale", "weight_scale_2"]),
        (Encoding::Bf16, &["weight"]),
    ] {
        let model = Model::uniform(encoding);
        for suffix in needed {
            let name = format!("{UP}.{suffix}");
            edited(&format!("{encoding:?} without {suffix}"), &model, |c| _ = c.remove(&name), &[UP]);
        }
        if needed.len() > 1 {
            edited(
                &format!("{encoding:?}, one alone"),
                &model,
                |c| {
                    let keep = format!("{UP}.{}", needed[1]);
                    c.tensors.retain(|t| !t.name.starts_with(UP) || t.name == keep);
                },
                &[UP, "missing"],
            );
        }
    }
    let gptq = Model { method: Some(Method::Gptq), ..Model::uniform(Encoding::Gptq(shuffled)) };
    edited(
        "act order without its order",
        &gptq,
        |c| _ = c.remove(&format!("{UP}.g_idx")),
        &[&format!("{UP}.g_idx"), "missing"],
    );
}

#[test]
fn unused_and_contradictory_tensors_are_refused() {
    edited(
        "unused",
        &int4(),
        |c| {
            c.tensors.push(Tensor::new("model.layers.0.mlp.extra.weight", Dtype::Bf16, &[2], vec![0; 4]));
        },
        &["model.layers.0.mlp.extra.weight", SHARD, "is not used by the model"],
    );
    edited(
        "a bias",
        &int4(),
        |c| {
            c.tensors.push(Tensor::new(
                "model.layers.1.self_attn.q_proj.bias",
                Dtype::Bf16,
                &[512],
                vec![0; 1024],
            ));
        },
        &["q_proj.bias", SHARD],
    );
    edited(
        "stored twice",
        &int4(),
        |c| {
            c.tensors.push(Tensor::new(format!("{UP}.weight"), Dtype::Bf16, &[128, 128], vec![0; 32768]));
        },
        &[&format!("{UP}.weight"), SHARD],
    );
    for name in [
        "model.norm.weight",
        "model.embed_tokens.weight",
        "lm_head.weight",
        "model.layers.0.linear_attn.A_log",
        "model.layers.0.linear_attn.conv1d.weight",
    ] {
        edited(name, &int4(), |c| _ = c.remove(name), &[name.trim_end_matches(".weight"), "missing"]);
    }
    edited(
        "bits by name",
        &int4(),
        |c| {
            set(c, "/quantization_config/extra_config", json!({UP: {"bits": 8, "group_size": 128}}));
        },
        &[&format!("{UP}.qweight"), SHARD, "4-bit codes", "expected 8 bits"],
    );
    edited(
        "bits for all",
        &int4(),
        |c| set(c, "/quantization_config/bits", json!(2)),
        &[".qweight", SHARD, "expected 2 bits"],
    );
    edited(
        "one odd zero point",
        &int4(),
        |c| c.tensor(&format!("{UP}.qzeros")).data[9] ^= 0x10,
        &[&format!("{UP}.qzeros"), SHARD, "zero points are not constant", "expected 8 or 7 everywhere"],
    );
    for bits in [3, 8] {
        edited(
            "one odd zero point",
            &Model::uniform(Encoding::Gptq(Gptq::sym(bits, 128))),
            |c| c.tensor(&format!("{UP}.qzeros")).data[9] ^= 0x10,
            &[&format!("{UP}.qzeros"), SHARD, "zero points are not constant"],
        );
    }
    edited(
        "zero points of AWQ less one",
        &Model::uniform(Encoding::Awq(Awq { sym: true, ..Awq::asym(4, 64) })),
        |c| c.tensor(&format!("{UP}.qzeros")).data.fill(0x77),
        &[&format!("{UP}.qzeros"), SHARD, "not in the middle", "expected 8 everywhere"],
    );
    let shuffled = Model::uniform(Encoding::Gptq(Gptq { g_idx: GIdx::Shuffled(3), ..Gptq::sym(4, 32) }));
    for group in [4u32, u32::MAX, 1 << 31] {
        edited(
            &format!("group {group}"),
            &shuffled,
            |c| {
                c.tensor(&format!("{UP}.g_idx")).data[8..12].copy_from_slice(&group.to_le_bytes());
            },
            &[&format!("{UP}.g_idx"), SHARD, "it contains group", "expected 0 to 3"],
        );
    }
    edited(
        "a column order that is too short",
        &shuffled,
        |c| {
            reshaped(c, &format!("{UP}.g_idx"), Dtype::I32, &[127], vec![0; 508]);
        },
        &[&format!("{UP}.g_idx"), SHARD, "one group per column"],
    );
    let fused = Model { fused_experts: true, ..Model::tiny() };
    edited(
        "one expert missing",
        &fused,
        |c| {
            reshaped(c, "model.layers.0.mlp.experts.down_proj", Dtype::Bf16, &[3, 128, 128], vec![0; 98304]);
        },
        &["experts.down_proj", SHARD, "512 rows of 128"],
    );
    let mtp = Model { mtp: Mtp::Bf16, ..Model::tiny() };
    edited(
        "MTP layer of another shape",
        &mtp,
        |c| {
            reshaped(c, "mtp.fc.weight", Dtype::Bf16, &[128, 128], vec![0; 32768]);
        },
        &["mtp.fc.weight", "model_extra_tensors.safetensors", "128 rows of 256"],
    );
}
