//! Logits of our GGUFs in llama.cpp, compared with transformers. `cargo bench --bench quality` prints the numbers.

use gguf_export::PlanOptions;
use gguf_export::ggml::GgmlType;
use gguf_export::plan::OutType;

use super::load;
use super::quality::Quality;
use crate::support::{data, exported, tiny_gguf};

/// At F32 both compute the same sums in a different order.
fn same_at_f32(checkpoint: &str, golden: &str) {
    let options = PlanOptions { outtype: OutType::Only(GgmlType::F32), ..PlanOptions::default() };
    let gguf = exported(&data(checkpoint), &format!("{golden}-f32"), &options);
    let quality = Quality::measure(&load(&gguf), golden);
    assert_eq!(quality.same_top, quality.tokens(), "{checkpoint}");
    assert!(quality.largest_difference < 2e-3, "{checkpoint}: {:.2e}", quality.largest_difference);
    std::fs::remove_file(gguf).unwrap();
}

#[test]
fn the_plain_model_has_the_logits_of_transformers() {
    same_at_f32("matrix/source-bf16", "source-bf16");
}

#[test]
fn the_bundled_model_at_f32_has_the_logits_of_transformers() {
    same_at_f32("tiny-thinker", "tiny-thinker");
}

/// llama.cpp rounds activations to eight bits before it multiplies them with quantized weights, so not all of the
/// difference comes from the weights.
#[test]
fn the_quantised_model_stays_close_to_transformers() {
    let quality = Quality::measure(&load(&tiny_gguf()), "tiny-thinker");
    // Measured: 4.3e-2, nearly all of it from one token; 8e-10; 99.5 %.
    assert!(quality.mean_kl() < 0.08, "mean KL {:.3e}", quality.mean_kl());
    assert!(quality.median_kl() < 1e-6, "median KL {:.3e}", quality.median_kl());
    assert!(quality.agreement() > 0.97, "top-1 agreement {:.3}", quality.agreement());
}
