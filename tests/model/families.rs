//! A tiny model of each family in `tests/data/families`, converted by us and run by llama.cpp.

use std::path::Path;

use ggrun::engine::{Decoder as _, Token};
use gguf_export::PlanOptions;
use gguf_export::ggml::GgmlType;
use gguf_export::plan::OutType;
use serde::Deserialize;
use testkit::family::{NAMES, folder};
use testkit::made_up::{bf16_checkpoint, int4_checkpoint};

use super::{load, reuse};
use crate::support::exported;

/// The largest difference of a logit. A transform that is missing makes 0.1 and more.
const TOLERANCE: f32 = 2e-3;

/// What transformers computes in F32 of a checkpoint, for 40 random tokens.
#[derive(Deserialize)]
struct Golden {
    tokens: Vec<i32>,
    /// The likeliest token after each.
    likeliest: Vec<usize>,
    /// The logits after the last.
    last: Vec<f32>,
}

impl Golden {
    /// Reads the file in a folder of `tests/data/families`.
    fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join("logits.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn tokens(&self) -> Vec<Token> {
        self.tokens.iter().copied().map(Token).collect()
    }

    /// Converts a checkpoint to F32, and compares its logits.
    fn compare(&self, name: &str, checkpoint: &Path) {
        let options = PlanOptions { outtype: OutType::Only(GgmlType::F32), ..PlanOptions::default() };
        let gguf = exported(checkpoint, &format!("{name}-f32"), &options);
        let found = load(&gguf).logits(&[&self.tokens()]).unwrap().remove(0);
        let best = |logits: &Vec<f32>| (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
        let likeliest: Vec<usize> = found.iter().map(|logits| best(logits).unwrap()).collect();
        assert_eq!(likeliest, self.likeliest, "{name}");
        // The last of them with a cache in F32.
        let weights = reuse::load(&gguf);
        let last = reuse::read(&mut reuse::decoder(&weights), vec![], 0, &self.tokens());
        assert_eq!(last.len(), self.last.len(), "{name}");
        let differences = last.iter().zip(&self.last).map(|(a, b)| (a - b).abs());
        let largest = differences.fold(0f32, f32::max);
        assert!(largest < TOLERANCE, "{name}: {largest:.1e}");
        drop(weights);
        std::fs::remove_file(gguf).unwrap();
    }
}

#[test]
fn each_family_has_the_logits_of_transformers() {
    for name in NAMES {
        let dir = tempfile::tempdir().unwrap();
        let own = folder(name);
        if own.join("logits.json").exists() {
            Golden::read(&own).compare(name, &bf16_checkpoint(name, dir.path()));
        } else {
            // To save space, some have no BF16 checkpoint.
            let int4 = int4_checkpoint(name, dir.path());
            Golden::read(&int4).compare(name, &int4);
        }
    }
}

#[test]
fn int4_files_of_each_family_run_and_go_on_from_a_saved_sequence() {
    for name in NAMES {
        let dir = tempfile::tempdir().unwrap();
        let checkpoint = int4_checkpoint(name, dir.path());
        let gguf = exported(&checkpoint, &format!("{name}-int4"), &PlanOptions::default());
        let weights = reuse::load(&gguf);
        let tokens: Vec<Token> = (20..60).map(Token).collect();
        let (shared, next) = tokens.split_at(24);
        let mut old = reuse::decoder(&weights);
        reuse::read(&mut old, vec![], 0, shared);
        let saved = old.save(reuse::SEQ, shared.to_vec()).unwrap();
        let expected = reuse::read(&mut old, vec![], shared.len(), next);
        let mut new = reuse::decoder(&weights);
        new.restore(reuse::SEQ, &saved).unwrap();
        assert_eq!(reuse::read(&mut new, vec![], shared.len(), next), expected, "{name}");
        drop((old, new));
        drop(weights);
        std::fs::remove_file(gguf).unwrap();
    }
}
