//! Distance of logits from those of transformers in float32 on the exactly dequantized weights. Shared with
//! `benches/quality.rs`.

use std::path::PathBuf;

use ggrun::engine::Token;
use ggrun::model::Model;
use safetensors::SafeTensors;

use crate::support::data;

/// A model compared with the reference, over every token of every sequence.
pub(crate) struct Quality {
    /// Kullback-Leibler divergence from the reference after each token, in nats, ascending.
    pub(crate) kl: Vec<f64>,
    /// Tokens after which both have the same most likely token.
    pub(crate) same_top: u32,
    /// Largest absolute difference of two logits.
    pub(crate) largest_difference: f32,
}

impl Quality {
    /// Decodes the reference's sequences with `model` and compares the logits.
    pub(crate) fn measure(model: &Model, golden: &str) -> Self {
        let mut quality = Self { kl: Vec::new(), same_top: 0, largest_difference: 0.0 };
        for sequence in read(golden) {
            let found = model.logits(&[&sequence.tokens]).unwrap().remove(0);
            assert_eq!(found.len(), sequence.logits.len());
            for (found, expected) in found.iter().zip(&sequence.logits) {
                assert_eq!(found.len(), expected.len());
                let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
                quality.kl.push(kl(expected, found));
                quality.same_top += u32::from(top(found) == top(expected));
                quality.largest_difference = differences.fold(quality.largest_difference, f32::max);
            }
        }
        quality.kl.sort_by(f64::total_cmp);
        quality
    }

    pub(crate) fn tokens(&self) -> u32 {
        u32::try_from(self.kl.len()).unwrap()
    }

    pub(crate) fn mean_kl(&self) -> f64 {
        self.kl.iter().sum::<f64>() / f64::from(self.tokens())
    }

    /// The median, because one token whose choice of experts flips can dominate the mean.
    pub(crate) fn median_kl(&self) -> f64 {
        self.kl[self.kl.len() / 2]
    }

    pub(crate) fn agreement(&self) -> f64 {
        f64::from(self.same_top) / f64::from(self.tokens())
    }
}

/// Folder of the reference logits, one file for each checkpoint.
pub(crate) fn folder() -> PathBuf {
    data("..").join("golden/logits")
}

/// The tokens of a sequence and the reference logits after each.
struct Sequence {
    tokens: Vec<Token>,
    logits: Vec<Vec<f32>>,
}

fn read(golden: &str) -> Vec<Sequence> {
    let bytes = std::fs::read(folder().join(golden).with_extension("safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let count = file.names().iter().filter(|n| n.starts_with("tokens_")).count();
    assert!(count >= 2);
    let words = |name: String| -> (Vec<[u8; 4]>, Vec<usize>) {
        let t = file.tensor(&name).unwrap();
        (t.data().as_chunks::<4>().0.to_vec(), t.shape().to_vec())
    };
    (0..count)
        .map(|i| {
            let tokens = words(format!("tokens_{i}")).0.into_iter();
            let tokens = tokens.map(|b| Token(i32::from_le_bytes(b))).collect();
            let (logits, shape) = words(format!("logits_{i}"));
            let logits: Vec<f32> = logits.into_iter().map(f32::from_le_bytes).collect();
            Sequence { tokens, logits: logits.chunks_exact(shape[1]).map(<[f32]>::to_vec).collect() }
        })
        .collect()
}

fn top(logits: &[f32]) -> usize {
    (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap()
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
