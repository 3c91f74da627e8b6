//! Scales, codes and group sizes that are not finite or not plausible, and unusual values that are accepted.

use gguf_export::PlanOptions;
use gguf_export::ggml::GgmlType;
use gguf_export::plan::OutType;
use gguf_export::verify::VerifyOptions;
use serde_json::json;
use testkit::{Checkpoint, CtPacked, Encoding, Fp8, Fp8Scale, Gptq, Group, Model, NvFp4, ScaleDtype};

use crate::common::{Place, story};
use crate::{SHARD, UP, asym, edited, int4, set};

#[test]
fn scales_that_are_not_finite_are_refused() {
    let half = [0x7C00u16, 0xFC00, 0x7E01, 0xFFFF];
    for bits in half {
        let put = |c: &mut Checkpoint| {
            c.tensor(&format!("{UP}.scales")).data[6..8].copy_from_slice(&bits.to_le_bytes());
        };
        for model in [
            int4(),
            asym(),
            Model::uniform(Encoding::Gptq(Gptq::sym(8, 128))),
            Model::uniform(Encoding::Gptq(Gptq::sym(3, 32))),
        ] {
            edited(
                &format!("F16 {bits:04x}"),
                &model,
                put,
                &[&format!("{UP}.scales"), SHARD, "row 3, column 0 is NaN or infinite", "finite"],
            );
        }
    }
    let floats = |scale, bytes: &'static [u8]| {
        for dense in [false, true] {
            let ct = CtPacked { dense, scale, ..CtPacked::sym(4, 64) };
            let put = move |c: &mut Checkpoint| {
                c.tensor(&format!("{UP}.weight_scale")).data[..bytes.len()].copy_from_slice(bytes);
            };
            edited(
                "float scale",
                &Model::uniform(Encoding::CtPacked(ct)),
                put,
                &[&format!("{UP}.weight_scale"), SHARD, "row 0, column 0 is NaN or infinite"],
            );
        }
    };
    for bytes in [[0x80, 0x7F], [0x80, 0xFF], [0xC0, 0x7F], [0xFF, 0xFF]] {
        floats(ScaleDtype::Bf16, Box::leak(Box::new(bytes)));
    }
    floats(ScaleDtype::F32, &[0, 0, 0x80, 0x7F]);
    floats(ScaleDtype::F32, &[1, 0, 0x80, 0xFF]);
    for scale in [Fp8Scale::Tensor, Fp8Scale::Channel, Fp8Scale::Block(64, 64), Fp8Scale::Group(32)] {
        let fp8 = Fp8::scaled(scale);
        let put = |c: &mut Checkpoint| {
            c.tensor(&format!("{UP}.weight_scale")).data[..2].copy_from_slice(&[0xC0, 0x7F]);
        };
        edited(
            &format!("FP8 {scale:?}"),
            &Model::uniform(Encoding::Fp8(fp8)),
            put,
            &[&format!("{UP}.weight_scale"), SHARD, "NaN or infinite"],
        );
    }
    for encoding in [Encoding::MxFp4, Encoding::MxFp8, Encoding::MxInt4, Encoding::NvFp4E5m3] {
        let put = |c: &mut Checkpoint| c.tensor(&format!("{UP}.weight_scale")).data[1] = 255;
        edited(
            &format!("{encoding:?}"),
            &Model::uniform(encoding),
            put,
            &[&format!("{UP}.weight_scale"), SHARD, "NaN or infinite"],
        );
    }
    for modelopt in [false, true] {
        let nv = Model {
            linears: Encoding::Bf16,
            ..Model::uniform(Encoding::NvFp4(NvFp4 { modelopt, power_of_two: true }))
        };
        for byte in [0x7F, 0xFF] {
            let put = |c: &mut Checkpoint| c.tensor(&format!("{UP}.weight_scale")).data[1] = byte;
            edited("NVFP4 scale", &nv, put, &[&format!("{UP}.weight_scale"), SHARD, "NaN or infinite"]);
        }
        let name = format!("{UP}.{}", if modelopt { "weight_scale_2" } else { "weight_global_scale" });
        for value in [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let put = |c: &mut Checkpoint| c.tensor(&name).data.copy_from_slice(&value.to_le_bytes());
            edited(&format!("global {value}"), &nv, put, &[&name, SHARD, "nonzero"]);
        }
    }
    let nv = Model {
        linears: Encoding::Bf16,
        ..Model::uniform(Encoding::NvFp4(NvFp4 { modelopt: false, power_of_two: true }))
    };
    let name = format!("{UP}.weight_global_scale");
    let put = |c: &mut Checkpoint| c.tensor(&name).data.copy_from_slice(&1e-40f32.to_le_bytes());
    edited("a divisor without a reciprocal", &nv, put, &[&name, SHARD, "reciprocal"]);
}

#[test]
fn fp8_codes_that_are_not_finite_are_refused() {
    for (e5m2, codes) in [(false, &[0x7F, 0xFF][..]), (true, &[0x7C, 0x7D, 0x7F, 0xFC, 0xFF])] {
        for &code in codes {
            for scale in [Fp8Scale::Tensor, Fp8Scale::Channel, Fp8Scale::Block(128, 128)] {
                let model = Model::uniform(Encoding::Fp8(Fp8 { e5m2, ..Fp8::scaled(scale) }));
                let put = |c: &mut Checkpoint| c.tensor(&format!("{UP}.weight")).data[2 * 128 + 5] = code;
                edited(
                    &format!("{code:02x} {scale:?}"),
                    &model,
                    put,
                    &[&format!("{UP}.weight"), SHARD, "row 2, column 5 is NaN or infinite"],
                );
            }
        }
    }
    let put = |c: &mut Checkpoint| c.tensor(&format!("{UP}.weight")).data[2 * 128 + 5] = 0x7F;
    edited(
        "MXFP8",
        &Model::uniform(Encoding::MxFp8),
        put,
        &[&format!("{UP}.weight"), SHARD, "row 2, column 5"],
    );
}

#[test]
fn nan_in_plain_weights_zero_scales_and_padded_groups_are_accepted() {
    // Plain weights are copied bit for bit, NaN included, and a scale may be zero.
    let place = Place::new();
    let mut nan = Model::tiny().build();
    nan.tensor(&format!("{UP}.weight")).data[..4].copy_from_slice(&[0xC1, 0x7F, 0x80, 0xFF]);
    nan.write(&place.source());
    place.export().unwrap();
    assert!(place.verify().unwrap().equal(), "{:?}", place.verify().unwrap());
    let place = Place::new();
    let mut zero = Model::uniform(Encoding::Fp8(Fp8::scaled(Fp8Scale::Tensor))).build();
    zero.tensor(&format!("{UP}.weight_scale")).data.fill(0);
    zero.write(&place.source());
    place.export().unwrap();
    assert!(place.verify().unwrap().equal(), "{:?}", place.verify().unwrap());
    // Padding to whole groups: twelve words are 96 codes of four bits, or 128 of three.
    let place = Place::new();
    let mut padded = Model {
        hidden: 96,
        ..Model::uniform(Encoding::Gptq(Gptq { group: Group::Size(128), ..Gptq::sym(4, 128) }))
    }
    .build();
    padded.tensors.retain(|t| !t.name.ends_with(".qzeros"));
    padded.write(&place.source());
    place.export().unwrap_or_else(|e| panic!("{}", story(&e)));
    assert!(place.verify().unwrap().equal());
}

#[test]
fn absurd_group_sizes_are_ignored_or_refused() {
    for group in [json!(i64::MAX), json!(i64::MIN), json!(0), json!(1u64 << 62), json!(257)] {
        for suffix in ["gptq", "ct"] {
            let encoding = if suffix == "ct" {
                Encoding::CtPacked(CtPacked { group: Group::PerRow, ..CtPacked::sym(4, 64) })
            } else {
                Encoding::Gptq(Gptq { group: Group::PerRow, ..Gptq::sym(4, 128) })
            };
            let place = Place::new();
            let mut checkpoint = Model::uniform(encoding).build();
            if suffix == "gptq" {
                set(&mut checkpoint, "/quantization_config/group_size", group.clone());
            } else {
                let at = "/quantization_config/config_groups/group_0/weights/strategy";
                set(&mut checkpoint, at, json!("group"));
                set(
                    &mut checkpoint,
                    "/quantization_config/config_groups/group_0/weights/group_size",
                    group.clone(),
                );
            }
            checkpoint.write(&place.source());
            // With one group per row, the declared group size does not matter.
            place.export().unwrap_or_else(|e| panic!("{suffix} group {group}: {}", story(&e)));
            assert!(place.verify().unwrap().equal());
        }
    }
    for group in [json!(u64::MAX), json!("128"), json!(1.5)] {
        edited(
            &format!("group {group}"),
            &int4(),
            |c| set(c, "/quantization_config/group_size", group.clone()),
            &["config.json", "quantization_config.group_size", "an integer"],
        );
    }
    edited(
        "group that does not divide",
        &int4(),
        |c| set(c, "/quantization_config/group_size", json!(32)),
        &[".scales", SHARD, "expected 4 (128 columns, group size 32)"],
    );
}

/// The tiny model with `value` at row 3, column 40 of an expert.
fn with_value(value: f32) -> Place {
    let mut checkpoint = Model::tiny().build();
    let at = 2 * (3 * 128 + 40);
    let bytes = &mut checkpoint.tensor(&format!("{UP}.weight")).data[at..at + 2];
    bytes.copy_from_slice(&half::bf16::from_f32(value).to_le_bytes());
    let place = Place::new();
    checkpoint.write(&place.source());
    place
}

#[test]
fn values_beyond_the_range_of_a_chosen_type_are_refused() {
    for (ty, value, fits) in [
        (GgmlType::Q8_0, 1e27, false),
        (GgmlType::Q8_0, -9e6, false),
        (GgmlType::Q8_0, 8e6, true),
        (GgmlType::F16, 1e27, false),
        (GgmlType::F16, 60000., true),
        (GgmlType::F32, 1e27, true),
    ] {
        let place = with_value(value);
        let options = PlanOptions { outtype: OutType::Only(ty), ..PlanOptions::default() };
        let exported = place.export_with(&options);
        if fits {
            exported.unwrap();
            let report = place
                .verify_with(VerifyOptions { threads: 2, allow_rounding: true, ..VerifyOptions::default() })
                .unwrap();
            assert!(report.equal(), "{ty} of {value}: {:?}", report.differences);
            continue;
        }
        let error = story(&exported.unwrap_err());
        let place_of = format!("tensor `{UP}.weight` in `");
        let says = format!(
            "row 3, column 40: {:e} is out of the range of {ty}",
            half::bf16::from_f32(value).to_f64()
        );
        assert!(error.contains(&place_of) && error.contains(&says), "{error}");
        assert_eq!(place.left_behind(), [""; 0]);
    }
}

#[test]
fn rounding_tiny_values_stays_within_the_rounding_of_the_type() {
    // Scales of such blocks are subnormal or zero in F16.
    let mut checkpoint = Model::tiny().build();
    let values = (0u16..).map(|i| half::bf16::from_f32(f32::from(i % 200) * 1e-7));
    let tensor = checkpoint.tensor(&format!("{UP}.weight"));
    tensor.data = values.take(tensor.data.len() / 2).flat_map(half::bf16::to_le_bytes).collect();
    let place = Place::new();
    checkpoint.write(&place.source());
    let options = PlanOptions { outtype: OutType::Only(GgmlType::Q8_0), ..PlanOptions::default() };
    place.export_with(&options).unwrap();
    let report = place
        .verify_with(VerifyOptions { threads: 2, allow_rounding: true, ..VerifyOptions::default() })
        .unwrap();
    assert!(report.equal(), "{:?}", report.differences);
}
