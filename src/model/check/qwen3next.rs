//! Checks the tensors of architecture `qwen3next` against its hyperparameters.
//!
//! Source: `src/models/qwen3next.cpp` of llama.cpp b11434. Its loader also reports a tensor that is missing or has the
//! wrong shape, but not an unexpected one, and its graph asserts on types and values that the loader accepts.

use std::collections::BTreeMap;

use gguf_export::gguf::{TensorInfo, keys};

use super::types::Kind::{self, Matrix, Vector};
use crate::model::hparams::{HParams, Recurrent};
use crate::model::{Header, LoadError};

pub(super) const NAME: &str = "qwen3next";

pub(super) fn check(header: &Header, hparams: &HParams) -> Result<(), LoadError> {
    let tokenizer = header.metadata.str(keys::TOKENIZER_MODEL).unwrap_or_default();
    if tokenizer != "gpt2" {
        return Err(header.wrong(
            keys::TOKENIZER_MODEL,
            format!("`{tokenizer}`"),
            format!("`gpt2` for {NAME}"),
        ));
    }
    let sizes = Sizes::read(header, hparams)?;
    let mut left: BTreeMap<&str, &TensorInfo> = header.tensors.iter().map(|t| (t.name.as_str(), t)).collect();
    let mut tensors = Tensors { header, left: &mut left };
    let Sizes { embedding, vocab, .. } = sizes;
    tensors.required("token_embd.weight", Matrix, &[embedding, vocab])?;
    tensors.required("output_norm.weight", Vector, &[embedding])?;
    tensors.optional("output.weight", Matrix, &[embedding, vocab])?;
    let trunk = hparams.layers - hparams.mtp_layers;
    for layer in 0..hparams.layers {
        tensors.block(layer, &sizes, hparams.recurrent_layers[layer as usize])?;
        if layer >= trunk {
            tensors.mtp(layer, &sizes)?;
        }
    }
    tensors.scales(&sizes)?;
    match left.keys().next() {
        None => Ok(()),
        Some(name) => Err(LoadError::SurplusTensor {
            path: header.path.clone(),
            tensor: (*name).to_owned(),
            layers: hparams.layers,
        }),
    }
}

/// The sizes of tensors.
struct Sizes {
    embedding: u64,
    vocab: u64,
    query: u64,
    key_value: u64,
    head: u64,
    recurrent: Recurrent,
    experts: u64,
    expert: u64,
    shared: u64,
}

impl Sizes {
    fn read(header: &Header, hparams: &HParams) -> Result<Self, LoadError> {
        let key = |name: &str| format!("{NAME}.{name}");
        let wrong = |name: &str, found: u64, expected: String| Err(header.wrong(&key(name), found, expected));
        let (heads, kv_heads) = (u64::from(hparams.heads[0]), u64::from(hparams.kv_heads[0]));
        if hparams.heads.iter().any(|n| *n == 0 || u64::from(*n) != heads) {
            return wrong("attention.head_count", heads, "the same in every layer, at least 1".to_owned());
        }
        if hparams.kv_heads.iter().any(|n| *n == 0 || u64::from(*n) != kv_heads) {
            return wrong(
                "attention.head_count_kv",
                kv_heads,
                "the same in every layer, at least 1".to_owned(),
            );
        }
        if hparams.value_length != hparams.key_length {
            let expected = format!("{}, as `{}`", hparams.key_length, key("attention.key_length"));
            return wrong("attention.value_length", hparams.value_length, expected);
        }
        if hparams.experts == 0 {
            return wrong("expert_count", 0, "at least 1".to_owned());
        }
        let Some(recurrent) = hparams.recurrent else {
            return Err(header.wrong(&key("ssm.state_size"), "missing", "at least 1"));
        };
        // With 0 dimensions, llama.cpp's rotation loops forever.
        header.within(&key("rope.dimension_count"), 2..=u64::MAX, Some(2))?;
        header.within(&key("ssm.conv_kernel"), 2..=64, None)?;
        header.within(&key("ssm.group_count"), 1..=u64::MAX, None)?;
        header.within(&key("ssm.time_step_rank"), 1..=u64::MAX, None)?;
        if !recurrent.heads.is_multiple_of(recurrent.groups) {
            let expected = format!("a multiple of {} groups", recurrent.groups);
            return wrong("ssm.time_step_rank", recurrent.heads, expected);
        }
        if recurrent.inner != recurrent.heads * recurrent.state {
            let expected = format!("{} heads of {}", recurrent.heads, recurrent.state);
            return wrong("ssm.inner_size", recurrent.inner, expected);
        }
        let feed_forward = header.whole(&key("feed_forward_length"))?.unwrap_or(0);
        let expert = header.whole(&key("expert_feed_forward_length"))?.filter(|n| *n > 0);
        let shared = header.whole(&key("expert_shared_feed_forward_length"))?.filter(|n| *n > 0);
        if header.metadata.f32(&key("attention.layer_norm_rms_epsilon")).is_none() {
            return Err(header.wrong(&key("attention.layer_norm_rms_epsilon"), "missing", "an f32"));
        }
        Ok(Self {
            embedding: hparams.embedding,
            vocab: hparams.vocab,
            query: heads * hparams.key_length,
            key_value: kv_heads * hparams.key_length,
            head: hparams.key_length,
            recurrent,
            experts: hparams.experts.into(),
            expert: expert.unwrap_or(feed_forward / u64::from(hparams.experts_used)),
            shared: shared.unwrap_or(feed_forward),
        })
    }
}

/// The tensors that are not checked yet.
struct Tensors<'a, 'b> {
    header: &'a Header,
    left: &'b mut BTreeMap<&'a str, &'a TensorInfo>,
}

impl Tensors<'_, '_> {
    fn block(&mut self, layer: u32, sizes: &Sizes, recurrent: bool) -> Result<(), LoadError> {
        let name = |rest: &str| format!("blk.{layer}.{rest}");
        let &Sizes { embedding, head, experts, expert, shared, .. } = sizes;
        self.required(&name("attn_norm.weight"), Vector, &[embedding])?;
        self.required(&name("post_attention_norm.weight"), Vector, &[embedding])?;
        if recurrent {
            self.delta_net(layer, sizes)?;
        } else {
            self.query_key_value(layer, sizes)?;
            self.required(&name("attn_output.weight"), Matrix, &[sizes.query, embedding])?;
            self.required(&name("attn_q_norm.weight"), Vector, &[head])?;
            self.required(&name("attn_k_norm.weight"), Vector, &[head])?;
        }
        self.required(&name("ffn_gate_inp.weight"), Matrix, &[embedding, experts])?;
        self.required(&name("ffn_down_exps.weight"), Matrix, &[expert, embedding, experts])?;
        if !self.optional(&name("ffn_gate_up_exps.weight"), Matrix, &[embedding, 2 * expert, experts])? {
            self.required(&name("ffn_gate_exps.weight"), Matrix, &[embedding, expert, experts])?;
            self.required(&name("ffn_up_exps.weight"), Matrix, &[embedding, expert, experts])?;
        }
        self.required(&name("ffn_gate_inp_shexp.weight"), Matrix, &[embedding])?;
        self.required(&name("ffn_gate_shexp.weight"), Matrix, &[embedding, shared])?;
        self.required(&name("ffn_up_shexp.weight"), Matrix, &[embedding, shared])?;
        self.required(&name("ffn_down_shexp.weight"), Matrix, &[shared, embedding])?;
        Ok(())
    }

    /// Softmax attention. The query includes a gate of the same size.
    fn query_key_value(&mut self, layer: u32, sizes: &Sizes) -> Result<(), LoadError> {
        let name = |rest: &str| format!("blk.{layer}.{rest}");
        let &Sizes { embedding, query, key_value, .. } = sizes;
        let all = 2 * query + 2 * key_value;
        let fused = self.optional(&name("attn_qkv.weight"), Matrix, &[embedding, all])?;
        let bias = self.optional(&name("attn_qkv.bias"), Vector, &[all])?;
        for (letter, width) in [("q", 2 * query), ("k", key_value), ("v", key_value)] {
            if !fused {
                self.required(&name(&format!("attn_{letter}.weight")), Matrix, &[embedding, width])?;
            }
            if !bias {
                self.optional(&name(&format!("attn_{letter}.bias")), Vector, &[width])?;
            }
        }
        Ok(())
    }

    fn delta_net(&mut self, layer: u32, sizes: &Sizes) -> Result<(), LoadError> {
        let name = |rest: &str| format!("blk.{layer}.{rest}");
        let Sizes { embedding, recurrent, .. } = *sizes;
        let (keys, values) = (recurrent.groups * recurrent.state, recurrent.inner);
        // Old files have one matrix with another order of rows.
        if !self.optional(&name("ssm_in.weight"), Matrix, &[embedding, 2 * keys + 2 * values])? {
            self.required(&name("attn_qkv.weight"), Matrix, &[embedding, 2 * keys + values])?;
            self.required(&name("attn_gate.weight"), Matrix, &[embedding, values])?;
        }
        self.required(&name("ssm_conv1d.weight"), Vector, &[recurrent.kernel, 2 * keys + values])?;
        self.required(&name("ssm_dt.bias"), Vector, &[recurrent.heads])?;
        self.required(&name("ssm_a"), Vector, &[recurrent.heads])?;
        self.required(&name("ssm_ba.weight"), Matrix, &[embedding, 2 * recurrent.heads])?;
        self.required(&name("ssm_norm.weight"), Vector, &[recurrent.state])?;
        self.required(&name("ssm_out.weight"), Matrix, &[values, embedding])?;
        Ok(())
    }

    /// The tensors of an MTP layer besides those of an attention layer.
    fn mtp(&mut self, layer: u32, sizes: &Sizes) -> Result<(), LoadError> {
        let name = |rest: &str| format!("blk.{layer}.nextn.{rest}.weight");
        let &Sizes { embedding, vocab, .. } = sizes;
        self.required(&name("eh_proj"), Matrix, &[2 * embedding, embedding])?;
        self.required(&name("enorm"), Vector, &[embedding])?;
        self.required(&name("hnorm"), Vector, &[embedding])?;
        self.optional(&name("embed_tokens"), Matrix, &[embedding, vocab])?;
        self.optional(&name("shared_head_head"), Matrix, &[embedding, vocab])?;
        self.optional(&name("shared_head_norm"), Vector, &[embedding])?;
        Ok(())
    }

    /// The optional factors of a matrix and of its input: one, or one for each expert.
    fn scales(&mut self, sizes: &Sizes) -> Result<(), LoadError> {
        let names: Vec<&str> = self.left.keys().copied().collect();
        for name in names {
            let stem = name.strip_suffix(".scale").or_else(|| name.strip_suffix(".input_scale"));
            if let Some(stem) = stem.filter(|stem| Kind::of(stem) == Some(Matrix)) {
                let count = if stem.ends_with("_exps") { sizes.experts } else { 1 };
                self.optional(name, Vector, &[count])?;
            }
        }
        Ok(())
    }

    fn required(&mut self, name: &str, kind: Kind, dims: &[u64]) -> Result<(), LoadError> {
        if self.optional(name, kind, dims)? {
            return Ok(());
        }
        Err(LoadError::MissingTensor { path: self.header.path.clone(), tensor: name.to_owned() })
    }

    /// Checks a tensor and removes it from the remaining ones; `false` if it does not exist.
    fn optional(&mut self, name: &str, kind: Kind, dims: &[u64]) -> Result<bool, LoadError> {
        let Some(tensor) = self.left.remove(name) else { return Ok(false) };
        let wrong = |found: String, expected: String| {
            let (path, tensor) = (self.header.path.clone(), name.to_owned());
            Err(LoadError::Tensor { path, tensor, found, expected })
        };
        if trimmed(&tensor.dims) != trimmed(dims) {
            return wrong(format!("shape {:?}", tensor.dims), format!("{dims:?} by the metadata"));
        }
        if !kind.allows(tensor.ty) {
            return wrong(format!("type {}", tensor.ty), kind.expected().to_owned());
        }
        Ok(true)
    }
}

/// A shape without trailing dimensions of 1.
fn trimmed(dims: &[u64]) -> &[u64] {
    let ones = dims.iter().rev().take_while(|d| **d == 1).count();
    &dims[..(dims.len() - ones).max(1)]
}
