//! The divergence of llama.cpp's logits of our GGUFs from those of transformers in float32, for every checkpoint that
//! has golden logits. The values depend on the files and on llama.cpp, not on the machine's speed. Divergences are in
//! nats.

#![expect(clippy::unwrap_used, reason = "a benchmark fails where it unwraps")]
#![expect(clippy::print_stdout, reason = "its output is the record")]

#[path = "../tests/model/quality.rs"]
mod quality;
#[path = "../tests/support.rs"]
mod support;

use std::path::{Path, PathBuf};

use ggrun::model::{LoadOptions, Model};
use gguf_export::PlanOptions;
use gguf_export::ggml::GgmlType;
use gguf_export::plan::OutType;

use quality::Quality;
use support::{data, exported, tiny_gguf};

fn main() {
    println!("checkpoint    outtype  tokens   mean KL  median KL  largest KL   same top  largest difference");
    for (name, checkpoint) in checkpoints() {
        let default = if name == "tiny-thinker" {
            tiny_gguf()
        } else {
            exported(&checkpoint, &name, &PlanOptions::default())
        };
        report(&name, "default", &default);
        let f32 = PlanOptions { outtype: OutType::Only(GgmlType::F32), ..PlanOptions::default() };
        report(&name, "f32", &exported(&checkpoint, &format!("{name}-f32"), &f32));
    }
}

/// The checkpoints with golden logits, sorted by name.
fn checkpoints() -> Vec<(String, PathBuf)> {
    let mut found: Vec<_> = std::fs::read_dir(quality::folder())
        .unwrap()
        .map(|entry| {
            let name = entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned();
            let folder = [data(&name), data("matrix").join(&name)].into_iter().find(|f| f.exists());
            let folder =
                folder.unwrap_or_else(|| panic!("golden logits of `{name}`, which is not in tests/data"));
            (name, folder)
        })
        .collect();
    found.sort();
    found
}

/// Prints a row and removes the GGUF.
fn report(name: &str, outtype: &str, gguf: &Path) {
    let model = Model::load(LoadOptions::new(gguf), |_| true).unwrap();
    let found = Quality::measure(&model, name);
    println!(
        "{name:<13} {outtype:<7} {:>7} {:>9.2e} {:>10.2e} {:>11.2e} {:>8.2} % {:>19.2e}",
        found.tokens(),
        found.mean_kl(),
        found.median_kl(),
        found.kl.last().unwrap(),
        found.agreement() * 100.0,
        found.largest_difference
    );
    std::fs::remove_file(gguf).unwrap();
}
