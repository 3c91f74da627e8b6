//! Checkpoints that lie, one line each: the error names the file, the tensor and what was expected, nothing panics,
//! and nothing is left beside the checkpoint.

#![allow(clippy::unwrap_used, reason = "helpers of tests; a panic names the line")]
#![allow(clippy::disallowed_methods, reason = "files are damaged here")]

mod common;

use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use common::{Place, story};
use gguf_export::PlanOptions;
use serde_json::{Value, json};
use testkit::{
    Awq, Checkpoint, CtInt8, CtPacked, Dtype, Encoding, Fp8, Fp8Scale, GIdx, Gptq, Group, Method, Model, Mtp, NvFp4,
    ScaleDtype, Tensor,
};

const UP: &str = "model.layers.0.mlp.experts.0.up_proj";
const SHARD: &str = "model.safetensors";

/// Exports what is in `place`; the error must hold every one of `says`.
fn refused(name: &str, place: &Place, says: &[&str]) {
    let Ok(result) = catch_unwind(AssertUnwindSafe(|| place.export())) else { panic!("{name}: it panicked") };
    let error = match result {
        Ok(_) => panic!("{name}: it was exported"),
        Err(error) => story(&error),
    };
    for part in says {
        assert!(error.contains(part), "{name}: the error\n  {error}\ndoes not say\n  {part}");
    }
    assert!(!error.contains("panicked"), "{name}: {error}");
    assert_eq!(place.left_behind(), [""; 0], "{name} left files behind");
}

/// A checkpoint that is edited before it is written.
fn edited(name: &str, model: &Model, edit: impl FnOnce(&mut Checkpoint), says: &[&str]) {
    let place = Place::new();
    let mut checkpoint = model.build();
    edit(&mut checkpoint);
    checkpoint.write(&place.source());
    refused(name, &place, says);
}

/// A checkpoint whose files are damaged after they were written.
fn damaged(name: &str, model: &Model, damage: impl FnOnce(&Path), says: &[&str]) {
    let place = Place::with(model);
    damage(&place.source());
    refused(name, &place, says);
}

fn int4() -> Model {
    Model::uniform(Encoding::Gptq(Gptq::sym(4, 128)))
}

fn asym() -> Model {
    Model::uniform(Encoding::Gptq(Gptq::asym(4, 64)))
}

fn set(checkpoint: &mut Checkpoint, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    checkpoint.config.pointer_mut(parent).unwrap()[key] = value;
}

/// Replaces the header of the only shard by what `change` makes of it.
fn reheaded(dir: &Path, change: impl FnOnce(&str) -> String) {
    let path = dir.join(SHARD);
    let bytes = std::fs::read(&path).unwrap();
    let len = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let header = change(std::str::from_utf8(&bytes[8..8 + len]).unwrap());
    testkit::safetensors::write_raw(&path, &header, &bytes[8 + len..]);
}

fn header_value(dir: &Path, change: impl FnOnce(&mut Value)) {
    reheaded(dir, |text| {
        let mut value: Value = serde_json::from_str(text).unwrap();
        change(&mut value);
        value.to_string()
    });
}

/// Makes a tensor's entry say something else about the same bytes.
fn reshaped(checkpoint: &mut Checkpoint, tensor: &str, dtype: Dtype, shape: &[usize], data: Vec<u8>) {
    *checkpoint.tensor(tensor) = Tensor::new(tensor, dtype, shape, data);
}

#[test]
fn shards_that_are_missing_or_short() {
    let three = Model { shards: 3, ..int4() };
    let second = "model-00002-of-00003.safetensors";
    damaged("missing shard", &three, |d| std::fs::remove_file(d.join(second)).unwrap(), &[second, "not there"]);
    damaged(
        "missing shard without an index",
        &three,
        |d| {
            std::fs::remove_file(d.join("model.safetensors.index.json")).unwrap();
            std::fs::remove_file(d.join(second)).unwrap();
        },
        &[second, "is missing", "there are 3 shards"],
    );
    damaged("no shard", &int4(), |d| std::fs::remove_file(d.join(SHARD)).unwrap(), &["*.safetensors", "missing"]);
    for keep in [0, 7, 8, 100, 20_000, 300_000] {
        damaged(
            &format!("truncated to {keep} bytes"),
            &int4(),
            |d| std::fs::OpenOptions::new().write(true).open(d.join(SHARD)).unwrap().set_len(keep).unwrap(),
            &[SHARD, "expected"],
        );
    }
    damaged(
        "grown",
        &int4(),
        |d| {
            let path = d.join(SHARD);
            let len = path.metadata().unwrap().len();
            std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len + 1).unwrap();
        },
        &[SHARD, "bytes of data, expected"],
    );
    damaged(
        "a folder for a shard",
        &int4(),
        |d| {
            std::fs::remove_file(d.join(SHARD)).unwrap();
            std::fs::create_dir(d.join(SHARD)).unwrap();
        },
        &[SHARD, "not a regular file"],
    );
    damaged(
        "a pipe for a shard",
        &int4(),
        |d| {
            std::fs::remove_file(d.join(SHARD)).unwrap();
            let made = std::process::Command::new("mkfifo").arg(d.join(SHARD)).status().unwrap();
            assert!(made.success());
        },
        &[SHARD, "not a regular file"],
    );
}

#[test]
fn headers_that_lie() {
    let first = "lm_head.weight";
    let entry = |offsets: [u64; 2]| json!({"dtype": "BF16", "shape": [320, 128], "data_offsets": offsets});
    let offsets = |at: [u64; 2]| move |d: &Path| header_value(d, |h| h[first] = entry(at));
    damaged("overlap", &int4(), offsets([0, 81_920]), &[SHARD, "its data starts at byte", "expected"]);
    damaged("end past the file", &int4(), offsets([1 << 40, (1 << 40) + 81_920]), &[first, SHARD, "and the file holds"]);
    damaged("offsets at the end of u64", &int4(), offsets([u64::MAX - 81_920, u64::MAX]), &[first, SHARD]);
    damaged("backwards", &int4(), offsets([81_920, 0]), &[first, SHARD, "expected 81920 bytes for [320, 128]"]);
    damaged("a hole", &int4(), |d| header_value(d, |h| _ = h.as_object_mut().unwrap().remove(first)), &[SHARD, "expected"]);
    for shape in [json!([u64::MAX, u64::MAX]), json!([1u64 << 62, 4]), json!([320, 129]), json!([0, 128]), json!([])] {
        damaged(
            &format!("shape {shape}"),
            &int4(),
            |d| header_value(d, |h| h[first]["shape"] = shape.clone()),
            &[first, SHARD, "expected"],
        );
    }
    for shape in [json!(-1), json!([-1]), json!([1.5]), json!("128"), Value::Null] {
        damaged(
            &format!("shape {shape}"),
            &int4(),
            |d| header_value(d, |h| h[first]["shape"] = shape.clone()),
            &[SHARD, "is not the JSON it should be"],
        );
    }
    damaged(
        "a million dimensions",
        &int4(),
        |d| header_value(d, |h| h[first]["shape"] = json!(vec![1; 1_000_000])),
        &[first, SHARD, "at most 8"],
    );
    damaged("unknown type", &int4(), |d| header_value(d, |h| h[first]["dtype"] = json!("F17")), &[first, SHARD, "F17"]);
    damaged("four-bit type", &int4(), |d| header_value(d, |h| h[first]["dtype"] = json!("F4")), &[first, SHARD, "F4"]);
    damaged(
        "twice",
        &int4(),
        |d| reheaded(d, |h| h.replace("\"model.layers.0.input_layernorm.weight\"", "\"model.layers.1.input_layernorm.weight\"")),
        &["model.layers.1.input_layernorm.weight", SHARD, "listed twice"],
    );
    for depth in [200, 1_000_000] {
        damaged(
            "deep",
            &int4(),
            |d| reheaded(d, |h| h.replacen('{', &format!("{{\"x\":{},", "[".repeat(depth)), 1)),
            &[SHARD, "is not the JSON it should be"],
        );
    }
    damaged("deep metadata", &int4(), |d| {
        let deep = format!("{{\"__metadata__\":{}{},", "[".repeat(100_000), "]".repeat(100_000));
        reheaded(d, |h| h.replacen(r#"{"__metadata__":{"format":"pt"},"#, &deep, 1).replace("[320,128]", "[320,127]"));
    }, &["embed_tokens.weight", SHARD, "expected 81280 bytes"]);
    damaged("a list", &int4(), |d| reheaded(d, |_| "[]".to_owned()), &[SHARD, "an object of tensors"]);
    damaged("not UTF-8", &int4(), |d| {
        let mut bytes = std::fs::read(d.join(SHARD)).unwrap();
        bytes[20] = 0xFF;
        std::fs::write(d.join(SHARD), bytes).unwrap();
    }, &[SHARD]);
    for length in [1u64 << 40, u64::MAX, u64::MAX - 7, 1 << 63, 100_000_001] {
        damaged(&format!("header of {length} bytes"), &int4(), |d| {
            let mut bytes = std::fs::read(d.join(SHARD)).unwrap();
            bytes[..8].copy_from_slice(&length.to_le_bytes());
            std::fs::write(d.join(SHARD), bytes).unwrap();
        }, &[SHARD, "its header claims"]);
    }
    damaged("header of 1 TB in a file of 2 TB", &int4(), |d| {
        let path = d.join(SHARD);
        std::fs::write(&path, (1u64 << 40).to_le_bytes()).unwrap();
        // A file of holes; where the disk cannot have one the shorter file is refused all the same.
        _ = std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(1 << 41);
    }, &[SHARD, "its header claims 1099511627776 bytes"]);
    damaged("in two shards", &int4(), |d| {
        std::fs::copy(d.join(SHARD), d.join("other.safetensors")).unwrap();
    }, &["other.safetensors", "holds it too", "one shard a tensor"]);
}

#[test]
fn an_index_that_lies() {
    let index = "model.safetensors.index.json";
    let three = Model { shards: 3, ..int4() };
    for (file, says) in [
        ("absent.safetensors", "which is not there"),
        ("../source/model-00001-of-00003.safetensors", "its name is a path"),
        ("/etc/passwd", "its name is a path"),
        ("..", "its name is a path"),
        (".", "its name is a path"),
        ("", "its name is a path"),
        ("config.json", "config.json"),
        ("model-00001-of-00003.safetensors", "says that this file holds it"),
    ] {
        damaged(file, &three, |d| {
            let mut value: Value = serde_json::from_str(&std::fs::read_to_string(d.join(index)).unwrap()).unwrap();
            value["weight_map"]["model.norm.weight"] = json!(file);
            testkit::checkpoint::write_json(&d.join(index), &value);
        }, &[says]);
    }
    damaged("a name too much", &three, |d| {
        let mut value: Value = serde_json::from_str(&std::fs::read_to_string(d.join(index)).unwrap()).unwrap();
        value["weight_map"]["nothing.weight"] = json!("model-00001-of-00003.safetensors");
        testkit::checkpoint::write_json(&d.join(index), &value);
    }, &["nothing.weight", "model-00001-of-00003.safetensors", "the index says"]);
    for text in ["", "[]", "{}", r#"{"weight_map": 3}"#, r#"{"weight_map": {"a": 3}}"#] {
        damaged(text, &three, |d| std::fs::write(d.join(index), text).unwrap(), &[index, "is not the JSON"]);
    }
    damaged("an index to nothing", &three, |d| {
        std::fs::remove_file(d.join(index)).unwrap();
        symlink("nowhere", d.join(index)).unwrap();
    }, &[index]);
}

#[test]
fn links_out_of_the_folder() {
    for file in [
        SHARD, "config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json",
        "chat_template.jinja",
    ] {
        let place = Place::with(&int4());
        let elsewhere = tempfile::tempdir().unwrap();
        let inside = place.source().join(file);
        let outside = elsewhere.path().join(file);
        if file == "chat_template.jinja" {
            let settings = place.source().join("tokenizer_config.json");
            let mut value: Value = serde_json::from_str(&std::fs::read_to_string(&settings).unwrap()).unwrap();
            value.as_object_mut().unwrap().remove("chat_template");
            testkit::checkpoint::write_json(&settings, &value);
            std::fs::write(&outside, "{{ x }}").unwrap();
        } else {
            std::fs::rename(&inside, &outside).unwrap();
        }
        symlink(&outside, &inside).unwrap();
        refused(file, &place, &[file, "it is a link to", "the checkpoint's own folder"]);
        std::fs::remove_file(&outside).unwrap();
        refused("a link to nothing", &place, &[file]);
    }
}

#[test]
fn the_cache_of_hugging_face_works() {
    let dir = tempfile::tempdir().unwrap();
    let repo = dir.path().join("models--Intel--Tiny-int4-AutoRound");
    let (blobs, snapshot) = (repo.join("blobs"), repo.join("snapshots/0123abcd"));
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::create_dir_all(&snapshot).unwrap();
    int4().write(&blobs);
    for (i, file) in std::fs::read_dir(&blobs).unwrap().map(|e| e.unwrap()).enumerate().collect::<Vec<_>>() {
        std::fs::rename(file.path(), blobs.join(format!("{i:064}"))).unwrap();
        symlink(format!("../../blobs/{i:064}"), snapshot.join(file.file_name())).unwrap();
    }
    let checkpoint = gguf_export::checkpoint::Checkpoint::open(&snapshot).unwrap();
    let plan = common::plan(&checkpoint);
    assert_eq!(plan.metadata.str("general.quantized_by"), Some("Intel"));
    assert!(plan.metadata.strings("tokenizer.ggml.tokens").is_some());
    // The blobs of another repository are not this one's.
    let other = dir.path().join("models--X--Y/blobs");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("0"), "{}").unwrap();
    std::fs::remove_file(snapshot.join("generation_config.json")).unwrap();
    symlink("../../../models--X--Y/blobs/0", snapshot.join("generation_config.json")).unwrap();
    let checkpoint = gguf_export::checkpoint::Checkpoint::open(&snapshot).unwrap();
    let error = gguf_export::survey(&checkpoint, &PlanOptions::default(), 1, &common::GO, &|_| {}).unwrap_err();
    assert!(error.to_string().contains("it is a link to"), "{error}");
}

#[test]
fn shapes_that_contradict_the_configuration() {
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
    for (shape, bytes) in [(vec![0, 128], 0), (vec![128, 0], 0), (vec![0], 0), (vec![128], 256), (vec![128, 64], 16_384)] {
        let change = |c: &mut Checkpoint| reshaped(c, &plain, Dtype::Bf16, &shape, vec![0; bytes]);
        edited(&format!("plain {shape:?}"), &Model::tiny(), change, &[&plain, SHARD, "128 rows of 128"]);
    }
    edited("a scalar", &Model::tiny(), |c| reshaped(c, &plain, Dtype::Bf16, &[], vec![0; 2]), &[&plain, SHARD]);
    for dtype in [Dtype::F64, Dtype::I64, Dtype::U32, Dtype::Bool, Dtype::I16] {
        let data = vec![0; 128 * 128 * dtype.size()];
        let change = |c: &mut Checkpoint| reshaped(c, &plain, dtype, &[128, 128], data);
        edited(&format!("plain {dtype:?}"), &Model::tiny(), change, &[&plain, SHARD, "F16, BF16 or F32"]);
    }
}

#[test]
fn empty_and_lopsided_parts_of_quantised_modules() {
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
    for shape in [&[0, 128][..], &[16, 0], &[0, 0], &[0, huge], &[huge, 0], &[0], &[128], &[1, 1, 1], &[17, 128], &[32, 128]] {
        for model in [int4(), asym()] {
            edited(&format!("qweight {shape:?}"), &model, empty("qweight")(shape), &[UP]);
        }
        edited(&format!("qweight {shape:?}"), &Model::uniform(Encoding::Awq(Awq::asym(4, 64))), empty("qweight")(shape), &[UP]);
    }
    for shape in [&[0, 128][..], &[1, 0], &[0, 0], &[0], &[129, 128], &[3, 128], &[1, 127], &[huge, 0]] {
        for model in [int4(), asym()] {
            edited(&format!("scales {shape:?}"), &model, empty("scales")(shape), &[&format!("{UP}.scales"), SHARD]);
        }
    }
    for shape in [&[0, 16][..], &[2, 0], &[2, 17], &[16, 2]] {
        edited(&format!("qzeros {shape:?}"), &asym(), empty("qzeros")(shape), &[UP, SHARD]);
    }
    let int8 = Model::uniform(Encoding::CtInt8(CtInt8 { per_tensor: false, scale: ScaleDtype::Bf16, zero_point: false }));
    for shape in [&[128, 0][..], &[0], &[0, 1], &[128, 129], &[127, 1], &[128, 3], &[129]] {
        edited(&format!("int8 scale {shape:?}"), &int8, empty("weight_scale")(shape), &[&format!("{UP}.weight_scale"), SHARD]);
    }
    let fp8 = Model::uniform(Encoding::Fp8(Fp8::scaled(Fp8Scale::ChannelColumn)));
    for shape in [&[128, 0][..], &[0], &[128, 129], &[128, 200], &[127, 1], &[128, 3], &[2, 2, 3]] {
        edited(&format!("FP8 scale {shape:?}"), &fp8, empty("weight_scale")(shape), &[&format!("{UP}.weight_scale"), SHARD]);
    }
    for (encoding, group) in [(Encoding::MxFp4, 32), (Encoding::MxFp8, 32), (Encoding::NvFp4E5m3, 16)] {
        for shape in [&[0, 128 / group][..], &[128, 0], &[128, 1], &[64, 128 / group], &[128]] {
            edited(&format!("{encoding:?} {shape:?}"), &Model::uniform(encoding), empty("weight_scale")(shape), &[UP, SHARD]);
        }
    }
    let ct = Model::uniform(Encoding::CtPacked(CtPacked { sym: false, ..CtPacked::sym(4, 64) }));
    for shape in [&[128, 0][..], &[0, 2], &[128], &[128, 3], &[64, 2]] {
        edited(&format!("packed scale {shape:?}"), &ct, empty("weight_scale")(shape), &[UP, SHARD]);
        edited(&format!("packed zeros {shape:?}"), &ct, empty("weight_zero_point")(shape), &[UP, SHARD]);
    }
    // Four outputs in an eight-bit AWQ word cannot be interleaved by eights.
    edited("odd AWQ", &Model { value_heads: 2, ..Model::tiny() }, |c| {
        let name = "model.layers.0.linear_attn.in_proj_ba";
        for (suffix, dtype, shape) in [("qweight", Dtype::I32, [128, 1]), ("qzeros", Dtype::I32, [2, 1]), ("scales", Dtype::F16, [2, 4])] {
            let name = format!("{name}.{suffix}");
            c.tensors.retain(|t| t.name != name && t.name != "model.layers.0.linear_attn.in_proj_ba.weight");
            let data = vec![0; shape.iter().product::<usize>() * dtype.size()];
            c.tensors.push(Tensor::new(name, dtype, &shape, data));
        }
        c.config["quantization_config"] = json!({"quant_method": "awq", "bits": 8, "group_size": 64, "zero_point": true});
    }, &["in_proj_ba.qweight", SHARD, "AWQ words"]);
}

#[test]
fn group_sizes_beyond_reason() {
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
                set(&mut checkpoint, "/quantization_config/config_groups/group_0/weights/group_size", group.clone());
            }
            checkpoint.write(&place.source());
            // One group a row is one group a row, whatever its width is said to be.
            place.export().unwrap_or_else(|e| panic!("{suffix} group {group}: {}", story(&e)));
            assert!(place.verify().unwrap().equal());
        }
    }
    for group in [json!(u64::MAX), json!("128"), json!(1.5)] {
        edited(&format!("group {group}"), &int4(), |c| set(c, "/quantization_config/group_size", group.clone()), &[
            "config.json", "quantization_config.group_size", "an integer",
        ]);
    }
    edited("group that does not divide", &int4(), |c| set(c, "/quantization_config/group_size", json!(32)), &[
        ".scales", SHARD, "expected 4 (128 columns, group size 32)",
    ]);
}

#[test]
fn scales_that_are_no_numbers() {
    let half = [0x7C00u16, 0xFC00, 0x7E01, 0xFFFF];
    for bits in half {
        let put = |c: &mut Checkpoint| c.tensor(&format!("{UP}.scales")).data[6..8].copy_from_slice(&bits.to_le_bytes());
        for model in [int4(), asym(), Model::uniform(Encoding::Gptq(Gptq::sym(8, 128))), Model::uniform(Encoding::Gptq(Gptq::sym(3, 32)))] {
            edited(&format!("F16 {bits:04x}"), &model, put, &[&format!("{UP}.scales"), SHARD, "row 3, column 0 is NaN or infinite", "finite"]);
        }
    }
    let floats = |scale, bytes: &'static [u8]| {
        for dense in [false, true] {
            let ct = CtPacked { dense, scale, ..CtPacked::sym(4, 64) };
            let put = move |c: &mut Checkpoint| c.tensor(&format!("{UP}.weight_scale")).data[..bytes.len()].copy_from_slice(bytes);
            edited("float scale", &Model::uniform(Encoding::CtPacked(ct)), put, &[&format!("{UP}.weight_scale"), SHARD, "row 0, column 0 is NaN or infinite"]);
        }
    };
    for bytes in [[0x80, 0x7F], [0x80, 0xFF], [0xC0, 0x7F], [0xFF, 0xFF]] {
        floats(ScaleDtype::Bf16, Box::leak(Box::new(bytes)));
    }
    floats(ScaleDtype::F32, &[0, 0, 0x80, 0x7F]);
    floats(ScaleDtype::F32, &[1, 0, 0x80, 0xFF]);
    for scale in [Fp8Scale::Tensor, Fp8Scale::Channel, Fp8Scale::Block(64, 64), Fp8Scale::Group(32)] {
        let fp8 = Fp8::scaled(scale);
        let put = |c: &mut Checkpoint| c.tensor(&format!("{UP}.weight_scale")).data[..2].copy_from_slice(&[0xC0, 0x7F]);
        edited(&format!("FP8 {scale:?}"), &Model::uniform(Encoding::Fp8(fp8)), put, &[&format!("{UP}.weight_scale"), SHARD, "NaN or infinite"]);
    }
    for encoding in [Encoding::MxFp4, Encoding::MxFp8, Encoding::MxInt4, Encoding::NvFp4E5m3] {
        let put = |c: &mut Checkpoint| c.tensor(&format!("{UP}.weight_scale")).data[1] = 255;
        edited(&format!("{encoding:?}"), &Model::uniform(encoding), put, &[&format!("{UP}.weight_scale"), SHARD, "NaN or infinite"]);
    }
    for modelopt in [false, true] {
        let nv = Model { linears: Encoding::Bf16, ..Model::uniform(Encoding::NvFp4(NvFp4 { modelopt, power_of_two: true })) };
        for byte in [0x7F, 0xFF] {
            let put = |c: &mut Checkpoint| c.tensor(&format!("{UP}.weight_scale")).data[1] = byte;
            edited("NVFP4 scale", &nv, put, &[&format!("{UP}.weight_scale"), SHARD, "NaN or infinite"]);
        }
        let name = format!("{UP}.{}", if modelopt { "weight_scale_2" } else { "weight_global_scale" });
        for value in [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let put = |c: &mut Checkpoint| c.tensor(&name).data.copy_from_slice(&value.to_le_bytes());
            edited(&format!("global {value}"), &nv, put, &[&name, SHARD, "other than zero"]);
        }
    }
    let nv = Model { linears: Encoding::Bf16, ..Model::uniform(Encoding::NvFp4(NvFp4 { modelopt: false, power_of_two: true })) };
    let name = format!("{UP}.weight_global_scale");
    let put = |c: &mut Checkpoint| c.tensor(&name).data.copy_from_slice(&1e-40f32.to_le_bytes());
    edited("a divisor without a reciprocal", &nv, put, &[&name, SHARD, "reciprocal"]);
}

#[test]
fn fp8_codes_that_are_no_numbers() {
    for (e5m2, codes) in [(false, &[0x7F, 0xFF][..]), (true, &[0x7C, 0x7D, 0x7F, 0xFC, 0xFF])] {
        for &code in codes {
            for scale in [Fp8Scale::Tensor, Fp8Scale::Channel, Fp8Scale::Block(128, 128)] {
                let model = Model::uniform(Encoding::Fp8(Fp8 { e5m2, ..Fp8::scaled(scale) }));
                let put = |c: &mut Checkpoint| c.tensor(&format!("{UP}.weight")).data[2 * 128 + 5] = code;
                edited(&format!("{code:02x} {scale:?}"), &model, put, &[&format!("{UP}.weight"), SHARD, "row 2, column 5 is NaN or infinite"]);
            }
        }
    }
    let put = |c: &mut Checkpoint| c.tensor(&format!("{UP}.weight")).data[2 * 128 + 5] = 0x7F;
    edited("MXFP8", &Model::uniform(Encoding::MxFp8), put, &[&format!("{UP}.weight"), SHARD, "row 2, column 5"]);
}

#[test]
fn modules_with_half_their_tensors() {
    let nv = |modelopt| Encoding::NvFp4(NvFp4 { modelopt, power_of_two: true });
    let int8 = CtInt8 { per_tensor: false, scale: ScaleDtype::F16, zero_point: true };
    let shuffled = Gptq { g_idx: GIdx::Shuffled(3), ..Gptq::sym(4, 32) };
    for (encoding, needed) in [
        (Encoding::Gptq(Gptq::sym(4, 128)), &["qweight", "scales"][..]),
        (Encoding::Gptq(Gptq::asym(4, 64)), &["qweight", "scales", "qzeros"]),
        (Encoding::Awq(Awq::asym(4, 64)), &["qweight", "scales", "qzeros"]),
        (Encoding::CtPacked(CtPacked { sym: false, ..CtPacked::sym(4, 64) }), &["weight_packed", "weight_scale", "weight_zero_point"]),
        (Encoding::CtInt8(int8), &["weight", "weight_scale"]),
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
            edited(&format!("{encoding:?}, one alone"), &model, |c| {
                let keep = format!("{UP}.{}", needed[1]);
                c.tensors.retain(|t| !t.name.starts_with(UP) || t.name == keep);
            }, &[UP, "missing"]);
        }
    }
    let gptq = Model { method: Some(Method::Gptq), ..Model::uniform(Encoding::Gptq(shuffled)) };
    edited("act order without its order", &gptq, |c| _ = c.remove(&format!("{UP}.g_idx")), &[&format!("{UP}.g_idx"), "missing"]);
}

#[test]
fn tensors_that_nothing_or_too_much_is_said_of() {
    edited("surplus", &int4(), |c| {
        c.tensors.push(Tensor::new("model.layers.0.mlp.extra.weight", Dtype::Bf16, &[2], vec![0; 4]));
    }, &["model.layers.0.mlp.extra.weight", SHARD, "no part of the model uses it"]);
    edited("a bias", &int4(), |c| {
        c.tensors.push(Tensor::new("model.layers.1.self_attn.q_proj.bias", Dtype::Bf16, &[512], vec![0; 1024]));
    }, &["q_proj.bias", SHARD]);
    edited("stored twice", &int4(), |c| {
        c.tensors.push(Tensor::new(format!("{UP}.weight"), Dtype::Bf16, &[128, 128], vec![0; 32768]));
    }, &[&format!("{UP}.weight"), SHARD]);
    for name in ["model.norm.weight", "model.embed_tokens.weight", "lm_head.weight", "model.layers.0.linear_attn.A_log", "model.layers.0.linear_attn.conv1d.weight"] {
        edited(name, &int4(), |c| _ = c.remove(name), &[name.trim_end_matches(".weight"), "missing"]);
    }
    edited("bits by name", &int4(), |c| {
        set(c, "/quantization_config/extra_config", json!({UP: {"bits": 8, "group_size": 128}}));
    }, &[&format!("{UP}.qweight"), SHARD, "4-bit codes", "expected 8 bits"]);
    edited("bits for all", &int4(), |c| set(c, "/quantization_config/bits", json!(2)), &[".qweight", SHARD, "expected 2 bits"]);
    edited("one odd zero point", &int4(), |c| c.tensor(&format!("{UP}.qzeros")).data[9] ^= 0x10, &[
        &format!("{UP}.qzeros"), SHARD, "zero points differ", "expected 8 or 7 everywhere",
    ]);
    for bits in [3, 8] {
        edited("one odd zero point", &Model::uniform(Encoding::Gptq(Gptq::sym(bits, 128))), |c| c.tensor(&format!("{UP}.qzeros")).data[9] ^= 0x10, &[
            &format!("{UP}.qzeros"), SHARD, "zero points differ",
        ]);
    }
    let shuffled = Model::uniform(Encoding::Gptq(Gptq { g_idx: GIdx::Shuffled(3), ..Gptq::sym(4, 32) }));
    for group in [4u32, u32::MAX, 1 << 31] {
        edited(&format!("group {group}"), &shuffled, |c| {
            c.tensor(&format!("{UP}.g_idx")).data[8..12].copy_from_slice(&group.to_le_bytes());
        }, &[&format!("{UP}.g_idx"), SHARD, "it names group", "expected 0 to 3"]);
    }
    edited("a short order", &shuffled, |c| {
        reshaped(c, &format!("{UP}.g_idx"), Dtype::I32, &[127], vec![0; 508]);
    }, &[&format!("{UP}.g_idx"), SHARD, "a group for each column"]);
    let fused = Model { fused_experts: true, ..Model::tiny() };
    edited("an expert too few", &fused, |c| {
        reshaped(c, "model.layers.0.mlp.experts.down_proj", Dtype::Bf16, &[3, 128, 128], vec![0; 98304]);
    }, &["experts.down_proj", SHARD, "512 rows of 128"]);
    let mtp = Model { mtp: Mtp::Bf16, ..Model::tiny() };
    edited("prediction layer of another shape", &mtp, |c| {
        reshaped(c, "mtp.fc.weight", Dtype::Bf16, &[128, 128], vec![0; 32768]);
    }, &["mtp.fc.weight", "model_extra_tensors.safetensors", "128 rows of 256"]);
}

#[test]
fn configurations_that_are_refused() {
    let json = "is not the JSON it should be";
    for text in ["", "[]", "null", "3", "{", "{\"a\":}", "\u{feff}{}"] {
        damaged(text, &int4(), |d| std::fs::write(d.join("config.json"), text).unwrap(), &["config.json", json]);
    }
    for depth in [500, 1_000_000] {
        damaged("deep", &int4(), |d| std::fs::write(d.join("config.json"), format!("{{\"a\":{}", "[".repeat(depth))).unwrap(), &["config.json", json]);
    }
    damaged("no configuration", &int4(), |d| std::fs::remove_file(d.join("config.json")).unwrap(), &["config.json"]);
    damaged("a binary file", &int4(), |d| std::fs::write(d.join("config.json"), [0xFF; 64]).unwrap(), &["config.json"]);
    damaged("too many values", &int4(), |d| {
        std::fs::write(d.join("config.json"), format!("{{\"a\":[{}0]}}", "0,".repeat(3 << 20))).unwrap();
    }, &["config.json", "values"]);
    let q = "/quantization_config";
    for (field, value, says) in [
        ("/model_type", json!("llama"), "model type `llama`"),
        ("/model_type", json!(3), "`model_type` is `3`"),
        ("/model_type", Value::Null, "`model_type` is missing"),
        ("/architectures", json!(["LlamaForCausalLM"]), "architecture `LlamaForCausalLM`"),
        ("/architectures", json!([]), "architectures"),
        ("/architectures", json!("Qwen3NextForCausalLM"), "architectures"),
        (q, json!([]), "`quantization_config` is `[]`, expected an object"),
        (q, json!({}), "quantization_config.quant_method"),
        ("/quantization_config/quant_method", json!("bitsandbytes"), "expected auto-round, gptq"),
        ("/quantization_config/rotation_config", json!({"a": 1}), "rotation_config"),
        ("/quantization_config/spinquant_config", json!({"r1": true}), "spinquant_config"),
        ("/quantization_config/sparsity_config", json!({"format": "sparse-24-bitmask"}), "sparsity_config"),
        ("/quantization_config/checkpoint_format", json!("marlin"), "`checkpoint_format` = `marlin`"),
        ("/quantization_config/pack_dtype", json!("int64"), "`pack_dtype` = `int64`"),
        ("/quantization_config/extra_config", json!({"(": {"bits": 8}}), "quantization_config"),
        ("/quantization_config/extra_config", json!({"(\\w{1000}){1000}": {"bits": 8}}), "quantization_config"),
        ("/quantization_config/extra_config", json!({"a": {"bits": "8"}}), "quantization_config.extra_config.a.bits"),
        ("/quantization_config/bits", json!(-4), "quantization_config.bits"),
        ("/quantization_config/sym", json!("yes"), "quantization_config.sym"),
    ] {
        edited(&format!("{field} of {value}"), &int4(), |c| set(c, field, value.clone()), &["config.json", says]);
    }
    let awq = Model { method: Some(Method::Awq), ..Model::uniform(Encoding::Awq(Awq::asym(4, 64))) };
    for version in ["gemv", "gemv_fast", "marlin"] {
        edited(version, &awq, |c| set(c, "/quantization_config/version", json!(version)), &["config.json", "`version`", version]);
    }
}

#[test]
fn numbers_beyond_reason() {
    let sizes = [
        "hidden_size", "vocab_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
        "num_experts", "num_experts_per_tok", "moe_intermediate_size", "shared_expert_intermediate_size",
        "linear_conv_kernel_dim", "linear_num_key_heads", "linear_num_value_heads", "linear_key_head_dim",
        "linear_value_head_dim", "max_position_embeddings", "intermediate_size",
    ];
    for field in sizes {
        for value in [json!(0), json!(-1), json!(1_000_000_000_000_000_000u64), json!(u64::MAX), json!("128"), json!(128.5), json!([1]), json!(1e300), json!(true)] {
            let pointer = format!("/{field}");
            edited(&format!("{field} of {value}"), &int4(), |c| set(c, &pointer, value.clone()), &["config.json", &format!("`{field}`"), "expected"]);
        }
    }
    for (field, value) in [
        ("rms_norm_eps", json!(0)), ("rms_norm_eps", json!(-1e-6)), ("rms_norm_eps", json!(1e300)), ("rms_norm_eps", Value::Null),
        ("num_experts_per_tok", json!(5)), ("num_key_value_heads", json!(3)), ("linear_num_value_heads", json!(3)),
        ("linear_value_head_dim", json!(32)), ("norm_topk_prob", json!(false)), ("attention_bias", json!(true)),
        ("hidden_act", json!("gelu")), ("decoder_sparse_step", json!(2)), ("mlp_only_layers", json!([0])),
        ("layer_types", json!(["full_attention"])), ("layer_types", json!(["x", "y"])), ("layer_types", json!(3)),
        ("rope_parameters", json!({"rope_theta": -1})), ("rope_parameters", json!({"rope_type": "dynamic"})),
        ("rope_parameters", json!({"partial_rotary_factor": 7})), ("rope_parameters", json!(7)),
    ] {
        let pointer = format!("/{field}");
        edited(&format!("{field} of {value}"), &int4(), |c| set(c, &pointer, value.clone()), &["config.json"]);
    }
    // As large as the caps allow: refused by the tensors, in no time and without the memory.
    edited("all at their caps", &int4(), |c| {
        for (field, value) in [("num_hidden_layers", 512), ("num_experts", 1024), ("hidden_size", 1 << 24), ("vocab_size", 1 << 24), ("moe_intermediate_size", 1 << 24)] {
            set(c, &format!("/{field}"), json!(value));
        }
        set(c, "/layer_types", Value::Null);
    }, &["embed_tokens.weight", SHARD, "16777216 rows of 16777216"]);
}

#[test]
fn tokenizers_that_are_refused() {
    fn change(change: impl FnOnce(&mut Value)) -> impl FnOnce(&mut Checkpoint) {
        |c| change(c.json.get_mut("tokenizer.json").unwrap())
    }
    let file = "tokenizer.json";
    damaged("missing", &int4(), |d| std::fs::remove_file(d.join(file)).unwrap(), &[file]);
    damaged("not JSON", &int4(), |d| std::fs::write(d.join(file), "{").unwrap(), &[file, "is not the JSON"]);
    damaged("too many values", &int4(), |d| {
        std::fs::write(d.join(file), format!("{{\"normalizer\":[{}0]}}", "0,".repeat(9 << 20))).unwrap();
    }, &[file, "values"]);
    edited("no merges", &int4(), change(|t| t["model"]["merges"] = json!([])), &[file, "no merges"]);
    edited("no merges at all", &int4(), change(|t| _ = t["model"].as_object_mut().unwrap().remove("merges")), &[file, "no merges"]);
    edited("a merge of one", &int4(), change(|t| t["model"]["merges"] = json!(["a"])), &[file, "a merge"]);
    edited("unigram", &int4(), change(|t| t["model"]["type"] = json!("Unigram")), &[file, "Unigram"]);
    edited("other splitting", &int4(), change(|t| t["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = json!("\\s+")), &[file, "pre-tokenizer"]);
    edited("id past the embedding", &int4(), change(|t| t["model"]["vocab"]["zzz"] = json!(320)), &[file, "`zzz` with id 320", "less than 320"]);
    edited("huge id", &int4(), change(|t| t["model"]["vocab"]["zzz"] = json!(u64::MAX)), &[file, "`zzz`"]);
    edited("id twice", &int4(), change(|t| t["model"]["vocab"]["zzz"] = json!(0)), &[file, "id 0"]);
    edited("text twice", &int4(), change(|t| t["added_tokens"][1]["content"] = json!("<|endoftext|>")), &[file, "<|endoftext|>"]);
    edited("eos that is no token", &int4(), |c| c.json.get_mut("tokenizer_config.json").unwrap()["eos_token"] = json!("nothing"), &["tokenizer_config.json", "eos_token"]);
    edited("settings that are a list", &int4(), |c| *c.json.get_mut("tokenizer_config.json").unwrap() = json!([]), &["tokenizer_config.json"]);
    edited("sampling that is a list", &int4(), |c| *c.json.get_mut("generation_config.json").unwrap() = json!([]), &["generation_config.json"]);
    edited("template that is a number", &int4(), |c| c.json.get_mut("tokenizer_config.json").unwrap()["chat_template"] = json!(3), &["tokenizer_config.json", "chat_template"]);
}

#[test]
fn outputs_that_cannot_be_written() {
    let place = Place::with(&int4());
    let checkpoint = place.open();
    let plan = common::plan(&checkpoint);
    let options = gguf_export::ExportOptions::default();
    let export = |out: &Path| {
        let result = gguf_export::export(&checkpoint, &plan, out, &options, &common::GO, &|_| {});
        story(&result.unwrap_err())
    };
    let file = place.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    let said = export(&file.join("out.gguf"));
    assert!(said.contains("file"), "{said}");
    let said = export(&place.path().join("absent/out.gguf"));
    assert!(said.contains("absent"), "{said}");
    let said = export(&file);
    assert!(said.contains('`') && said.contains("already exists"), "{said}");
    assert_eq!(place.left_behind(), ["file"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    let overwrite = gguf_export::ExportOptions { overwrite: true, ..options };
    gguf_export::export(&checkpoint, &plan, &file, &overwrite, &common::GO, &|_| {}).unwrap();
    assert_eq!(&std::fs::read(&file).unwrap()[..4], b"GGUF");
    // A folder in the way of the unfinished file.
    std::fs::create_dir(place.part()).unwrap();
    let said = export(&place.out());
    assert!(said.contains("out.gguf.part"), "{said}");
    assert_eq!(place.left_behind(), ["file", "out.gguf.part"]);
}

#[test]
fn what_is_not_refused() {
    // A plain weight is carried bit for bit even where it is no number, and a scale of zero is a scale.
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
    // Padding to whole groups: twelve words are 96 codes of four bits or 128 of three.
    let place = Place::new();
    let mut padded = Model { hidden: 96, ..Model::uniform(Encoding::Gptq(Gptq { group: Group::Size(128), ..Gptq::sym(4, 128) })) }.build();
    padded.tensors.retain(|t| !t.name.ends_with(".qzeros"));
    padded.write(&place.source());
    place.export().unwrap_or_else(|e| panic!("{}", story(&e)));
    assert!(place.verify().unwrap().equal());
}
