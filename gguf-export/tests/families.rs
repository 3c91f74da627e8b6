//! A tiny model of each family in `tests/data/families`: its BF16 and its int4 checkpoint become what llama.cpp's converter
//! makes of them, value for value. Known differences are listed with their reasons.
#![expect(clippy::unwrap_used, reason = "test helpers; a panic names the line")]
#![allow(clippy::disallowed_methods, reason = "tests read files directly")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use gguf_export::arch::{self, HParams};
use gguf_export::checkpoint::{Checkpoint, ModelConfig};
use gguf_export::ggml::GgmlType;
use gguf_export::gguf::{Header, Value};
use gguf_export::io::{self, FileSource};
use gguf_export::plan::{LeftOut, OutType, Plan, Reason, TensorPlan};
use gguf_export::verify::{FileHash, Report, VerifyOptions, receipt, verify};
use gguf_export::{ExportOptions, PlanOptions, export, survey};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use testkit::family::{NAMES, copy, folder as family};
use testkit::made_up::{bf16_checkpoint, int4_checkpoint, made_up};
use testkit::{CtPacked, Dtype, Encoding, Family, Tensor};

use common::{GO, configure, data, golden, json, values};

/// Keys that llama.cpp's converter does not write, with the reason.
const KEYS: &[(&str, &str)] = &[
    ("ggrun.tokenizer.normalizer", "llama.cpp does not normalize text; ggrun does so by this key"),
    ("ggrun.left_out_tensors", "llama.cpp's converter does not list what it leaves out"),
];

/// Exports a checkpoint to `out`.
fn convert(checkpoint: &Checkpoint, options: &PlanOptions, out: &Path) -> Header {
    let plan = survey(checkpoint, options, 2, &GO, &|_| {}).unwrap();
    export(checkpoint, &plan, out, &ExportOptions::default(), &GO, &|_| {}).unwrap();
    Header::read(out, &FileSource::open(out).unwrap()).unwrap()
}

/// A value in the form of the golden file, which has hashes of the lists of tokenizers.
fn hashed(key: &str, value: &Value) -> Json {
    let (kind, value) = golden(value);
    let Some(list) = value.as_array().filter(|_| key.starts_with("tokenizer.")) else {
        return serde_json::json!([kind, value]);
    };
    // As Python writes them.
    let text = |item: &Json| match item {
        Json::String(text) => text.clone(),
        Json::Number(number) if number.is_f64() => format!("{:?}", number.as_f64().unwrap()),
        other => other.to_string(),
    };
    let digest = io::hex(&Sha256::digest(list.iter().map(text).collect::<Vec<_>>().join("\n")));
    serde_json::json!([kind, {"count": list.len(), "sha256": digest}])
}

/// A checkpoint of a tiny model, by its place in the entries of `llama.json`.
#[derive(Debug, Clone, Copy)]
enum Form {
    Bf16 = 2,
    /// Has a hash only where its values are others.
    Int4 = 3,
}

/// Differences between our export of a checkpoint and llama.cpp's, both in F32.
fn compare(name: &str, form: Form) -> Vec<String> {
    let theirs = json(&family(name).join("llama.json"));
    let dir = tempfile::tempdir().unwrap();
    let [out, smaller] = ["out.gguf", "smaller.gguf"].map(|name| dir.path().join(name));
    let source = match form {
        Form::Bf16 => bf16_checkpoint(name, dir.path()),
        Form::Int4 => int4_checkpoint(name, dir.path()),
    };
    let checkpoint = Checkpoint::open(&source).unwrap();
    let options = PlanOptions {
        outtype: OutType::Only(GgmlType::F32),
        name: theirs["keys"]["general.name"][1].as_str().map(str::to_owned),
        ..PlanOptions::default()
    };
    let header = convert(&checkpoint, &options, &out);
    let mut differences = Vec::new();
    let keys = theirs["keys"].as_object().unwrap();
    assert!(keys.len() > 20, "{name}");
    for (key, value) in header.metadata.iter() {
        let ours = hashed(key, value);
        let is_known = || !keys.contains_key(key) && KEYS.iter().any(|(known, _)| *known == key);
        if keys.get(key) != Some(&ours) && !is_known() {
            differences.push(format!("{key}: theirs {:?}, ours {ours:.80}", keys.get(key)));
        }
    }
    let missing = keys.keys().filter(|key| header.metadata.get(key).is_none());
    differences.extend(missing.map(|key| format!("{key}: missing in ours")));
    let mut ours = values(&out, &header);
    let default = convert(&checkpoint, &PlanOptions::default(), &smaller);
    if values(&smaller, &default) != ours {
        differences.push("the values of the default types differ from those of F32".to_owned());
    }
    let types: BTreeMap<&str, GgmlType> =
        header.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.ty)).collect();
    let tensors = theirs["tensors"].as_object().unwrap();
    assert!(tensors.len() > 20, "{name}");
    for (tensor, entry) in tensors {
        let Some((dims, values)) = ours.remove(tensor) else {
            differences.push(format!("{tensor}: missing in ours"));
            continue;
        };
        let mut hash = Sha256::new();
        for value in &values {
            hash.update(value.to_le_bytes());
        }
        let ty = types[tensor.as_str()].name();
        if entry[0] != ty {
            differences.push(format!("{tensor}: theirs {}, ours {ty}", entry[0]));
        }
        let expected: Vec<u64> = serde_json::from_value(entry[1].clone()).unwrap();
        if dims != expected {
            differences.push(format!("{tensor}: theirs {expected:?}, ours {dims:?}"));
        }
        if *entry.get(form as usize).unwrap_or(&entry[2]) != io::hex(&hash.finalize()) {
            differences.push(format!("{tensor}: the values differ"));
        }
    }
    differences.extend(ours.keys().map(|tensor| format!("{tensor}: missing in theirs")));
    differences.into_iter().map(|difference| format!("{name}, {form:?}, {difference}")).collect()
}

#[test]
fn each_family_is_converted_as_by_llama_cpp() {
    let both = |name| [Form::Bf16, Form::Int4].into_iter().flat_map(move |form| compare(name, form));
    let differences: Vec<String> = NAMES.into_iter().flat_map(both).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

/// Every place of a JSON value that is not an object, as a path.
fn leaves(value: &Json, path: &str, out: &mut Vec<String>) {
    match value {
        Json::Object(map) => {
            for (key, inner) in map {
                leaves(inner, &format!("{path}/{key}"), out);
            }
        }
        _ => out.push(path.to_owned()),
    }
}

/// A layout with every tensor, and with none.
fn laid_out(h: &HParams) {
    for has in [true, false] {
        let layout = arch::layout(h, true, &|_| has);
        assert!(layout.targets.len() > h.layers.len());
        assert!(h.metadata(layout.mtp_layers).u64(&format!("{}.block_count", h.family().gguf)).is_some());
    }
}

#[test]
fn a_configuration_with_any_field_replaced_is_read_or_refused() {
    let values = serde_json::json!([
        null, true, false, 0, 1, 3, -1, 1.5, 1e300, 4_294_967_296u64, u64::MAX, "", "x", [], [1, 2, 3], {}, {"a": 1}
    ]);
    let (mut read, mut refused) = (0, 0);
    for name in NAMES {
        let whole = json(&family(name).join("config.json"));
        let mut paths = Vec::new();
        leaves(&whole, "", &mut paths);
        assert!(paths.len() > 20, "{name}");
        for path in paths {
            for value in values.as_array().unwrap() {
                let mut config = whole.clone();
                *config.pointer_mut(&path).unwrap() = value.clone();
                let fields = config.as_object().unwrap().clone();
                match HParams::read(&ModelConfig::new(Path::new("config.json"), fields)) {
                    Ok(h) => {
                        laid_out(&h);
                        read += 1;
                    }
                    Err(error) => {
                        assert!(error.to_string().contains("config.json"), "{name}{path}: {error}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(read > 1000 && refused > 1000, "{read} were read, {refused} refused");
}

#[test]
fn the_readme_has_the_table_of_families() {
    let readme = data("../..").join("README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    assert!(text.contains(&arch::table()), "README.md lacks this table:\n{}", arch::table());
}

fn verified(checkpoint: &Checkpoint, out: &Path) -> Report {
    let options = VerifyOptions { threads: 2, ..VerifyOptions::default() };
    verify(checkpoint, out, options, &GO, &|_| {}).unwrap()
}

#[test]
fn int4_checkpoints_keep_their_integers() {
    for name in NAMES {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out.gguf");
        let checkpoint = Checkpoint::open(&int4_checkpoint(name, dir.path())).unwrap();
        let header = convert(&checkpoint, &PlanOptions::default(), &out);
        let of = |ty| header.tensors.iter().filter(|tensor| tensor.ty == ty).count();
        assert!(of(GgmlType::Q4_0) >= 12, "{name}: {} of Q4_0", of(GgmlType::Q4_0));
        let report = verified(&checkpoint, &out);
        assert!(report.equal() && report.inexact == 0, "{name}: {:?}", report.differences);
    }
}

#[test]
fn a_second_copy_in_mistrals_own_format_is_left_out_and_named() {
    let dir = tempfile::tempdir().unwrap();
    copy("mistral3-int4", dir.path());
    let second = made_up("layers.0.attention.wq.weight", &[8, 8]);
    testkit::safetensors::write(&dir.path().join("consolidated.safetensors"), &[second]);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let plan = survey(&checkpoint, &PlanOptions::default(), 2, &GO, &|_| {}).unwrap();
    let is_named = |note: &String| note.contains("`consolidated.safetensors`");
    assert!(plan.notes.iter().any(is_named), "{:?}", plan.notes);
    let out = dir.path().join("out.gguf");
    export(&checkpoint, &plan, &out, &ExportOptions::default(), &GO, &|_| {}).unwrap();
    let report = verified(&checkpoint, &out);
    assert!(report.equal() && report.second_copies == ["consolidated.safetensors"]);
    let receipt = receipt(&checkpoint, &out, &report).unwrap();
    assert_eq!(receipt.second_copies, report.second_copies);
    let is_copy = |file: &FileHash| file.file.starts_with("consolidated");
    assert!(!receipt.source.iter().any(is_copy), "only what was compared has a hash");
}

#[test]
fn published_forms_of_ministrals_rotary_parameters_are_read() {
    let whole = json(&family("mistral3").join("config.json"));
    let read = |all: Json, one: Json, beta: Json| {
        let mut config = whole.clone();
        let rope = config.pointer_mut("/text_config/rope_parameters").unwrap();
        rope["mscale_all_dim"] = all;
        rope["mscale"] = one;
        rope["llama_4_scaling_beta"] = beta;
        let fields = config.as_object().unwrap().clone();
        HParams::read(&ModelConfig::new(Path::new("config.json"), fields))
    };
    let keys = read(0.0.into(), 1.0.into(), 0.into()).unwrap().metadata(0);
    assert_eq!(keys.f32("mistral3.rope.scaling.yarn_log_multiplier"), Some(0.0));
    assert_eq!(keys.f32("mistral3.attention.temperature_scale"), Some(0.0));
    assert!(read(1.0.into(), 0.5.into(), 0.into()).is_err());
    assert!(read((-1.0).into(), 1.0.into(), 0.into()).is_err());
    assert!(read(1.0.into(), 1.0.into(), (-0.1).into()).is_err());
}

#[test]
fn a_flipped_bit_in_any_tensor_is_found() {
    for name in NAMES {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out.gguf");
        let checkpoint = Checkpoint::open(&int4_checkpoint(name, dir.path())).unwrap();
        let header = convert(&checkpoint, &PlanOptions::default(), &out);
        let right = std::fs::read(&out).unwrap();
        for (i, tensor) in header.tensors.iter().enumerate() {
            let mut bytes = right.clone();
            let at = header.data_offset + tensor.offset + (i as u64 * 97) % tensor.bytes();
            bytes[usize::try_from(at).unwrap()] ^= 1 << (i % 8);
            std::fs::write(&out, bytes).unwrap();
            let report = verified(&checkpoint, &out);
            let place = report.differences.first().map(|difference| difference.place().to_owned());
            assert_eq!(place.as_deref(), Some(tensor.name.as_str()), "{name}, byte {at}");
        }
    }
}

#[test]
fn the_mtp_layer_of_deepseek_v3_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    bf16_checkpoint("deepseek-v3", dir.path());
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let plan = Plan::draft(&checkpoint, &PlanOptions::default()).unwrap();
    assert_eq!(plan.left_out.len(), 32);
    let is_mtp =
        |item: &LeftOut| item.reason == Reason::UnusedMtp && item.at.tensor.starts_with("model.layers.2.");
    assert!(plan.left_out.iter().all(is_mtp), "{:?}", plan.left_out);
    let out = dir.path().join("out.gguf");
    convert(&checkpoint, &PlanOptions::default(), &out);
    let report = verified(&checkpoint, &out);
    assert!(report.equal() && report.inexact == 0, "{:?}", report.differences);
    assert_eq!(report.left_out, 32);
}

/// A checkpoint of `deepseek_v3` as the language model of Kimi K2.5, beside a vision tower.
fn as_kimi_k25(dir: &Path) {
    let mut all = testkit::safetensors::read(&dir.join("model.safetensors"));
    for tensor in &mut all {
        tensor.name.insert_str(0, "language_model.");
    }
    all.push(made_up("vision_tower.patch_embed.proj.weight", &[8, 8]));
    all.push(made_up("mm_projector.proj.0.weight", &[8, 8]));
    testkit::safetensors::write(&dir.join("model.safetensors"), &all);
    configure(dir, |config| {
        let mut text = config.take();
        text["model_type"] = "kimi_k2".into();
        *config = serde_json::json!({
        "architectures": ["KimiK25ForConditionalGeneration"], "model_type": "kimi_k25",
        "text_config": text, "vision_config": {"model_type": "kimi_k25_vision"}
        });
    });
}

#[test]
fn the_language_model_of_kimi_k25_is_that_of_deepseek_v3() {
    let (dir, plain) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    bf16_checkpoint("deepseek-v3", dir.path());
    as_kimi_k25(dir.path());
    bf16_checkpoint("deepseek-v3", plain.path());
    let options = PlanOptions { name: Some("A name".to_owned()), ..PlanOptions::default() };
    let out = |dir: &Path| dir.join("out.gguf");
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let header = convert(&checkpoint, &options, &out(dir.path()));
    let expected = convert(&Checkpoint::open(plain.path()).unwrap(), &options, &out(plain.path()));
    assert_eq!(values(&out(dir.path()), &header), values(&out(plain.path()), &expected));
    let own = |header: &Header| -> Vec<(String, Value)> {
        let all = header.metadata.iter().filter(|(key, _)| key.starts_with("deepseek2."));
        all.map(|(key, value)| (key.to_owned(), value.clone())).collect()
    };
    assert_eq!(own(&header), own(&expected));
    let report = verified(&checkpoint, &out(dir.path()));
    assert!(report.equal() && report.inexact == 0, "{:?}", report.differences);
    assert_eq!((report.left_out, report.other_parts), (32, 2));
}

#[test]
fn a_quantization_configuration_may_be_in_the_section_of_the_language_model() {
    let (dir, plain) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    bf16_checkpoint("deepseek-v3", plain.path());
    let model = Family::read(plain.path(), |module| module.contains(".experts."));
    model.build(Encoding::CtPacked(CtPacked::sym(4, 32)), None).write(dir.path());
    as_kimi_k25(dir.path());
    assert!(json(&dir.path().join("config.json"))["quantization_config"].is_null());
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let out = dir.path().join("out.gguf");
    let header = convert(&checkpoint, &PlanOptions::default(), &out);
    let experts: Vec<_> = header.tensors.iter().filter(|tensor| tensor.name.contains("_exps.")).collect();
    assert!(experts.len() == 3 && experts.iter().all(|tensor| tensor.ty == GgmlType::Q4_0), "{experts:?}");
    let report = verified(&checkpoint, &out);
    assert!(report.equal() && report.inexact == 0, "{:?}", report.differences);
    // What it declares is compared.
    configure(dir.path(), |config| {
        config["text_config"]["quantization_config"]["config_groups"]["group_0"]["weights"]["num_bits"] =
            8.into();
    });
    let error = Plan::draft(&Checkpoint::open(dir.path()).unwrap(), &PlanOptions::default()).unwrap_err();
    assert!(error.to_string().contains("8 bits"), "{error}");
}

#[test]
fn the_transposed_part_of_latent_attention_is_named_with_its_size() {
    let checkpoint = Checkpoint::open(&family("glm4-moe-lite-int4")).unwrap();
    let plan = survey(&checkpoint, &PlanOptions::default(), 2, &GO, &|_| {}).unwrap();
    let expected = "`blk.0.attn_k_b.weight` and 1 more are transposed, which quantized blocks do not allow: F32, 128.00 KiB";
    assert!(plan.notes.iter().any(|note| note == expected), "{:?}", plan.notes);
    assert!(plan.expanded().is_none(), "{:?}", plan.expanded());
    let types = |part: &str| {
        let own = plan.tensors.iter().filter(|tensor| tensor.name.contains(part));
        own.map(TensorPlan::ty).collect::<Vec<_>>()
    };
    assert_eq!(types("attn_k_b"), [GgmlType::F32; 2]);
    assert_eq!(types("attn_v_b"), [GgmlType::Q4_0; 2]);
}

#[test]
fn the_transposed_part_of_latent_attention_is_rounded_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let [exact, rounded] = ["exact.gguf", "rounded.gguf"].map(|name| dir.path().join(name));
    let checkpoint = Checkpoint::open(&family("glm4-moe-lite-int4")).unwrap();
    let before = convert(&checkpoint, &PlanOptions::default(), &exact);
    let options = PlanOptions { mla_k: Some(GgmlType::Q8_0), ..PlanOptions::default() };
    let after = convert(&checkpoint, &options, &rounded);
    let pairs = after.tensors.iter().zip(&before.tensors);
    let changed = pairs.filter(|(new, old)| new.ty != old.ty).map(|(new, _)| (new.name.as_str(), new.ty));
    let keys = ["blk.0.attn_k_b.weight", "blk.1.attn_k_b.weight"];
    assert_eq!(changed.collect::<Vec<_>>(), keys.map(|name| (name, GgmlType::Q8_0)));
    assert_eq!(after.metadata.strings("ggrun.rounded_tensors").unwrap(), keys);
    let report = verified(&checkpoint, &rounded);
    assert!(report.not_accepted == 2 && report.count == 2, "{:?}", report.differences);
    let options = VerifyOptions { threads: 2, allow_rounding: true, ..VerifyOptions::default() };
    let report = verify(&checkpoint, &rounded, options, &GO, &|_| {}).unwrap();
    assert!(report.equal() && report.rounded == 2 && report.inexact > 0, "{:?}", report.differences);
}

#[test]
fn a_quantized_router_is_named_and_does_not_count_as_weights_that_grow() {
    let checkpoint = Checkpoint::open(&family("gemma4-moe-int4")).unwrap();
    let plan = survey(&checkpoint, &PlanOptions::default(), 2, &GO, &|_| {}).unwrap();
    let expected = "`blk.0.ffn_gate_inp.weight` and 1 more are quantized, which llama.cpp does not allow there: F32, 3.00 KiB";
    assert!(plan.notes.iter().any(|note| note == expected), "{:?}", plan.notes);
    assert!(plan.expanded().is_none(), "{:?}", plan.expanded());
    assert!(plan.file_name(&checkpoint).unwrap().ends_with("-Q4_0.gguf"));
}

/// `glm4-moe-lite` with a layer after the trunk, but for the tensors whose names contain `without`.
fn glm_with_mtp(dir: &Path, without: &str) -> Checkpoint {
    let mut all = testkit::safetensors::read(&family("glm4-moe-lite").join("model.safetensors"));
    let own: Vec<Tensor> =
        all.iter().filter(|tensor| tensor.name.starts_with("model.layers.1.")).cloned().collect();
    all.extend(
        own.into_iter().map(|tensor| Tensor { name: tensor.name.replacen(".1.", ".2.", 1), ..tensor }),
    );
    all.push(made_up("model.layers.2.eh_proj.weight", &[128, 256]));
    for norm in ["enorm", "hnorm", "shared_head.norm"] {
        all.push(made_up(&format!("model.layers.2.{norm}.weight"), &[128]));
    }
    all.retain(|tensor| !tensor.name.contains(without));
    testkit::safetensors::write(&dir.join("model.safetensors"), &all);
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(family("glm4-moe-lite").join(name), dir.join(name)).unwrap();
    }
    Checkpoint::open(dir).unwrap()
}

#[test]
fn the_mtp_layer_of_glm_with_latent_attention_is_kept_if_it_is_complete() {
    for (without, layers) in [("nothing", 1), ("enorm", 0)] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out.gguf");
        let checkpoint = glm_with_mtp(dir.path(), without);
        let header = convert(&checkpoint, &PlanOptions::default(), &out);
        let nextn = header.metadata.u64("deepseek2.nextn_predict_layers");
        assert_eq!(
            (header.metadata.u64("deepseek2.block_count"), nextn.unwrap_or(0)),
            (Some(2 + layers), layers)
        );
        let has = |name: &str| header.tensors.iter().any(|tensor| tensor.name == name);
        assert_eq!(has("blk.2.attn_k_b.weight") && has("blk.2.nextn.eh_proj.weight"), layers == 1);
        let report = verified(&checkpoint, &out);
        assert!(report.equal() && report.inexact == 0, "{without}: {:?}", report.differences);
    }
}

/// The types of the two parts of `kv_b_proj` in FP8 with a scale for 128 rows of 128, as `DeepSeek` publishes it.
fn latent_in_fp8(scale: f32, options: &PlanOptions) -> [GgmlType; 2] {
    let dir = tempfile::tempdir().unwrap();
    bf16_checkpoint("deepseek-v3", dir.path());
    let path = dir.path().join("model.safetensors");
    let mut all = testkit::safetensors::read(&path);
    for layer in 0..2 {
        let name = format!("model.layers.{layer}.self_attn.kv_b_proj.weight");
        all.retain(|tensor| tensor.name != name);
        // No code is that of NaN.
        let codes = (0..256 * 128).map(|i: usize| u8::try_from(i * 167 % 251).unwrap() & 0xF7).collect();
        let scales = [scale, scale / 2.0].iter().flat_map(|scale| scale.to_le_bytes()).collect();
        all.push(Tensor::new(format!("{name}_scale_inv"), Dtype::F32, &[2, 1], scales));
        all.push(Tensor::new(name, Dtype::F8E4m3, &[256, 128], codes));
    }
    testkit::safetensors::write(&path, &all);
    configure(dir.path(), |config| {
        config["quantization_config"] = serde_json::json!({
        "quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128], "activation_scheme": "dynamic"
        });
    });
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let out = dir.path().join("out.gguf");
    let header = convert(&checkpoint, options, &out);
    let verify_options = VerifyOptions { threads: 2, allow_rounding: true, ..VerifyOptions::default() };
    let report = verify(&checkpoint, &out, verify_options, &GO, &|_| {}).unwrap();
    assert!(report.equal() && (report.inexact == 0 || options.allow_rounding), "{:?}", report.differences);
    ["k", "v"].map(|letter| {
        let name = format!("blk.1.attn_{letter}_b.weight");
        header.tensors.iter().find(|tensor| tensor.name == name).unwrap().ty
    })
}

#[test]
fn transposed_fp8_has_the_smallest_exact_type_or_is_rounded_least() {
    let exact = PlanOptions::default();
    assert_eq!(latent_in_fp8(0.75, &exact), [GgmlType::BF16; 2]);
    assert_eq!(latent_in_fp8(1.0 + 2f32.powi(-11), &exact), [GgmlType::F32; 2]);
    let rounded = PlanOptions { allow_rounding: true, ..PlanOptions::default() };
    assert_eq!(latent_in_fp8(1.0 + 2f32.powi(-23), &rounded), [GgmlType::F32, GgmlType::BF16]);
}
