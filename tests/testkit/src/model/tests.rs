//! Layout of built checkpoints.

use super::*;
use crate::encode::{Fp8, Gptq};

#[test]
fn values_do_not_depend_on_the_encoding_of_other_parts() {
    let plain = Model::tiny().build();
    let int4 = Encoding::Gptq(Gptq::sym(4, 128));
    let mixed = Model { experts: int4, mtp: Mtp::Bf16, ..Model::tiny() }.build();
    let (same, other) =
        ("model.layers.1.self_attn.q_proj.weight", "model.layers.1.mlp.experts.0.up_proj.weight");
    assert_eq!(plain.weights[same], mixed.weights[same]);
    assert_ne!(plain.weights[other], mixed.weights[other]);
    assert_eq!(plain.weights[other].shape, mixed.weights[other].shape);
}

#[test]
fn fused_experts_are_stacked_with_the_gate_first() {
    let model = Model { fused_experts: true, experts: Encoding::F32, ..Model::tiny() };
    let mut built = model.build();
    let tensor = built.tensor("model.layers.0.mlp.experts.gate_up_proj").clone();
    assert_eq!(tensor.shape, [4, 256, 128]);
    let bytes = |name: &str| -> Vec<u8> {
        let name = format!("model.layers.0.mlp.experts.{name}.weight");
        built.weights[&name].values.iter().flat_map(|v| v.to_le_bytes()).collect()
    };
    let expert = 256 * 128 * 4;
    assert_eq!(tensor.data[2 * expert..3 * expert], [bytes("2.gate_proj"), bytes("2.up_proj")].concat());

    let mut fp8 = Model { experts: Encoding::Fp8(Fp8::block()), ..model }.build();
    assert_eq!(fp8.tensor("model.layers.0.mlp.experts.gate_up_proj_scale_inv").shape, [4, 2, 1]);
}

#[test]
fn the_mtp_layer_has_the_requested_parts() {
    let int4 = Encoding::Gptq(Gptq::sym(4, 128));
    let has = |mtp: Mtp, name: &str| {
        let built = Model { mtp, ..Model::uniform(int4) }.build();
        built.tensors.iter().any(|tensor| tensor.name == name)
    };
    assert!(!has(Mtp::None, "mtp.norm.weight") && has(Mtp::Partial, "mtp.norm.weight"));
    assert!(has(Mtp::Bf16, "mtp.fc.weight") && !has(Mtp::Partial, "mtp.fc.weight"));
    assert!(has(Mtp::Quantized, "mtp.fc.weight") && has(Mtp::QuantizedFc, "mtp.fc.qweight"));
    assert!(has(Mtp::Quantized, "mtp.layers.0.mlp.experts.0.up_proj.qweight"));
    assert!(has(Mtp::Quantized, "mtp.layers.0.mlp.gate.weight"));
}

#[test]
fn shards_are_written_with_an_index() {
    let dir = std::env::temp_dir().join(format!("testkit-shards-{}", std::process::id()));
    let built = Model { shards: 3, mtp: Mtp::Bf16, ..Model::tiny() }.write(&dir);
    let index = std::fs::read(dir.join("model.safetensors.index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    for tensor in &built.tensors {
        let file = std::fs::read(dir.join(index["weight_map"][&tensor.name].as_str().unwrap())).unwrap();
        let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        let entry: Value = serde_json::from_slice(&file[8..header]).unwrap();
        let range = &entry[&tensor.name]["data_offsets"];
        let at = |i: usize| header + range[i].as_u64().unwrap() as usize;
        assert_eq!(file[at(0)..at(1)], tensor.data, "`{}`", tensor.name);
    }
    assert_eq!(index["weight_map"]["mtp.fc.weight"], crate::checkpoint::EXTRA_FILE);
    assert!(dir.join("model-00003-of-00003.safetensors").exists());
    std::fs::remove_dir_all(&dir).unwrap();
}
