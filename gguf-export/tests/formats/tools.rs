//! Configurations of other tools: GPTQModel, compressed-tensors with blocks, files beside `config.json`.

use gguf_export::PlanOptions;
use gguf_export::ggml::GgmlType;
use gguf_export::plan::Fidelity;
use gguf_export::quant::{Choices, ZeroPoints};
use serde_json::{Value, json};
use testkit::{Awq, Checkpoint, Encoding, Fp8, Fp8Scale, GIdx, Gptq, Method, Model, ScaleDtype, StoredZero};

use super::{one, round_trip, round_trip_of, types};

fn by(method: Method, encoding: Encoding) -> Model {
    Model { method: Some(method), ..Model::uniform(encoding) }
}

fn configuration(checkpoint: &mut Checkpoint) -> &mut Value {
    &mut checkpoint.config["quantization_config"]
}

#[test]
fn gptq_model_stores_zero_points_by_the_format_that_it_states() {
    for zero in [StoredZero::Direct, StoredZero::MinusOne] {
        for sym in [false, true] {
            let gptq = Gptq { zero, sym, g_idx: GIdx::Trivial, ..Gptq::asym(4, 64) };
            let written = by(Method::GptqModel, Encoding::Gptq(gptq)).build();
            for without in ["", "format", "checkpoint_format"] {
                let mut written = written.clone();
                configuration(&mut written).as_object_mut().unwrap().remove(without);
                let name = format!("{zero:?} {sym} without `{without}`");
                round_trip_of(&name, &written, &PlanOptions::default());
            }
        }
    }
}

#[test]
fn a_choice_of_zero_points_is_taken_where_the_configuration_does_not_tell() {
    for (zero, chosen) in [(StoredZero::Direct, ZeroPoints::V2), (StoredZero::MinusOne, ZeroPoints::V1)] {
        let mut written = Model::uniform(Encoding::Gptq(Gptq { zero, ..Gptq::asym(4, 64) })).build();
        configuration(&mut written)["packing_format"] = json!("auto_round:new");
        let config = Choices { zero_points: Some(chosen), ..Choices::default() };
        round_trip_of(chosen.name(), &written, &PlanOptions { config, ..PlanOptions::default() });
    }
}

#[test]
fn awq_by_gptq_model_is_awq_under_either_name() {
    for sym in [false, true] {
        let written = by(Method::GptqModel, Encoding::Awq(Awq { sym, ..Awq::asym(4, 64) })).build();
        round_trip_of("awq", &written, &PlanOptions::default());
        let mut renamed = written.clone();
        let keys = configuration(&mut renamed);
        keys["quant_method"] = json!("gptq");
        keys["method"] = json!("gptq");
        keys["sym"] = json!(sym);
        round_trip_of("gptq", &renamed, &PlanOptions::default());
        // transformers adds the defaults of a base class.
        let mut saved = written.clone();
        let keys = configuration(&mut saved);
        keys["sym"] = json!(true);
        keys["backend"] = json!("auto");
        keys["cache_block_outputs"] = json!(true);
        round_trip_of("saved by transformers", &saved, &PlanOptions::default());
        // Earlier versions write `checkpoint_format` alone.
        let mut earlier = written.clone();
        for key in ["format", "method", "version"] {
            configuration(&mut earlier).as_object_mut().unwrap().remove(key);
        }
        round_trip_of("checkpoint_format", &earlier, &PlanOptions::default());
    }
}

#[test]
fn eight_bit_floats_of_compressed_tensors_have_blocks() {
    for (rows, columns) in [(128, 128), (48, 96)] {
        let fp8 = Fp8::scaled(Fp8Scale::Block(rows, columns));
        let written = by(Method::CompressedTensors, Encoding::Fp8(fp8)).build();
        let plan = round_trip_of("blocks", &written, &PlanOptions::default());
        // A block as large as the matrix is one scale.
        let expected = if rows == 128 { GgmlType::BF16 } else { GgmlType::F32 };
        assert_eq!(types(&plan, "ffn_gate_exps"), (expected, Fidelity::Exact));
        // The former spelling.
        let mut former = written.clone();
        let weights = &mut configuration(&mut former)["config_groups"]["group_0"]["weights"];
        weights["block_structure"] = json!(format!("{rows}x{columns}"));
        round_trip_of("blocks as a text", &former, &PlanOptions::default());
    }
}

#[test]
fn scales_of_blocks_may_be_powers_of_two() {
    for scale in
        [Fp8Scale::Block(128, 128), Fp8Scale::Block(48, 96), Fp8Scale::Channel, Fp8Scale::ChannelColumn]
    {
        for extreme_scales in [false, true] {
            let fp8 = Fp8 { scale_dtype: ScaleDtype::E8m0, inv_name: true, ..Fp8::scaled(scale) };
            let model = Model { extreme_scales, ..by(Method::Fp8, Encoding::Fp8(fp8)) };
            let plan = round_trip(&format!("{scale:?}"), &model, &PlanOptions::default());
            // A product has the mantissa of its code.
            let fidelity =
                if scale == Fp8Scale::Block(128, 128) { Fidelity::Exact } else { Fidelity::Checked };
            assert_eq!(types(&plan, "ffn_gate_exps"), (GgmlType::BF16, fidelity), "{scale:?}");
        }
    }
    one("per tensor", Encoding::Fp8(Fp8 { scale_dtype: ScaleDtype::E8m0, ..Fp8::scaled(Fp8Scale::Tensor) }));
}

/// Moves the quantization configuration into a file, with changes.
fn moved(model: &Model, file: &str, change: impl FnOnce(Value) -> Value) -> Checkpoint {
    let mut written = model.build();
    written.json.remove("quantization_config.json");
    written.json.remove("quantize_config.json");
    let section = written.config.as_object_mut().unwrap().remove("quantization_config").unwrap();
    written.json.insert(file.to_owned(), change(section));
    written
}

#[test]
fn a_configuration_may_be_in_a_file_of_its_own() {
    let direct = Encoding::Gptq(Gptq { zero: StoredZero::Direct, ..Gptq::asym(4, 64) });
    let minus_one = Encoding::Gptq(Gptq { zero: StoredZero::MinusOne, ..Gptq::asym(4, 64) });
    let awq = Encoding::Awq(Awq::asym(4, 64));
    let options = PlanOptions::default();
    for file in ["quantization_config.json", "quantize_config.json", "quant_config.json"] {
        for model in [by(Method::GptqModel, direct), by(Method::GptqModel, awq), Model::uniform(direct)] {
            round_trip_of(file, &moved(&model, file, |section| section), &options);
        }
    }
    // AutoGPTQ and AutoAWQ state no method.
    let auto_gptq = |_| {
        json!({"bits": 4, "group_size": 64, "damp_percent": 0.01, "desc_act": false, "static_groups": false,
               "sym": false, "true_sequential": true, "model_name_or_path": null,
               "model_file_base_name": "model"})
    };
    let model = by(Method::Gptq, minus_one);
    round_trip_of("AutoGPTQ", &moved(&model, "quantize_config.json", auto_gptq), &options);
    let auto_awq = |_| json!({"zero_point": true, "q_group_size": 64, "w_bit": 4, "version": "GEMM"});
    round_trip_of("AutoAWQ", &moved(&by(Method::Awq, awq), "quant_config.json", auto_awq), &options);
}
