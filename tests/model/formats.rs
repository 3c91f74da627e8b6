//! Every export format converts, verifies and loads.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use ggrun::engine::Token;
use gguf_export::PlanOptions;
use gguf_export::checkpoint::Checkpoint;
use gguf_export::verify::{VerifyOptions, verify};

use super::load;
use crate::support::{data, exported};

/// The bundled exports, and those beside the checkout if there are any.
fn exports() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in [data("matrix"), data("../../../shared/fixtures/matrix")] {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.join("config.json").exists() && !found.iter().any(|f| f.file_name() == path.file_name()) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn every_export_format_converts_verifies_and_loads() {
    let exports = exports();
    assert!(exports.len() >= 6, "{exports:?}");
    for source in exports {
        let name = source.file_name().unwrap().to_string_lossy().into_owned();
        let gguf = exported(&source, &name, &PlanOptions::default());
        let checkpoint = Checkpoint::open(&source).unwrap();
        let options = VerifyOptions { threads: 2, ..VerifyOptions::default() };
        let report = verify(&checkpoint, &gguf, options, &AtomicBool::new(false), &|_| {}).unwrap();
        assert!(report.equal(), "{name}: {:?}", report.differences);
        let logits = load(&gguf).logits(&[&[Token(1), Token(2), Token(3)]]).unwrap();
        assert!(logits[0].iter().flatten().all(|l| l.is_finite()), "{name}");
        println!("{name}: {} tensors equal, loads", report.tensors);
        std::fs::remove_file(gguf).unwrap();
    }
}
