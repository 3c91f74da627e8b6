//! A model whose quantized matrices all have kernels in our patches; those of the bundled model are too narrow.

use std::path::PathBuf;
use std::sync::OnceLock;

use ggrun::engine::Token;
use ggrun::model::{LoadMode, LoadOptions, Model, caps};
use gguf_export::PlanOptions;
use testkit::{Encoding, Gptq};

use crate::support::exported;

/// Codes of four bits, except in attention, where they have eight. Rows are multiples of 256.
fn wide_gguf() -> PathBuf {
    static GGUF: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().unwrap();
        let model = testkit::Model {
            hidden: 256,
            expert_dim: 256,
            shared_expert_dim: 256,
            linears: Encoding::Gptq(Gptq::sym(8, 128)),
            ..testkit::Model::uniform(Encoding::Gptq(Gptq::sym(4, 128)))
        };
        model.write(folder.path());
        exported(folder.path(), "wide", &PlanOptions::default())
    };
    GGUF.get_or_init(make).clone()
}

fn logits(repack: bool, threads: u32, prompts: &[&[Token]]) -> Vec<Vec<Vec<f32>>> {
    let load = Some(if repack { LoadMode::Read } else { LoadMode::Map });
    let options = LoadOptions { load, repack: Some(repack), threads, ..LoadOptions::new(wide_gguf()) };
    Model::load(options, |_| true).unwrap().logits(prompts).unwrap()
}

fn prompt(from: i32) -> Vec<Token> {
    (0..70).map(|index| Token((from + index * 13) % 250)).collect()
}

#[test]
fn weights_with_kernels_are_not_repacked_by_default() {
    assert!(caps().patches.iter().any(|patch| patch.starts_with("0005")), "the patch is missing");
    // Processors without these instructions have no kernels.
    if caps().kernels.is_none() && !cfg!(target_feature = "avx2") {
        return;
    }
    let model = Model::load(LoadOptions::new(wide_gguf()), |_| true).unwrap();
    let placed = model.placement();
    assert_eq!((placed.load, placed.repack), (LoadMode::Map, false), "{}", placed.reason);
    assert!(placed.reason.contains("kernels for Q4_0, Q8_0"), "{}", placed.reason);
}

#[test]
fn logits_of_the_kernels_are_those_of_repacked_weights() {
    let (long, short) = (prompt(3), &prompt(3)[..1]);
    for prompt in [&long[..], short] {
        let [ours, repacked] = [false, true].map(|repack| logits(repack, 1, &[prompt]).concat().concat());
        let square =
            |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>();
        let difference = square(&mut ours.iter().zip(&repacked).map(|(a, b)| a - b));
        let relative = (difference / square(&mut repacked.iter().copied())).sqrt();
        assert!(relative < 0.02, "{relative}");
    }
}

#[test]
fn logits_of_the_kernels_do_not_depend_on_threads() {
    let bits = |threads| {
        let (one, two) = (prompt(3), prompt(11));
        let all = logits(false, threads, &[&one, &two[..9]]).concat().concat();
        all.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let expected = bits(1);
    for threads in [2, 3, 8] {
        assert!(bits(threads) == expected, "{threads} threads");
    }
}
