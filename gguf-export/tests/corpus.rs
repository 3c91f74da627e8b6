//! Runs the code of the fuzz targets on every seed, truncated and damaged in many ways.

#![allow(clippy::unwrap_used, reason = "tests rely on panics")]

mod common;

#[path = "../../fuzz/parse.rs"]
mod parse;

use std::path::PathBuf;

use testkit::rng::Rng;

/// Damaged variants of each seed, in addition to truncations; 50 times as many with `GGRUN_SLOW_TESTS`.
const CHANGES: usize = 1500;

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let mut seeds: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let bytes = common::bytes(&entry.path());
            (entry.file_name().into_string().unwrap(), bytes)
        })
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty());
    seeds
}

/// Damages `bytes` at a random position.
fn damage(bytes: &mut Vec<u8>, random: &mut Rng) {
    let at = random.below(bytes.len());
    match random.below(7) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.bits().to_le_bytes()[0],
        2 => {
            // A length or an offset at the edge of its type.
            let edges =
                [0, 1, u64::MAX, u64::MAX - 7, 1 << 63, 1 << 62, 1 << 32, u64::from(u32::MAX), 1 << 40];
            let edge = edges[random.below(edges.len())].to_le_bytes();
            let end = bytes.len().min(at + [4, 8][random.below(2)]);
            bytes[at..end].copy_from_slice(&edge[..end - at]);
        }
        3 => {
            let end = bytes.len().min(at + random.below(16));
            let copy = bytes[at..end].to_vec();
            let to = random.below(bytes.len());
            bytes.splice(to..to, copy);
        }
        4 => {
            let end = bytes.len().min(at + random.below(16));
            bytes.drain(at..end);
        }
        5 => {
            const TEXTS: [&str; 12] = [
                "-1",
                "1e999",
                "18446744073709551616",
                "null",
                "[]",
                "{}",
                "\"\"",
                "true",
                "[[",
                "\u{0}",
                "\\ud800",
                ",",
            ];
            let text = TEXTS[random.below(TEXTS.len())].bytes();
            bytes.splice(at..at, text);
        }
        _ => {
            // Replace a digit.
            if let Some(digit) = (at..bytes.len()).find(|&i| bytes[i].is_ascii_digit()) {
                bytes[digit] = b'0' + random.bits().to_le_bytes()[0] % 10;
            }
        }
    }
}

fn replay(target: &str, run: fn(&[u8]) -> bool) {
    let (mut accepted, mut mutants) = (0, 0);
    let changes = if std::env::var_os("GGRUN_SLOW_TESTS").is_some() { 50 * CHANGES } else { CHANGES };
    for (name, seed) in seeds(target) {
        accepted += usize::from(run(&seed));
        let step = (seed.len() / 500).max(1);
        for len in (0..seed.len()).step_by(step) {
            run(&seed[..len]);
        }
        let mut random = Rng::named(0, &name);
        for _ in 0..changes {
            let mut bytes = seed.clone();
            for _ in 0..=random.below(3) {
                if !bytes.is_empty() {
                    damage(&mut bytes, &mut random);
                }
            }
            mutants += usize::from(run(&bytes));
        }
    }
    // Some seeds and some mutants must pass all checks.
    assert!(accepted >= 3 && mutants > 100, "{target}: {accepted} seeds and {mutants} mutants were accepted");
}

#[test]
fn damaged_safetensors_headers_are_read_or_refused() {
    replay("safetensors_header", parse::safetensors_header);
}

#[test]
fn damaged_gguf_headers_are_read_or_refused() {
    replay("gguf_header", parse::gguf_header);
}

#[test]
fn damaged_configurations_are_read_or_refused() {
    replay("quant_config", parse::quant_config);
}

#[test]
fn damaged_tokenizers_are_read_or_refused() {
    replay("tokenizer_json", parse::tokenizer_json);
}

#[test]
fn damaged_indexes_are_read_or_refused() {
    replay("index_json", parse::index_json);
}

#[test]
fn damaged_hyperparameters_are_read_or_refused() {
    replay("hyperparameters", parse::hyperparameters);
}

#[test]
fn damaged_journals_of_exports_are_read_or_refused() {
    replay("export_journal", parse::export_journal);
}

#[test]
fn damaged_findings_of_surveys_are_read_or_refused() {
    replay("survey_findings", parse::survey_findings);
}
