//! Columns that move only as whole heads: types whose blocks they would split are neither chosen nor accepted.
#![allow(clippy::disallowed_methods, reason = "tests read and write temporary files")]

mod common;

use std::path::Path;

use gguf_export::checkpoint::Checkpoint;
use gguf_export::ggml::GgmlType;
use gguf_export::plan::OutType;
use gguf_export::verify::{VerifyOptions, verify};
use gguf_export::{ExportOptions, Plan, PlanOptions, export, survey};
use testkit::{Dtype, Tensor, family};

use common::{GO, bytes, configure};

const OUT: &str = "blk.0.ssm_out.weight";

fn planned(folder: &Path, options: &PlanOptions) -> gguf_export::Result<Plan> {
    survey(&Checkpoint::open(folder)?, options, 2, &GO, &|_| {})
}

/// The tiny Qwen3.5 with value heads of 16 elements, which are half a block.
fn narrow_heads(folder: &Path) {
    family::copy("qwen3_5", folder);
    configure(folder, |config| {
        for field in ["linear_key_head_dim", "linear_value_head_dim"] {
            config["text_config"][field] = 16.into();
        }
    });
    let path = folder.join("model.safetensors");
    let narrow = |tensor: Tensor| {
        let shape: &[usize] = match tensor.name.rsplit_once("linear_attn.").map(|(_, module)| module) {
            Some("in_proj_qkv.weight") => &[128, 128],
            Some("in_proj_z.weight") => &[64, 128],
            Some("conv1d.weight") => &[128, 1, 4],
            Some("norm.weight") => &[16],
            Some("out_proj.weight") => &[128, 64],
            _ => return tensor,
        };
        let length = shape.iter().product::<usize>() * 2;
        Tensor::new(tensor.name, Dtype::Bf16, shape, tensor.data[..length].to_vec())
    };
    let tensors: Vec<Tensor> = testkit::safetensors::read(&path).into_iter().map(narrow).collect();
    testkit::safetensors::write(&path, &tensors);
}

#[test]
fn a_chosen_type_whose_blocks_would_be_split_falls_back_to_f16() {
    let dir = tempfile::tempdir().unwrap();
    narrow_heads(dir.path());
    let outtype = OutType::Only(GgmlType::Q8_0);
    let options = PlanOptions { outtype, allow_rounding: true, ..PlanOptions::default() };
    let plan = planned(dir.path(), &options).unwrap();
    let ty = |name: &str| plan.tensors.iter().find(|tensor| tensor.name == name).unwrap().ty();
    assert_eq!((ty(OUT), ty("blk.0.ffn_down.weight")), (GgmlType::F16, GgmlType::Q8_0));
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let out = dir.path().join("out.gguf");
    export(&checkpoint, &plan, &out, &ExportOptions::default(), &GO, &|_| {}).unwrap();
    let accepting = VerifyOptions { allow_rounding: true, ..VerifyOptions::default() };
    let report = verify(&checkpoint, &out, accepting, &GO, &|_| {}).unwrap();
    assert!(report.equal(), "{:?}", report.differences);
}

#[test]
fn a_file_with_a_type_whose_blocks_split_what_moves_is_not_equal() {
    let dir = tempfile::tempdir().unwrap();
    let folder = family::folder("qwen3_5-int4");
    let plan = planned(&folder, &PlanOptions::default()).unwrap();
    let checkpoint = Checkpoint::open(&folder).unwrap();
    let out = dir.path().join("out.gguf");
    export(&checkpoint, &plan, &out, &ExportOptions::default(), &GO, &|_| {}).unwrap();
    // The type follows name, number of dimensions and two dimensions. Q4_K takes as many bytes as Q4_0.
    let mut file = bytes(&out);
    let name = file.windows(OUT.len()).position(|window| window == OUT.as_bytes()).unwrap();
    let place = name + OUT.len() + 4 + 2 * 8;
    assert_eq!(file[place..place + 4], 2u32.to_le_bytes());
    file[place..place + 4].copy_from_slice(&12u32.to_le_bytes());
    std::fs::write(&out, file).unwrap();
    let report = verify(&checkpoint, &out, VerifyOptions::default(), &GO, &|_| {}).unwrap();
    let first = report.differences.first().unwrap().to_string();
    assert!(first.contains(OUT) && first.contains("its type is Q4_K, whose blocks of 256 split"), "{first}");
}
