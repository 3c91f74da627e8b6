//! The BF16 and int4 checkpoints of the tiny models, of which some are not committed to save space and are made up here.

use std::fs;
use std::path::{Path, PathBuf};

use half::bf16;

use crate::encode::{Encoding, Gptq};
use crate::family::{self, Family, folder};
use crate::rng::Rng;
use crate::safetensors::{self, Dtype, Tensor};
use crate::{deepseek, gemma_e2b};

/// A BF16 tensor of random values that suit a model.
pub fn made_up(name: &str, shape: &[usize]) -> Tensor {
    let (low, high) = match shape {
        [_] if name.ends_with("norm.weight") || name.ends_with("layer_scalar") => (0.7, 1.3),
        [_] => (-0.3, 0.3),
        _ => {
            let reach = 1.7 / (shape[shape.len() - 1] as f64).sqrt();
            (-reach, reach)
        }
    };
    let mut rng = Rng::named(0, name);
    let values =
        (0..shape.iter().product()).flat_map(|_| bf16::from_f64(rng.uniform(low, high)).to_le_bytes());
    Tensor::new(name, Dtype::Bf16, shape, values.collect())
}

/// The BF16 checkpoint of a tiny model: the committed one, or one that is made in `dir`.
pub fn bf16_checkpoint(name: &str, dir: &Path) -> PathBuf {
    if folder(name).join("model.safetensors").exists() {
        return folder(name);
    }
    let tensors = match name {
        "deepseek-v3" => deepseek::tensors(),
        "gemma4" => without_experts(stored("gemma4-moe")),
        "gemma4-e2b" => gemma_e2b::tensors(),
        "qwen3_5-text" => unwrapped(stored("qwen3_5")),
        _ => unquantized(stored(&format!("{name}-int4"))),
    };
    fs::create_dir_all(dir).unwrap_or_else(|e| panic!("cannot create {}: {e}", dir.display()));
    family::copy(name, dir);
    safetensors::write(&dir.join("model.safetensors"), &tensors);
    dir.to_owned()
}

/// The int4 checkpoint of a tiny model: that of AutoRound, or one with random codes that is made in `dir`.
pub fn int4_checkpoint(name: &str, dir: &Path) -> PathBuf {
    let committed = folder(&format!("{name}-int4"));
    if committed.exists() {
        return committed;
    }
    let is_linear = |module: &str| {
        let is_text = !module.contains("vision") && !module.contains("embed");
        is_text && (module.contains("_proj") || module.contains("per_layer_"))
    };
    let source = bf16_checkpoint(name, dir);
    Family::read(&source, is_linear).build(Encoding::Gptq(Gptq::sym(4, 64)), None).write(dir);
    dir.to_owned()
}

fn stored(folder: &str) -> Vec<Tensor> {
    safetensors::read(&family::folder(folder).join("model.safetensors"))
}

/// The dense model beside the experts.
fn without_experts(mut all: Vec<Tensor>) -> Vec<Tensor> {
    let of_experts = [".experts.", ".router.", "layernorm_1.", "layernorm_2."];
    all.retain(|tensor| !of_experts.iter().any(|part| tensor.name.contains(part)));
    all
}

/// The trunk of the language model under the names that it has alone, with a head of its own.
fn unwrapped(all: Vec<Tensor>) -> Vec<Tensor> {
    let own = all.into_iter().filter_map(|tensor| {
        let name = format!("model.{}", tensor.name.strip_prefix("model.language_model.")?);
        Some(Tensor { name, ..tensor })
    });
    own.chain([made_up("lm_head.weight", &[320, 128])]).collect()
}

/// Made-up weights in place of quantized ones.
fn unquantized(all: Vec<Tensor>) -> Vec<Tensor> {
    let plain = |tensor: Tensor| match tensor.name.rsplit_once('.') {
        Some((module, "qweight")) => {
            Some(made_up(&format!("{module}.weight"), &[tensor.shape[1], tensor.shape[0] * 8]))
        }
        Some((_, "qzeros" | "scales")) => None,
        _ => Some(tensor),
    };
    all.into_iter().filter_map(plain).collect()
}
