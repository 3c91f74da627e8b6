//! Round trips of every encoding: written by `testkit`, exported, compared value by value with the weights of `testkit`,
//! and verified.
#![expect(clippy::unwrap_used, reason = "test helpers; a panic names the line")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use gguf_export::checkpoint::Checkpoint;
use gguf_export::ggml::{self, GgmlType};
use gguf_export::gguf::Header;
use gguf_export::io::{ByteSource, FileSource};
use gguf_export::plan::{Content, Fidelity, Form};
use gguf_export::verify::{VerifyOptions, verify};
use gguf_export::{ExportOptions, Plan, PlanOptions, export, survey};
use testkit::{
    Awq, CtInt8, CtPacked, Encoding, Fp8, Fp8Scale, GIdx, Gptq, Group, Mlx, Model, Mtp, NvFp4, ScaleDtype,
    StoredZero,
};

#[path = "formats/bytes.rs"]
mod bytes;
#[path = "formats/tools.rs"]
mod tools;

static GO: AtomicBool = AtomicBool::new(false);

/// Exports a checkpoint, compares the file with the written weights, verifies it, and returns the plan.
fn round_trip(name: &str, model: &Model, options: &PlanOptions) -> Plan {
    round_trip_of(name, &model.build(), options)
}

fn round_trip_of(name: &str, written: &testkit::Checkpoint, options: &PlanOptions) -> Plan {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("checkpoint");
    std::fs::create_dir(&source).unwrap();
    written.write(&source);
    let out = dir.path().join("out.gguf");
    let checkpoint = Checkpoint::open(&source).unwrap_or_else(|e| panic!("{name}: {e}"));
    let plan = survey(&checkpoint, options, 2, &GO, &|_| {}).unwrap_or_else(|e| panic!("{name}: {e}"));
    export(&checkpoint, &plan, &out, &ExportOptions { threads: 2, ..Default::default() }, &GO, &|_| {})
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    if plan.tensors.iter().all(|t| t.fidelity != Some(Fidelity::Rounded)) {
        compare(name, &checkpoint, &plan, &out, written);
    }
    let zero_points = options.config.zero_points;
    let verifying = VerifyOptions { threads: 2, zero_points, allow_rounding: true };
    let report = verify(&checkpoint, &out, verifying, &GO, &|_| {}).unwrap();
    assert!(report.equal(), "{name}: {:#?}", report.differences);
    assert!(report.tensors > 20 && report.values > 300_000, "{name}: {report:?}");
    plan
}

fn compare(name: &str, checkpoint: &Checkpoint, plan: &Plan, out: &Path, written: &testkit::Checkpoint) {
    let source = FileSource::open(out).unwrap();
    let header = Header::read(out, &source).unwrap();
    let infos: BTreeMap<&str, _> = header.tensors.iter().map(|t| (t.name.as_str(), t)).collect();
    for tensor in plan.tensors.iter().filter(|t| t.content == Content::Weights) {
        let info = infos[tensor.name.as_str()];
        let mut bytes = vec![0; usize::try_from(info.bytes()).unwrap()];
        source.read_at(header.data_offset + info.offset, &mut bytes).unwrap();
        let factors: Vec<f32> = match tensor.candidates[0].form {
            Form::Values => Vec::new(),
            Form::Unscaled => {
                let scale = infos[tensor.name.replace(".weight", ".scale").as_str()];
                let mut raw = vec![0; usize::try_from(scale.bytes()).unwrap()];
                source.read_at(header.data_offset + scale.offset, &mut raw).unwrap();
                raw.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
            }
        };
        let mut row = vec![0f32; usize::try_from(tensor.columns()).unwrap()];
        let mut lines = bytes.chunks_exact(usize::try_from(tensor.row_bytes()).unwrap());
        for (index, piece) in tensor.pieces.iter().enumerate() {
            let main = checkpoint.locate(plan.weights[piece.weight as usize].main()).tensor;
            let module = [".qweight", ".weight_packed", ".weight"].iter().find_map(|s| main.strip_suffix(s));
            let fused = main.strip_suffix("gate_up_proj").or_else(|| main.strip_suffix("down_proj"));
            let (weight, first) = if let Some(experts) = fused.filter(|p| p.ends_with("experts.")) {
                // Each piece is an expert; the GGUF name contains the projection.
                let projection =
                    ["gate", "up", "down"].iter().find(|p| tensor.name.contains(&format!("ffn_{p}_")));
                let module = format!("{experts}{index}.{}_proj.weight", projection.unwrap());
                (&written.weights[&module], 0)
            } else {
                let module = module.map(|m| format!("{m}.weight"));
                let found = written.weights.get(&main).or_else(|| written.weights.get(&module?));
                (found.unwrap_or_else(|| panic!("{name}: no values for {main}")), piece.start)
            };
            for r in first..first + piece.rows {
                ggml::decode_row(info.ty, lines.next().unwrap(), &mut row).unwrap();
                let expected = &weight.values[usize::try_from(r).unwrap() * row.len()..][..row.len()];
                for (column, (&e, &f)) in expected.iter().zip(&row).enumerate() {
                    let e = tensor.map.apply(e);
                    let same = match factors.get(index).or(factors.first()) {
                        None => e.to_bits() == f.to_bits() || e == 0.0 && f == 0.0,
                        // The factor is a rounded reciprocal; `verify` compares the codes themselves.
                        Some(factor) => {
                            (f64::from(f) * f64::from(*factor) - f64::from(e)).abs()
                                <= f64::from(e.abs()) * 2e-7
                        }
                    };
                    assert!(same, "{name}: {} row {r} column {column}: {e} became {f}", tensor.name);
                }
            }
        }
        assert!(lines.next().is_none());
    }
}

fn types(plan: &Plan, of: &str) -> (GgmlType, Fidelity) {
    let exact = plan.tensors.iter().find(|t| t.name == of);
    let t = exact.or_else(|| plan.tensors.iter().find(|t| t.name.contains(of))).unwrap();
    (t.ty(), t.fidelity.unwrap())
}

/// Exports a model whose Linears all have one encoding and returns type and fidelity of the experts.
fn one(name: &str, encoding: Encoding) -> (GgmlType, Fidelity) {
    types(&round_trip(name, &Model::uniform(encoding), &PlanOptions::default()), "ffn_gate_exps")
}

use Fidelity::{Checked, Exact};

#[test]
fn symmetric_integers_get_the_smallest_exact_type() {
    for (bits, group, expected) in [
        (2, 128, GgmlType::Q2_0),
        (2, 32, GgmlType::Q4_0),
        (3, 128, GgmlType::Q4_0),
        (4, 128, GgmlType::Q4_0),
        (4, 32, GgmlType::Q4_0),
        (5, 64, GgmlType::Q5_0),
        (6, 128, GgmlType::Q8_0),
        (7, 128, GgmlType::Q8_0),
        (8, 128, GgmlType::Q8_0),
        (8, 32, GgmlType::Q8_0),
    ] {
        for zero in [StoredZero::Direct, StoredZero::MinusOne] {
            let name = format!("gptq {bits} bits group {group} {zero:?}");
            let gptq = Gptq { zero, ..Gptq::sym(bits, group) };
            assert_eq!(one(&name, Encoding::Gptq(gptq)), (expected, Exact), "{name}");
        }
    }
    assert_eq!(one("group 16", Encoding::Gptq(Gptq::sym(4, 16))), (GgmlType::F32, Exact));
    let per_row = Gptq { group: Group::PerRow, ..Gptq::sym(4, 0) };
    assert_eq!(one("per row", Encoding::Gptq(per_row)), (GgmlType::Q4_0, Exact));
}

#[test]
fn asymmetric_integers_keep_every_zero_point() {
    for bits in 2..=8 {
        for zero in [
            StoredZero::Direct,
            StoredZero::MinusOne,
            StoredZero::MinusOneBorrow,
            StoredZero::MinusOneClamped,
        ] {
            // Codes of five to seven bits wrap separately; the others are summed or clamped.
            let plain = matches!(zero, StoredZero::Direct | StoredZero::MinusOne);
            if (!plain && (5..=7).contains(&bits)) || (bits == 3 && zero == StoredZero::MinusOne) {
                continue;
            }
            let name = format!("gptq {bits} bits asymmetric {zero:?}");
            let (ty, _) = one(&name, Encoding::Gptq(Gptq { zero, ..Gptq::asym(bits, 64) }));
            let expected: &[GgmlType] = match bits {
                2 => &[GgmlType::Q4_0, GgmlType::Q2_0],
                3 => &[GgmlType::Q4_0],
                4 => &[GgmlType::Q5_0, GgmlType::Q4_0],
                8 => &[GgmlType::F32, GgmlType::Q8_0],
                _ => &[GgmlType::Q8_0, GgmlType::Q5_0],
            };
            assert!(expected.contains(&ty), "{name}: {ty:?}");
        }
    }
}

#[test]
fn wide_groups_get_k_types() {
    let wide =
        |encoding| Model { hidden: 256, expert_dim: 256, shared_expert_dim: 256, ..Model::uniform(encoding) };
    for (bits, sym, expected) in [
        (2, true, GgmlType::Q2_0),
        (2, false, GgmlType::Q2_K),
        (3, true, GgmlType::Q3_K),
        (4, false, GgmlType::Q4_K),
        (5, false, GgmlType::Q5_K),
        (6, true, GgmlType::Q6_K),
    ] {
        let gptq = if sym { Gptq::sym(bits, 256) } else { Gptq::asym(bits, 256) };
        let name = format!("{bits} bits group 256");
        let plan = round_trip(&name, &wide(Encoding::Gptq(gptq)), &PlanOptions::default());
        assert_eq!(types(&plan, "ffn_down_exps").0, expected, "{name}");
    }
}

#[test]
fn awq_interleaving_is_undone() {
    for bits in 4..=7 {
        for sym in [true, false] {
            one(&format!("awq {bits} {sym}"), Encoding::Awq(Awq { sym, ..Awq::asym(bits, 64) }));
        }
    }
}

#[test]
fn reordered_columns_stay_exact_as_floats() {
    let shuffled = Gptq { g_idx: GIdx::Shuffled(7), ..Gptq::sym(4, 32) };
    assert_eq!(one("desc_act", Encoding::Gptq(shuffled)), (GgmlType::F32, Exact));
    let trivial = Gptq { g_idx: GIdx::Trivial, ..Gptq::sym(4, 32) };
    assert_eq!(one("trivial g_idx", Encoding::Gptq(trivial)), (GgmlType::Q4_0, Exact));
}

#[test]
fn eight_bit_floats_stay_exact() {
    for (name, scale) in [
        ("channel", Fp8Scale::Channel),
        ("channel column", Fp8Scale::ChannelColumn),
        ("group", Fp8Scale::Group(64)),
        ("block", Fp8Scale::Block(128, 128)),
        ("small block", Fp8Scale::Block(64, 32)),
    ] {
        for e5m2 in [false, true] {
            let fp8 = Fp8 { e5m2, ..Fp8::scaled(scale) };
            let plan = round_trip(name, &Model::uniform(Encoding::Fp8(fp8)), &PlanOptions::default());
            assert_eq!(types(&plan, "blk.1.attn_q.weight"), (GgmlType::F32, Exact), "{name}");
        }
    }
    let tensor = Encoding::Fp8(Fp8::scaled(Fp8Scale::Tensor));
    assert_eq!(one("per tensor", tensor), (GgmlType::BF16, Exact));
}

#[test]
fn mtp_layers_have_no_factors() {
    let tensor = Encoding::Fp8(Fp8::scaled(Fp8Scale::Tensor));
    let model = Model { mtp: Mtp::Quantized, ..Model::uniform(tensor) };
    let plan = round_trip("mtp per tensor", &model, &PlanOptions::default());
    let factors: Vec<&str> =
        plan.tensors.iter().filter(|t| t.content == Content::Factors).map(|t| t.name.as_str()).collect();
    let layer = plan.tensors.iter().find(|t| t.name.ends_with(".nextn.eh_proj.weight")).unwrap();
    let block = layer.name.strip_suffix("nextn.eh_proj.weight").unwrap();
    assert!(factors.contains(&"blk.0.ffn_up_exps.scale"), "{factors:?}");
    assert!(factors.iter().all(|name| !name.starts_with(block)), "{factors:?}");
    assert_eq!(types(&plan, &format!("{block}ffn_up_exps.weight")), (GgmlType::F32, Exact));
}

#[test]
fn microscaled_floats_get_block_types() {
    assert_eq!(one("mxfp4", Encoding::MxFp4), (GgmlType::MXFP4, Exact));
    assert_eq!(one("mxfp8", Encoding::MxFp8), (GgmlType::BF16, Checked));
    assert_eq!(one("mxint4", Encoding::MxInt4), (GgmlType::Q4_0, Checked));
    assert_eq!(one("nvfp4 e5m3", Encoding::NvFp4E5m3), (GgmlType::BF16, Exact));
    for modelopt in [false, true] {
        let nv = Encoding::NvFp4(NvFp4 { modelopt, power_of_two: true });
        let model = Model { linears: Encoding::Bf16, ..Model::uniform(nv) };
        let plan = round_trip("nvfp4", &model, &PlanOptions::default());
        assert_eq!(types(&plan, "ffn_gate_exps.weight"), (GgmlType::NVFP4, Exact));
        assert_eq!(types(&plan, "ffn_gate_exps.scale"), (GgmlType::F32, Exact));
    }
}

#[test]
fn mlx_is_exact_in_every_supported_width() {
    for (bits, ty) in [(2, GgmlType::Q4_1), (4, GgmlType::Q4_1), (8, GgmlType::F32)] {
        for group in [Group::Size(32), Group::Size(64), Group::PerRow] {
            let mlx = Encoding::Mlx(Mlx { bits, group });
            assert_eq!(one(&format!("mlx {bits} {group:?}"), mlx), (ty, Exact), "{bits} {group:?}");
        }
    }
    // Groups that are not whole blocks have no block type.
    let odd = Encoding::Mlx(Mlx { bits: 4, group: Group::Size(16) });
    assert_eq!(one("mlx 4 in groups of 16", odd), (GgmlType::F32, Exact));
}

#[test]
fn compressed_tensors_are_exact_in_every_packing() {
    for bits in 2..=8 {
        for dense in [false, true] {
            for scale in [ScaleDtype::F16, ScaleDtype::Bf16, ScaleDtype::F32] {
                let ct = CtPacked { dense, scale, ..CtPacked::sym(bits, 64) };
                one(&format!("ct {bits} {dense} {scale:?}"), Encoding::CtPacked(ct));
            }
        }
        for zero_i8_unpacked in [false, true] {
            let ct = CtPacked { sym: false, zero_i8_unpacked, ..CtPacked::sym(bits, 64) };
            one(&format!("ct asym {bits} {zero_i8_unpacked}"), Encoding::CtPacked(ct));
        }
    }
    for per_tensor in [false, true] {
        for zero_point in [false, true] {
            let int8 = CtInt8 { per_tensor, scale: ScaleDtype::Bf16, zero_point };
            one(&format!("ct int8 {per_tensor} {zero_point}"), Encoding::CtInt8(int8));
        }
    }
}

#[test]
fn mixed_recipes_old_configs_shards_and_fused_experts_are_exact() {
    let int4 = Encoding::Gptq(Gptq::sym(4, 128));
    let int8 = Encoding::Gptq(Gptq::sym(8, 128));
    for regex_recipe in [false, true] {
        for old_config in [false, true] {
            let model = Model {
                experts: int4,
                linears: int8,
                router: int8,
                in_proj_ba: Encoding::Bf16,
                regex_recipe,
                old_config,
                shards: 3,
                mtp: Mtp::Quantized,
                ..Model::tiny()
            };
            let plan = round_trip("mixed", &model, &PlanOptions::default());
            assert_eq!(types(&plan, "ffn_gate_exps").0, GgmlType::Q4_0);
            assert_eq!(types(&plan, "attn_qkv").0, GgmlType::Q8_0);
            assert_eq!(types(&plan, "ffn_gate_inp.").0, GgmlType::F32);
            assert_eq!(types(&plan, "output.weight").0, GgmlType::BF16);
            assert_eq!(plan.mtp_layers, 1);
        }
    }
    let fused = Model { fused_experts: true, ..Model::tiny() };
    round_trip("fused", &fused, &PlanOptions::default());
    let fused = Model { fused_experts: true, experts: Encoding::Fp8(Fp8::block()), ..Model::tiny() };
    round_trip("fused fp8", &fused, &PlanOptions::default());
    for scale in [Fp8Scale::Tensor, Fp8Scale::Channel, Fp8Scale::ChannelColumn] {
        let fused =
            Model { fused_experts: true, experts: Encoding::Fp8(Fp8::scaled(scale)), ..Model::tiny() };
        round_trip(&format!("fused fp8 {scale:?}"), &fused, &PlanOptions::default());
    }
    let partial = Model { mtp: Mtp::Partial, ..Model::tiny() };
    let plan = round_trip("partial mtp", &partial, &PlanOptions::default());
    assert_eq!((plan.mtp_layers, plan.notes.len()), (0, 1));
    let tied = Model { tied: true, ..Model::tiny() };
    assert!(
        round_trip("tied", &tied, &PlanOptions::default()).tensors.iter().all(|t| t.name != "output.weight")
    );
    let odd = Model {
        overrides: vec![("model.layers.0.mlp.experts.2.up_proj".to_owned(), int8)],
        ..Model::uniform(int4)
    };
    assert_eq!(
        types(&round_trip("one expert wider", &odd, &PlanOptions::default()), "ffn_up_exps").0,
        GgmlType::Q8_0
    );
    let fc = Model { mtp: Mtp::QuantizedFc, ..Model::uniform(int4) };
    assert_eq!(
        types(&round_trip("mtp.fc quantized", &fc, &PlanOptions::default()), "eh_proj").0,
        GgmlType::Q4_0
    );
}

#[test]
fn chosen_types_are_rounded_only_where_necessary() {
    use gguf_export::plan::OutType;
    let model = Model::uniform(Encoding::Gptq(Gptq::sym(4, 128)));
    for ty in [GgmlType::F32, GgmlType::F16, GgmlType::BF16, GgmlType::Q8_0] {
        let options = PlanOptions { outtype: OutType::Only(ty), ..PlanOptions::default() };
        let plan = round_trip(ty.name(), &model, &options);
        let expected = match ty {
            GgmlType::F32 | GgmlType::Q8_0 => Exact,
            _ => Fidelity::Rounded,
        };
        assert_eq!(types(&plan, "ffn_up_exps"), (ty, expected));
    }
    let fp8 = Model::uniform(Encoding::Fp8(Fp8::block()));
    for ty in [GgmlType::Q8_0, GgmlType::BF16, GgmlType::F16, GgmlType::F32] {
        let options = PlanOptions { fp8: Some(ty), lm_head: Some(GgmlType::Q8_0), ..PlanOptions::default() };
        let plan = round_trip("fp8", &fp8, &options);
        assert_eq!(types(&plan, "ffn_up_exps").0, ty);
        assert_eq!(types(&plan, "output.weight"), (GgmlType::Q8_0, Fidelity::Rounded));
        assert_eq!(types(&plan, "token_embd"), (GgmlType::BF16, Exact));
    }
}
