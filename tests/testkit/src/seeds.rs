//! Runs fuzz targets on their seeds.

use std::fs;
use std::path::{Path, PathBuf};

use crate::rng::Rng;

/// Mutants of each seed.
const MUTANTS: usize = 500;

/// What a target accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The number of seeds.
    pub seeds: usize,
    /// Of these, the ones that it accepted.
    pub whole: usize,
    /// The mutants that it accepted.
    pub mutants: usize,
}

/// Runs a target on the seeds in `fuzz/seeds/<name>`: whole, truncated and mutated.
pub fn run(target: impl Fn(&[u8]) -> bool, name: &str) -> Accepted {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name);
    let entries = fs::read_dir(folder).expect("there are seeds");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    files.sort();
    let mut random = Rng::named(7, name);
    let mut accepted = Accepted { seeds: files.len(), ..Accepted::default() };
    for file in files {
        let bytes = fs::read(file).expect("a seed can be read");
        accepted.whole += usize::from(target(&bytes));
        for end in 0..bytes.len() {
            target(&bytes[..end]);
        }
        for _ in 0..MUTANTS {
            let mut mutant = bytes.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(mutant.len());
                mutant[at] = random.bits().to_le_bytes()[0];
            }
            accepted.mutants += usize::from(target(&mutant));
        }
    }
    accepted
}
