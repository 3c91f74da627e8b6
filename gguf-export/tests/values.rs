//! Compares the reference decoder with hashes of weights dequantized by independent code: numpy, checked against that of
//! auto-round and compressed-tensors (`tests/golden/make_values.py`).
#![expect(clippy::unwrap_used, reason = "test helpers; a panic names the line")]
#![expect(clippy::disallowed_methods, reason = "tests read files directly")]

use std::path::{Path, PathBuf};

use gguf_export::checkpoint::Checkpoint;
use gguf_export::io;
use gguf_export::quant::{Choices, Orders, QuantConfig, reference, resolve};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A checkpoint in this repository, or in the folder of `GGRUN_FIXTURES`.
fn checkpoint(name: &str) -> Option<PathBuf> {
    let root = root();
    let more = std::env::var_os("GGRUN_FIXTURES").map(PathBuf::from);
    let places = [Some(root.join("tests/data")), Some(root.join("tests/data/matrix")), more];
    places.into_iter().flatten().map(|dir| dir.join(name)).find(|p| p.join("config.json").exists())
}

/// Checkpoints without a file of golden values, and the checkpoint whose values theirs equal.
const SAME_VALUES: [(&str, &str); 5] = [
    ("awq-w4g128", "w4-awq-asym"),
    ("ct-w4g128", "gptq-w4g128"),
    ("fp8-block", "fp8-block-native"),
    ("w4g128-asym", "w4-awq-asym"),
    ("w4g128-sym", "gptq-w4g128"),
];

#[test]
fn every_weight_of_every_format_has_its_golden_value() {
    let values = root().join("tests/golden/values");
    let files = std::fs::read_dir(&values).unwrap().map(|entry| entry.unwrap().path());
    let names = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
    let own = names.map(|name| (name.clone(), name));
    let shared = SAME_VALUES.map(|(name, golden)| (name.to_owned(), golden.to_owned()));
    let mut seen = Vec::new();
    for (name, golden) in own.chain(shared) {
        let Some(dir) = checkpoint(&name) else {
            println!("{name}: not in this checkout, skipped");
            continue;
        };
        let golden = std::fs::read_to_string(values.join(format!("{golden}.json"))).unwrap();
        let golden: Value = serde_json::from_str(&golden).unwrap();
        let checkpoint = Checkpoint::open(&dir).unwrap();
        let config = QuantConfig::of(&checkpoint, &Choices::default()).unwrap();
        let weights = golden.as_object().unwrap();
        for (weight, golden) in weights {
            let Some(shape) = golden.get("shape") else { continue };
            let shape: Vec<u64> = shape.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
            let columns = *shape.last().unwrap();
            let rows: u64 = shape[..shape.len() - 1].iter().product();
            let module = weight.strip_suffix(".weight").unwrap_or(weight);
            let found = resolve(&checkpoint, &config, &Orders::Read, module, rows, columns)
                .unwrap()
                .unwrap_or_else(|| panic!("{name}: {weight}"));
            let values = reference::decode(&checkpoint, &found, 0..rows).unwrap().values;
            let mut hash = Sha256::new();
            for value in values {
                #[expect(clippy::cast_possible_truncation, reason = "the hashes are of F32 values")]
                hash.update((value as f32).to_le_bytes());
            }
            let hash = io::hex(&hash.finalize());
            assert_eq!(golden["sha256"], Value::String(hash), "{name}: {weight} ({})", found.describe());
        }
        assert!(weights.len() > 30, "{name}");
        seen.push(name);
    }
    assert!(seen.len() >= 7, "{seen:?}");
}
