//! `int-quantized` of compressed-tensors with groups: column orders, narrow codes and zero points.

use gguf_export::PlanOptions;
use gguf_export::checkpoint::Checkpoint as Opened;
use gguf_export::ggml::GgmlType;
use gguf_export::plan::Fidelity;
use gguf_export::{ExportOptions, export, survey};
use serde_json::json;
use testkit::{
    Awq, Checkpoint, CtPacked, Dtype, Encoding, Fp8, Fp8Scale, GIdx, Gptq, Group, Method, Mlx, Model, Tensor,
};

use super::{GO, round_trip_of, types};

const UP: &str = "model.layers.0.mlp.experts.0.up_proj";

/// A checkpoint with the values of `packed`, whose codes of four or eight bits are stored in a byte each.
fn in_bytes(packed: CtPacked) -> Checkpoint {
    let mut written = Model::uniform(Encoding::CtPacked(packed)).build();
    written.tensors.retain(|tensor| !tensor.name.ends_with(".weight_shape"));
    for tensor in &mut written.tensors {
        let Some(module) = tensor.name.strip_suffix(".weight_packed") else { continue };
        let per_byte = usize::try_from(8 / packed.bits).unwrap();
        let middle = 1u8 << (packed.bits - 1);
        let code = |byte: u8, at: usize| (byte >> (4 * at)) & (u8::MAX >> (8 - packed.bits));
        let codes = tensor.data.iter().flat_map(|&byte| (0..per_byte).map(move |at| code(byte, at)));
        let codes: Vec<u8> = codes.map(|code| code.wrapping_sub(middle)).collect();
        let shape = [tensor.shape[0], codes.len() / tensor.shape[0]];
        *tensor = Tensor::new(format!("{module}.weight"), Dtype::I8, &shape, codes);
    }
    let section = &mut written.config["quantization_config"];
    section["format"] = json!("int-quantized");
    section["config_groups"]["group_0"]["format"] = json!("int-quantized");
    written
}

/// The error of planning a checkpoint.
fn refusal(written: &Checkpoint) -> String {
    let dir = tempfile::tempdir().unwrap();
    written.write(dir.path());
    let checkpoint = Opened::open(dir.path()).unwrap();
    survey(&checkpoint, &PlanOptions::default(), 2, &GO, &|_| {}).unwrap_err().to_string()
}

/// Neighbours of 128 columns in different groups of 64.
fn shuffled() -> Vec<u8> {
    (0..128u32).flat_map(|column| (column % 2).to_le_bytes()).collect()
}

#[test]
fn bytes_keep_the_order_of_their_columns() {
    let packed = CtPacked::sym(8, 64);
    for sym in [true, false] {
        let ordered = CtPacked { sym, zero_i8_unpacked: true, g_idx: GIdx::Shuffled(11), ..packed };
        let plan = round_trip_of("shuffled", &in_bytes(ordered), &PlanOptions::default());
        assert_eq!(types(&plan, "ffn_gate_exps"), (GgmlType::F32, Fidelity::Exact), "{sym}");
    }
    for g_idx in [GIdx::Absent, GIdx::Trivial, GIdx::Zeros] {
        let plan = round_trip_of("natural", &in_bytes(CtPacked { g_idx, ..packed }), &PlanOptions::default());
        assert_eq!(types(&plan, "ffn_gate_exps").0, GgmlType::Q8_0, "{g_idx:?}");
        assert!(plan.weights.iter().all(|weight| !weight.describe().contains("act-order")), "{g_idx:?}");
    }
}

#[test]
fn a_declared_order_that_is_missing_is_refused() {
    let mut written = in_bytes(CtPacked { g_idx: GIdx::Shuffled(11), ..CtPacked::sym(8, 64) });
    written.remove(&format!("{UP}.weight_g_idx"));
    let error = refusal(&written);
    assert!(error.contains(&format!("{UP}.weight_g_idx")) && error.contains("missing"), "{error}");
    let fp8 = Encoding::Fp8(Fp8::scaled(Fp8Scale::Group(64)));
    let mut floats = Model { method: Some(Method::CompressedTensors), ..Model::uniform(fp8) }.build();
    floats.config["quantization_config"]["config_groups"]["group_0"]["weights"]["actorder"] = json!("group");
    let error = refusal(&floats);
    assert!(error.contains(".weight_g_idx` is missing"), "{error}");
}

#[test]
fn an_order_that_an_encoding_does_not_use_is_refused_by_name() {
    let encodings = [
        (Encoding::Fp8(Fp8::scaled(Fp8Scale::Group(64))), "weight_g_idx"),
        (Encoding::MxFp4, "weight_g_idx"),
        (Encoding::Awq(Awq::asym(4, 64)), "g_idx"),
        (Encoding::Gptq(Gptq::sym(4, 64)), "weight_g_idx"),
        (Encoding::CtPacked(CtPacked::sym(4, 64)), "g_idx"),
        (Encoding::Mlx(Mlx { bits: 4, group: Group::Size(64) }), "g_idx"),
        (Encoding::Bf16, "weight_g_idx"),
    ];
    for (encoding, name) in encodings {
        let mut written = Model::uniform(encoding).build();
        written.tensors.push(Tensor::new(format!("{UP}.{name}"), Dtype::I32, &[128], shuffled()));
        let error = refusal(&written);
        let named = error.contains(&format!("{UP}.{name}")) && error.contains("model.safetensors");
        assert!(named && error.contains("permutes the columns"), "{encoding:?}: {error}");
    }
}

#[test]
fn codes_of_four_bits_in_bytes_are_proven_and_verified() {
    let written = in_bytes(CtPacked::sym(4, 64));
    round_trip_of("W4A8", &written, &PlanOptions::default());
    let dir = tempfile::tempdir().unwrap();
    let (source, out) = (dir.path().join("checkpoint"), dir.path().join("out.gguf"));
    written.write(&source);
    let checkpoint = Opened::open(&source).unwrap();
    let plan = survey(&checkpoint, &PlanOptions::default(), 2, &GO, &|_| {}).unwrap();
    let options = ExportOptions { prove: true, ..ExportOptions::default() };
    export(&checkpoint, &plan, &out, &options, &GO, &|_| {}).unwrap();
}

#[test]
fn asymmetric_bytes_without_zero_points_are_refused() {
    let packed = CtPacked { sym: false, zero_i8_unpacked: true, ..CtPacked::sym(8, 64) };
    let mut written = in_bytes(packed);
    written.remove(&format!("{UP}.weight_zero_point"));
    let error = refusal(&written);
    assert!(error.contains(&format!("{UP}.weight_zero_point")) && error.contains("missing"), "{error}");
}
