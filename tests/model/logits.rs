//! Logits of our GGUFs through llama.cpp against transformers in float32 on the exactly dequantised weights.

use ggrun::engine::Token;
use gguf_export::PlanOptions;
use gguf_export::ggml::GgmlType;
use gguf_export::plan::OutType;
use safetensors::SafeTensors;

use super::load;
use crate::support::{data, exported, tiny_gguf};

/// One sequence: its tokens and the reference logits after each.
struct Sequence {
    tokens: Vec<Token>,
    logits: Vec<Vec<f32>>,
}

fn golden(name: &str) -> Vec<Sequence> {
    let path = data("..").join("golden/logits").join(name);
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let count = file.names().iter().filter(|n| n.starts_with("tokens_")).count();
    assert!(count >= 2);
    let words = |name: String| -> (Vec<[u8; 4]>, Vec<usize>) {
        let t = file.tensor(&name).unwrap();
        (t.data().as_chunks::<4>().0.to_vec(), t.shape().to_vec())
    };
    (0..count)
        .map(|i| {
            let tokens =
                words(format!("tokens_{i}")).0.into_iter().map(|b| Token(i32::from_le_bytes(b))).collect();
            let (logits, shape) = words(format!("logits_{i}"));
            let logits: Vec<f32> = logits.into_iter().map(f32::from_le_bytes).collect();
            Sequence { tokens, logits: logits.chunks_exact(shape[1]).map(<[f32]>::to_vec).collect() }
        })
        .collect()
}

fn top(logits: &[f32]) -> usize {
    (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap()
}

/// At F32 both compute the same sums in another order.
fn same_at_f32(checkpoint: &str, golden_file: &str) {
    let options = PlanOptions { outtype: OutType::Only(GgmlType::F32), ..PlanOptions::default() };
    let gguf = exported(&data(checkpoint), &format!("{}-f32", checkpoint.replace('/', "-")), &options);
    let model = load(&gguf);
    let mut largest = 0f32;
    for sequence in golden(golden_file) {
        let found = model.logits(&[&sequence.tokens]).unwrap().remove(0);
        assert_eq!(found.len(), sequence.logits.len());
        for (position, (found, expected)) in found.iter().zip(&sequence.logits).enumerate() {
            assert_eq!(top(found), top(expected), "{checkpoint}: position {position}");
            let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
            largest = differences.fold(largest, f32::max);
        }
    }
    println!("{checkpoint}: largest difference {largest:.2e}");
    assert!(largest < 2e-3, "{checkpoint}: largest difference {largest:.2e}");
}

#[test]
fn the_plain_model_has_the_logits_of_transformers() {
    same_at_f32("matrix/source-bf16", "source-bf16.safetensors");
}

#[test]
fn the_bundled_model_at_f32_has_the_logits_of_transformers() {
    same_at_f32("tiny-thinker", "tiny-thinker.safetensors");
}

/// llama.cpp rounds activations to eight bits before it multiplies quantised weights, so a little is lost here
/// that is not the weights'.
#[test]
fn the_quantised_model_stays_close() {
    let model = load(&tiny_gguf());
    let (mut divergence, mut agree, mut count) = (0f64, 0usize, 0usize);
    for sequence in golden("tiny-thinker.safetensors") {
        let found = model.logits(&[&sequence.tokens]).unwrap().remove(0);
        for (found, expected) in found.iter().zip(&sequence.logits) {
            divergence += kl(expected, found);
            agree += usize::from(top(found) == top(expected));
            count += 1;
        }
    }
    let (divergence, agreement) = (divergence / count as f64, agree as f64 / count as f64);
    println!("mean KL {divergence:.2e}, top-1 agreement {:.1} % over {count} tokens", agreement * 100.0);
    // Measured: 4.3e-2 and 99.5 %.
    assert!(divergence < 0.08, "mean KL {divergence:.3e}");
    assert!(agreement > 0.97, "top-1 agreement {agreement:.3}");
}

/// Kullback-Leibler divergence of two sets of logits, in nats.
fn kl(p: &[f32], q: &[f32]) -> f64 {
    let normalise = |x: &[f32]| {
        let most = x.iter().fold(f32::MIN, |m, v| m.max(*v));
        let sum: f64 = x.iter().map(|v| f64::from(v - most).exp()).sum();
        (f64::from(most), sum.ln())
    };
    let ((pm, ps), (qm, qs)) = (normalise(p), normalise(q));
    p.iter()
        .zip(q)
        .map(|(p, q)| {
            let log_p = f64::from(*p) - pm - ps;
            log_p.exp() * (log_p - (f64::from(*q) - qm - qs))
        })
        .sum()
}
