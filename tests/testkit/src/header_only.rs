//! A stand-in for the 80B model: headers and file lengths of its dimensions, without data.
//!
//! The shards are sparse files, so that a checkpoint of 40 GB takes about 50 MB of disk space.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, json};

use crate::checkpoint::{shard_name, write_json};
use crate::config;
use crate::encode::{Encoding, Gptq, gptq_shapes};
use crate::layout::{Role, slots};
use crate::model::{Edit, LayerKind, Model, Mtp};
use crate::safetensors::{self, Dtype};
use crate::tokenizer;

/// Options of the stand-in. [`HeaderOnly::default`] is the whole model in nine shards.
#[derive(Clone, Debug)]
pub struct HeaderOnly {
    /// Number of layers, 48 in the real model. Every fourth has full attention.
    pub layers: usize,
    /// Number of shards.
    pub shards: usize,
    /// Include the MTP layer, with its Linears in int4.
    pub mtp: bool,
    /// Folder from which `tokenizer.json`, `tokenizer_config.json` and `generation_config.json` are copied; `None` for a
    /// generated vocabulary of the real size.
    pub tokenizer: Option<PathBuf>,
}

impl Default for HeaderOnly {
    fn default() -> Self {
        Self { layers: 48, shards: 9, mtp: false, tokenizer: None }
    }
}

/// A tensor without data.
#[derive(Clone, Debug)]
pub struct Outline {
    /// Its name.
    pub name: String,
    /// Its dtype.
    pub dtype: Dtype,
    /// Its shape.
    pub shape: Vec<usize>,
}

impl Outline {
    /// Bytes of its data.
    #[allow(clippy::len_without_is_empty, reason = "a tensor without elements has no use here")]
    pub fn len(&self) -> u64 {
        self.shape.iter().product::<usize>() as u64 * self.dtype.size() as u64
    }
}

/// The model: experts in int4, other Linears in int8, symmetric in groups of 128; gates and head in BF16.
pub fn model(options: &HeaderOnly) -> Model {
    let full = |i: usize| if i % 4 == 3 { LayerKind::Full } else { LayerKind::Linear };
    let int8 = Encoding::Gptq(Gptq::sym(8, 128));
    let edits = vec![
        Edit::Set("/bos_token_id", json!(FIRST_ADDED)),
        Edit::Set("/eos_token_id", json!(FIRST_ADDED + 2)),
        Edit::Set("/pad_token_id", json!(FIRST_ADDED)),
        Edit::Set("/intermediate_size", json!(5120)),
        Edit::Set("/max_position_embeddings", json!(262_144)),
        Edit::Set("/full_attention_interval", json!(4)),
        Edit::Set("/rope_theta", json!(10_000_000)),
    ];
    Model {
        hidden: 2048,
        vocab: 151_936,
        layers: (0..options.layers).map(full).collect(),
        heads: 16,
        kv_heads: 2,
        head_dim: 256,
        key_heads: 16,
        value_heads: 32,
        key_head_dim: 128,
        value_head_dim: 128,
        expert_count: 512,
        expert_used: 10,
        expert_dim: 512,
        shared_expert_dim: 512,
        experts: Encoding::Gptq(Gptq::sym(4, 128)),
        linears: int8,
        in_proj_ba: int8,
        mtp: if options.mtp { Mtp::Quantized } else { Mtp::None },
        autoround_version: Some("0.6.1".into()),
        old_config: true,
        edits,
        shards: options.shards,
        ..Model::tiny()
    }
}

/// Writes the stand-in.
pub fn write(dir: &Path, options: &HeaderOnly) {
    write_other_files(dir, options);
    for (name, outlines) in shards(options) {
        sparse(&dir.join(name), &outlines);
    }
}

/// Writes any tensors as sparse files: so many shards and their index.
pub fn write_outlines(dir: &Path, outlines: Vec<Outline>, count: usize) {
    let shards = divided(outlines, count);
    write_index(dir, &shards);
    for (name, outlines) in shards {
        sparse(&dir.join(name), &outlines);
    }
}

/// Writes the files beside the shards: the index, the configuration and the tokenizer.
pub fn write_other_files(dir: &Path, options: &HeaderOnly) {
    fs::create_dir_all(dir).unwrap_or_else(|e| panic!("cannot create {}: {e}", dir.display()));
    if options.shards > 1 {
        write_index(dir, &shards(options));
    }
    let (config, mut json) = config::files(&model(options));
    write_json(&dir.join("config.json"), &config);
    match &options.tokenizer {
        Some(from) => {
            for name in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
                let from = from.join(name);
                if from.exists() {
                    fs::copy(&from, dir.join(name)).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
                }
            }
        }
        None => json.extend(vocabulary()),
    }
    for (name, value) in &json {
        write_json(&dir.join(name), value);
    }
}

/// The names of the shards, and the tensors of each in file order.
pub(crate) fn shards(options: &HeaderOnly) -> Vec<(String, Vec<Outline>)> {
    divided(outlines(&model(options)), options.shards)
}

/// Distributes tensors, in order, over shards of about equal size.
pub(crate) fn divided(outlines: Vec<Outline>, count: usize) -> Vec<(String, Vec<Outline>)> {
    let total: u64 = outlines.iter().map(Outline::len).sum();
    let mut shards: Vec<(String, Vec<Outline>)> =
        (0..count).map(|i| (shard_name(i, count), Vec::new())).collect();
    let mut before = 0;
    for outline in outlines {
        let len = outline.len();
        shards[(before * count as u64 / total) as usize].1.push(outline);
        before += len;
    }
    for (_, outlines) in &mut shards {
        outlines.sort_by_key(|outline| std::cmp::Reverse(outline.dtype.size()));
    }
    shards
}

pub(crate) fn write_index(dir: &Path, shards: &[(String, Vec<Outline>)]) {
    let (mut weight_map, mut total) = (Map::new(), 0);
    for (file, outlines) in shards {
        total += outlines.iter().map(Outline::len).sum::<u64>();
        weight_map.extend(outlines.iter().map(|outline| (outline.name.clone(), json!(file))));
    }
    write_json(
        &dir.join("model.safetensors.index.json"),
        &json!({"metadata": {"total_size": total}, "weight_map": weight_map}),
    );
}

/// Writes a sparse file with a header.
fn sparse(path: &Path, outlines: &[Outline]) {
    let header = safetensors::header(outlines.iter().map(|o| (&*o.name, o.dtype, &*o.shape, o.len())));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        file.set_len(8 + header.len() as u64 + outlines.iter().map(Outline::len).sum::<u64>())
    };
    write().unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}

/// All stored tensors of a model whose Linears are BF16 or GPTQ, in file order.
fn outlines(model: &Model) -> Vec<Outline> {
    let mut outlines = Vec::new();
    for slot in slots(model) {
        let mut push = |name: String, dtype, shape: &[usize]| {
            outlines.push(Outline { name, dtype, shape: shape.to_vec() });
        };
        let Role::Linear(part) = slot.role else {
            push(slot.name, model.dtype, &slot.shape);
            continue;
        };
        match model.encoding(&slot.name, part) {
            Encoding::Bf16 => push(format!("{}.weight", slot.name), Dtype::Bf16, &slot.shape),
            Encoding::Gptq(gptq) => {
                let [qweight, qzeros, scales] = gptq_shapes(gptq, slot.shape[0], slot.shape[1]);
                push(format!("{}.qweight", slot.name), Dtype::I32, &qweight);
                push(format!("{}.qzeros", slot.name), Dtype::I32, &qzeros);
                push(format!("{}.scales", slot.name), gptq.scale.dtype(), &scales);
            }
            other => panic!("{other:?} has no outline"),
        }
    }
    outlines
}

/// The id of the first added token of the real vocabulary.
const FIRST_ADDED: usize = 151_643;

/// Tokenizer files with as many tokens as the real vocabulary: all pairs of bytes, then pairs followed by a third byte.
fn vocabulary() -> std::collections::BTreeMap<String, serde_json::Value> {
    let characters = tokenizer::byte_characters();
    let pair = |i: usize| [characters[i / 256], characters[i % 256]].iter().collect::<String>();
    let merges: Vec<(String, String)> = (0..FIRST_ADDED - 256)
        .map(|i| match i.checked_sub(65536) {
            None => (characters[i / 256].into(), characters[i % 256].into()),
            Some(i) => (pair(i / 256), characters[i % 256].into()),
        })
        .collect();
    let names: Vec<(String, bool)> = (0..26)
        .map(|i| match i {
            0 => ("<|endoftext|>".into(), true),
            1 => ("<|im_start|>".into(), true),
            2 => ("<|im_end|>".into(), true),
            24 => ("<think>".into(), false),
            25 => ("</think>".into(), false),
            i => (format!("<|extra_{i}|>"), true),
        })
        .collect();
    let added: Vec<(&str, bool)> = names.iter().map(|(name, special)| (&**name, *special)).collect();
    tokenizer::files_of(&merges, &added, 262_144)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlines_equal_the_tensors_of_a_built_model() {
        let int = |bits| Encoding::Gptq(Gptq::sym(bits, 128));
        let model =
            Model { linears: int(8), in_proj_ba: int(8), mtp: Mtp::Quantized, ..Model::uniform(int(4)) };
        let written = model.build().tensors;
        let outlines = outlines(&model);
        assert_eq!(outlines.len(), written.len());
        for (outline, tensor) in outlines.iter().zip(&written) {
            assert_eq!(
                (&outline.name, outline.dtype, &outline.shape),
                (&tensor.name, tensor.dtype, &tensor.shape)
            );
        }
    }

    #[test]
    fn the_whole_model_has_the_real_dimensions() {
        let dir = std::env::temp_dir().join(format!("testkit-header-only-{}", std::process::id()));
        write(&dir, &HeaderOnly::default());
        let shard = fs::metadata(dir.join("model-00005-of-00009.safetensors")).unwrap();
        let index = fs::read_to_string(dir.join("model.safetensors.index.json")).unwrap();
        let tokens = fs::read_to_string(dir.join("tokenizer.json")).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert!(shard.len() > 4_000_000_000, "{}", shard.len());
        let index: serde_json::Value = serde_json::from_str(&index).unwrap();
        assert_eq!(
            index["weight_map"]["model.layers.47.mlp.experts.511.down_proj.qzeros"].as_str().unwrap().len(),
            32
        );
        let tokens: serde_json::Value = serde_json::from_str(&tokens).unwrap();
        assert_eq!(tokens["model"]["vocab"].as_object().unwrap().len(), FIRST_ADDED);
    }
}
