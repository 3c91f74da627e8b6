//! Files that are missing, truncated, damaged, outside the folder, or in the way of the output.

use std::os::unix::fs::symlink;
use std::path::Path;

use gguf_export::PlanOptions;
use serde_json::{Value, json};
use testkit::Model;

use crate::common::{self, Place, story};
use crate::{SHARD, damaged, int4, refused};

/// Replaces the header of the only shard by the result of `change`.
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

#[test]
fn missing_and_truncated_shards_are_refused() {
    let three = Model { shards: 3, ..int4() };
    let second = "model-00002-of-00003.safetensors";
    damaged(
        "missing shard",
        &three,
        |d| std::fs::remove_file(d.join(second)).unwrap(),
        &[second, "does not exist"],
    );
    damaged(
        "missing shard without an index",
        &three,
        |d| {
            std::fs::remove_file(d.join("model.safetensors.index.json")).unwrap();
            std::fs::remove_file(d.join(second)).unwrap();
        },
        &[second, "is missing", "is one of 3 shards"],
    );
    damaged(
        "no shard",
        &int4(),
        |d| std::fs::remove_file(d.join(SHARD)).unwrap(),
        &["*.safetensors", "missing"],
    );
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
fn contradictory_headers_are_refused() {
    let first = "lm_head.weight";
    let entry = |offsets: [u64; 2]| json!({"dtype": "BF16", "shape": [320, 128], "data_offsets": offsets});
    let offsets = |at: [u64; 2]| move |d: &Path| header_value(d, |h| h[first] = entry(at));
    damaged("overlap", &int4(), offsets([0, 81_920]), &[SHARD, "its data starts at byte", "expected"]);
    damaged(
        "end past the file",
        &int4(),
        offsets([1 << 40, (1 << 40) + 81_920]),
        &[first, SHARD, "the file has"],
    );
    damaged("offsets at the end of u64", &int4(), offsets([u64::MAX - 81_920, u64::MAX]), &[first, SHARD]);
    damaged(
        "backwards",
        &int4(),
        offsets([81_920, 0]),
        &[first, SHARD, "expected 81920 bytes for [320, 128]"],
    );
    damaged(
        "a gap",
        &int4(),
        |d| header_value(d, |h| _ = h.as_object_mut().unwrap().remove(first)),
        &[SHARD, "expected"],
    );
    for shape in
        [json!([u64::MAX, u64::MAX]), json!([1u64 << 62, 4]), json!([320, 129]), json!([0, 128]), json!([])]
    {
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
            &[SHARD, "as JSON"],
        );
    }
    damaged(
        "a million dimensions",
        &int4(),
        |d| header_value(d, |h| h[first]["shape"] = json!(vec![1; 1_000_000])),
        &[first, SHARD, "at most 8"],
    );
    damaged(
        "unknown dtype",
        &int4(),
        |d| header_value(d, |h| h[first]["dtype"] = json!("F17")),
        &[first, SHARD, "F17"],
    );
    damaged(
        "four-bit dtype",
        &int4(),
        |d| header_value(d, |h| h[first]["dtype"] = json!("F4")),
        &[first, SHARD, "F4"],
    );
    damaged(
        "twice",
        &int4(),
        |d| {
            reheaded(d, |h| {
                h.replace(
                    "\"model.layers.0.input_layernorm.weight\"",
                    "\"model.layers.1.input_layernorm.weight\"",
                )
            });
        },
        &["model.layers.1.input_layernorm.weight", SHARD, "listed twice"],
    );
    for depth in [200, 1_000_000] {
        damaged(
            "deep",
            &int4(),
            |d| reheaded(d, |h| h.replacen('{', &format!("{{\"x\":{},", "[".repeat(depth)), 1)),
            &[SHARD, "as JSON"],
        );
    }
    damaged(
        "deep metadata",
        &int4(),
        |d| {
            let deep = format!("{{\"__metadata__\":{}{},", "[".repeat(100_000), "]".repeat(100_000));
            reheaded(d, |h| {
                h.replacen(r#"{"__metadata__":{"format":"pt"},"#, &deep, 1).replace("[320,128]", "[320,127]")
            });
        },
        &["embed_tokens.weight", SHARD, "expected 81280 bytes"],
    );
    damaged("a list", &int4(), |d| reheaded(d, |_| "[]".to_owned()), &[SHARD, "an object of tensors"]);
    damaged(
        "not UTF-8",
        &int4(),
        |d| {
            let mut bytes = std::fs::read(d.join(SHARD)).unwrap();
            bytes[20] = 0xFF;
            std::fs::write(d.join(SHARD), bytes).unwrap();
        },
        &[SHARD],
    );
    for length in [1u64 << 40, u64::MAX, u64::MAX - 7, 1 << 63, 100_000_001] {
        damaged(
            &format!("header of {length} bytes"),
            &int4(),
            |d| {
                let mut bytes = std::fs::read(d.join(SHARD)).unwrap();
                bytes[..8].copy_from_slice(&length.to_le_bytes());
                std::fs::write(d.join(SHARD), bytes).unwrap();
            },
            &[SHARD, "its header claims"],
        );
    }
    damaged(
        "header of 1 TB in a file of 2 TB",
        &int4(),
        |d| {
            let path = d.join(SHARD);
            std::fs::write(&path, (1u64 << 40).to_le_bytes()).unwrap();
            // A sparse file. If the disk does not support one, the short file is refused as well.
            _ = std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(1 << 41);
        },
        &[SHARD, "its header claims 1099511627776 bytes"],
    );
    damaged(
        "in two shards",
        &int4(),
        |d| {
            std::fs::copy(d.join(SHARD), d.join("other.safetensors")).unwrap();
        },
        &["other.safetensors", "contains it too", "each tensor in one shard"],
    );
}

#[test]
fn a_contradictory_index_is_refused() {
    let index = "model.safetensors.index.json";
    let three = Model { shards: 3, ..int4() };
    for (file, part) in [
        ("absent.safetensors", "which does not exist"),
        ("../source/model-00001-of-00003.safetensors", "its name is a path"),
        ("/etc/passwd", "its name is a path"),
        ("..", "its name is a path"),
        (".", "its name is a path"),
        ("", "its name is a path"),
        ("config.json", "config.json"),
        ("model-00001-of-00003.safetensors", "the index assigns it to this file"),
    ] {
        damaged(
            file,
            &three,
            |d| {
                let mut value: Value =
                    serde_json::from_str(&std::fs::read_to_string(d.join(index)).unwrap()).unwrap();
                value["weight_map"]["model.norm.weight"] = json!(file);
                testkit::checkpoint::write_json(&d.join(index), &value);
            },
            &[part],
        );
    }
    damaged(
        "an additional name",
        &three,
        |d| {
            let mut value: Value =
                serde_json::from_str(&std::fs::read_to_string(d.join(index)).unwrap()).unwrap();
            value["weight_map"]["nothing.weight"] = json!("model-00001-of-00003.safetensors");
            testkit::checkpoint::write_json(&d.join(index), &value);
        },
        &["nothing.weight", "model-00001-of-00003.safetensors", "the index assigns"],
    );
    for text in ["", "[]", "{}", r#"{"weight_map": 3}"#, r#"{"weight_map": {"a": 3}}"#] {
        damaged(text, &three, |d| std::fs::write(d.join(index), text).unwrap(), &[index, "as JSON"]);
    }
    damaged(
        "an index that is a dangling link",
        &three,
        |d| {
            std::fs::remove_file(d.join(index)).unwrap();
            symlink("nowhere", d.join(index)).unwrap();
        },
        &[index],
    );
}

#[test]
fn links_out_of_the_folder_are_refused() {
    for file in [
        SHARD,
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "chat_template.jinja",
    ] {
        let place = Place::with(&int4());
        let elsewhere = tempfile::tempdir().unwrap();
        let inside = place.source().join(file);
        let outside = elsewhere.path().join(file);
        if file == "chat_template.jinja" {
            let settings = place.source().join("tokenizer_config.json");
            let mut value: Value =
                serde_json::from_str(&std::fs::read_to_string(&settings).unwrap()).unwrap();
            value.as_object_mut().unwrap().remove("chat_template");
            testkit::checkpoint::write_json(&settings, &value);
            std::fs::write(&outside, "{{ x }}").unwrap();
        } else {
            std::fs::rename(&inside, &outside).unwrap();
        }
        symlink(&outside, &inside).unwrap();
        refused(file, &place, &[file, "it is a link to", "a file of the checkpoint's folder"]);
        std::fs::remove_file(&outside).unwrap();
        refused("a dangling link", &place, &[file]);
    }
}

#[test]
fn links_within_a_repository_of_the_hugging_face_cache_are_followed() {
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
    // Links to blobs of another repository are refused.
    let other = dir.path().join("models--X--Y/blobs");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("0"), "{}").unwrap();
    std::fs::remove_file(snapshot.join("generation_config.json")).unwrap();
    symlink("../../../models--X--Y/blobs/0", snapshot.join("generation_config.json")).unwrap();
    let checkpoint = gguf_export::checkpoint::Checkpoint::open(&snapshot).unwrap();
    let error =
        gguf_export::survey(&checkpoint, &PlanOptions::default(), 1, &common::GO, &|_| {}).unwrap_err();
    assert!(error.to_string().contains("it is a link to"), "{error}");
}

#[test]
fn links_from_a_folder_to_the_hugging_face_cache_are_followed() {
    let dir = tempfile::tempdir().unwrap();
    let repo = dir.path().join("models--Intel--Tiny-int4-AutoRound");
    let written = dir.path().join("written");
    std::fs::create_dir(&written).unwrap();
    int4().write(&written);
    // With links the cache has blobs, and without them plain files in its snapshots.
    for folder in ["blobs", "snapshots/0123abcd"] {
        let (cached, local) = (repo.join(folder), dir.path().join(folder.replace('/', "-")));
        std::fs::create_dir_all(&cached).unwrap();
        std::fs::create_dir(&local).unwrap();
        for file in std::fs::read_dir(&written).unwrap().map(|e| e.unwrap()) {
            std::fs::copy(file.path(), cached.join(file.file_name())).unwrap();
            symlink(cached.join(file.file_name()), local.join(file.file_name())).unwrap();
        }
        let checkpoint = gguf_export::checkpoint::Checkpoint::open(&local).unwrap();
        assert!(common::plan(&checkpoint).tensors.len() > 20, "{folder}");
    }
    // The blobs of a cache may be on another disk.
    let (away, snapshot) = (dir.path().join("away"), repo.join("snapshots/1"));
    std::fs::rename(repo.join("blobs"), &away).unwrap();
    symlink(&away, repo.join("blobs")).unwrap();
    std::fs::create_dir(&snapshot).unwrap();
    for file in std::fs::read_dir(&away).unwrap().map(|e| e.unwrap().file_name()) {
        symlink(std::path::Path::new("../../blobs").join(&file), snapshot.join(&file)).unwrap();
    }
    gguf_export::checkpoint::Checkpoint::open(&snapshot).unwrap();
}

#[test]
fn outputs_that_cannot_be_written_are_errors() {
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
    let message = export(&file.join("out.gguf"));
    assert!(message.contains("file"), "{message}");
    let message = export(&place.path().join("absent/out.gguf"));
    assert!(message.contains("absent"), "{message}");
    let message = export(&file);
    assert!(message.contains("already exists"), "{message}");
    assert_eq!(place.left_behind(), ["file"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    let overwrite = gguf_export::ExportOptions { overwrite: true, ..options.clone() };
    gguf_export::export(&checkpoint, &plan, &file, &overwrite, &common::GO, &|_| {}).unwrap();
    assert_eq!(&std::fs::read(&file).unwrap()[..4], b"GGUF");
    // A folder has the name of the unfinished file.
    std::fs::create_dir(place.part()).unwrap();
    let message = export(&place.out());
    assert!(message.contains("out.gguf.part"), "{message}");
    assert_eq!(place.left_behind(), ["file", "out.gguf.part"]);
}
