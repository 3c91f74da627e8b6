//! Finds tensors of the checkpoint that the GGUF lacks, by a walk of its own over the files of the folder.
//!
//! Reads the safetensors headers and the index without the code of `checkpoint`, so that a file or a tensor which that
//! overlooks is found here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::report::{Difference, Report};
use crate::checkpoint::Checkpoint;
use crate::io::{self, ByteSource, FileSource};
use crate::plan::Plan;
use crate::quant::Weight;
use crate::{Error, Result};

/// Size limit of a header or an index in bytes.
const MAX_JSON: u64 = 256 << 20;
/// Endings of tensors without values of a weight: layouts, scales of activations and KV caches, and frequencies that
/// follow from the configuration.
const WITHOUT_VALUES: [&str; 11] = [
    "weight_shape",
    "input_scale",
    "input_global_scale",
    "act_scales",
    "activation_scale",
    "w_bf16_to_fp8_scale",
    "output_scale",
    "k_scale",
    "v_scale",
    "q_scale",
    "inv_freq",
];
/// Endings of column orders.
const ORDERS: [&str; 2] = [".weight_g_idx", ".g_idx"];
/// Endings of the tensors that a column order applies to.
const ORDERED: [&str; 4] = [".qweight", ".weight_packed", ".weight", ""];
/// Embedding and head, in a language model alone and inside a model of several parts.
const TIED: [[&str; 2]; 3] = [
    ["model.embed_tokens.weight", "lm_head.weight"],
    ["model.language_model.embed_tokens.weight", "lm_head.weight"],
    ["language_model.model.embed_tokens.weight", "language_model.lm_head.weight"],
];
/// Sections of `config.json` of parts other than the language model, and the beginnings of their tensors.
const OTHER_PARTS: [(&str, &[&str]); 2] = [
    (
        "vision_config",
        &[
            "model.visual.",
            "visual.",
            "model.vision_tower.",
            "vision_tower.",
            "model.multi_modal_projector.",
            "multi_modal_projector.",
            "mm_projector.",
            "model.embed_vision.",
            "embed_vision.",
        ],
    ),
    ("audio_config", &["model.audio_tower.", "audio_tower.", "model.embed_audio.", "embed_audio."]),
];
/// Bytes per read when two tensors are compared.
const CHUNK: u64 = 1 << 20;

/// Reports every tensor of the checkpoint's files that is not a source of the plan, unless it has no values, is the natural
/// order of the columns of a weight or the order of one that is not in the plan either, equals the embedding to which it
/// is tied, or is assigned to another file by the index. Tensors among `listed`, the names that the GGUF lists as left
/// out, and those of parts other than the language model are only counted, and files with a second copy of the weights
/// only named.
pub(super) fn check(
    checkpoint: &Checkpoint,
    plan: &Plan,
    listed: &[String],
    report: &mut Report,
) -> Result<()> {
    let shards: Vec<&Path> = checkpoint.shards().collect();
    let place = |id| (shards[checkpoint.shard_of(id)], checkpoint.info(id).name.as_str());
    let sources: BTreeSet<(&Path, &str)> = plan.weights.iter().flat_map(Weight::tensors).map(place).collect();
    let weights: BTreeMap<&str, &Weight> =
        plan.weights.iter().map(|weight| (checkpoint.info(weight.main()).name.as_str(), weight)).collect();
    let listed: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    let assigned = assigned(checkpoint.dir())?;
    for path in files(checkpoint, &mut report.second_copies)? {
        let file = FileSource::open(&path)?;
        let (tensors, data) = header(&path, &file)?;
        for (name, info) in &tensors {
            let has_no_values = WITHOUT_VALUES
                .iter()
                .any(|end| name.strip_suffix(end).is_some_and(|rest| rest.ends_with('.')));
            let is_elsewhere = || {
                let home = assigned.get(name.as_str());
                home.is_some_and(|home| path.file_name().is_none_or(|own| own != home.as_str()))
            };
            let is_accounted_for = name == "__metadata__"
                || sources.contains(&(path.as_path(), name.as_str()))
                || has_no_values
                || is_elsewhere()
                || is_unused_order(name, info, data, &weights, &file)?
                || equals_tied_embedding(checkpoint, name, &file, info, data)?;
            if is_accounted_for {
                continue;
            }
            if listed.contains(name.as_str()) {
                report.left_out += 1;
            } else if is_of_other_part(checkpoint, name) {
                report.other_parts += 1;
            } else {
                let what = format!("it is in `{}`, but not in the GGUF", path.display());
                report.push(Difference::Tensor { name: name.clone(), what });
            }
        }
    }
    Ok(())
}

/// The safetensors files of the folder, and shards that are elsewhere. Names of files with a second copy of the weights are
/// added to `copies` instead.
fn files(checkpoint: &Checkpoint, copies: &mut Vec<String>) -> Result<BTreeSet<PathBuf>> {
    let names = io::list(checkpoint.dir())?;
    // Mistral's repositories hold the weights twice, the second time under names of their own.
    let has_model = names.iter().any(|name| name.starts_with("model") && name.contains(".safetensors"));
    let is_shard = |name: &String| name.to_lowercase().ends_with(".safetensors") && !name.starts_with('.');
    let mut files: BTreeSet<PathBuf> = checkpoint.shards().map(Path::to_owned).collect();
    for name in names.into_iter().filter(is_shard) {
        let path = checkpoint.dir().join(&name);
        if has_model && name.starts_with("consolidated") && !files.contains(&path) {
            copies.push(name);
        } else {
            files.insert(path);
        }
    }
    // Those that were not downloaded.
    copies.extend_from_slice(checkpoint.copies());
    copies.sort_unstable();
    copies.dedup();
    Ok(files)
}

/// The entries of a header, and the offset of the data.
fn header(path: &Path, file: &FileSource) -> Result<(serde_json::Map<String, Value>, u64)> {
    let mut length = [0; 8];
    file.read_at(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    let mut text = vec![0; usize::try_from(length.min(MAX_JSON).min(file.len())).unwrap_or(usize::MAX)];
    file.read_at(8, &mut text)?;
    let json = |source| Error::Json { path: path.to_owned(), source };
    Ok((serde_json::from_slice(&text).map_err(json)?, length.saturating_add(8)))
}

/// The file of each tensor that the index names.
fn assigned(dir: &Path) -> Result<BTreeMap<String, String>> {
    let path = dir.join("model.safetensors.index.json");
    if !io::is_there(&path) {
        return Ok(BTreeMap::new());
    }
    let json = |source| Error::Json { path: path.clone(), source };
    let mut index: Value = serde_json::from_str(&io::read_to_string(&path, MAX_JSON)?).map_err(json)?;
    serde_json::from_value(index["weight_map"].take()).map_err(json)
}

/// Start and end of a tensor's data, from the start of all data.
fn offsets(info: &Value) -> (u64, u64) {
    let offset = |at: usize| info["data_offsets"][at].as_u64().unwrap_or_default();
    (offset(0), offset(1))
}

/// Returns true if a tensor is a column order without effect: each column is in the group `column / group`, all are zero,
/// or there is no weight for it.
fn is_unused_order(
    name: &str,
    info: &Value,
    data: u64,
    weights: &BTreeMap<&str, &Weight>,
    file: &FileSource,
) -> Result<bool> {
    let Some(module) = ORDERS.iter().find_map(|end| name.strip_suffix(end)) else { return Ok(false) };
    let found = ORDERED.iter().find_map(|end| weights.get(format!("{module}{end}").as_str()));
    let Some(weight) = found else { return Ok(true) };
    let (start, end) = offsets(info);
    let length = end.saturating_sub(start);
    if info["dtype"].as_str() != Some("I32") || length != weight.columns.saturating_mul(4) {
        return Ok(false);
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_at(data.saturating_add(start), &mut bytes)?;
    let groups = || bytes.as_chunks::<4>().0.iter().map(|group| u64::from(u32::from_le_bytes(*group)));
    let is_natural = |size: u64| groups().zip(0..).all(|(group, column)| group == column / size.max(1));
    // Floats have no groups, and so any size will do.
    let first = || groups().take_while(|group| *group == 0).count() as u64;
    Ok(groups().all(|group| group == 0) || is_natural(weight.group().unwrap_or_else(first)))
}

/// Returns true if a tensor belongs to a part other than the language model.
fn is_of_other_part(checkpoint: &Checkpoint, name: &str) -> bool {
    let config = checkpoint.config();
    let parts = OTHER_PARTS.iter().filter(|(section, _)| config.get(section).is_some());
    parts.flat_map(|(_, prefixes)| *prefixes).any(|prefix| name.starts_with(prefix))
}

fn is_tied(checkpoint: &Checkpoint) -> bool {
    let config = checkpoint.config();
    let text = config.get("text_config").and_then(|text| text.get("tie_word_embeddings"));
    [config.get("tie_word_embeddings"), text].into_iter().flatten().any(|tied| *tied == Value::Bool(true))
}

/// Returns true if the tensor `name` is a head that equals the token embedding, to which it is tied. `data` is the offset
/// of the data in `file`.
fn equals_tied_embedding(
    checkpoint: &Checkpoint,
    name: &str,
    file: &FileSource,
    info: &Value,
    data: u64,
) -> Result<bool> {
    let heads = TIED.iter().filter(|[_, head]| *head == name);
    let embedding = heads.into_iter().find_map(|[embedding, _]| checkpoint.find(embedding));
    let Some(embedding) = embedding.filter(|_| is_tied(checkpoint)) else { return Ok(false) };
    let own = checkpoint.info(embedding);
    let (start, end) = offsets(info);
    let is_alike = info["dtype"].as_str() == Some(own.dtype.name())
        && info["shape"].as_array().is_some_and(|shape| {
            shape.iter().map(Value::as_u64).eq(own.shape.iter().map(|&size| Some(size)))
        });
    if !is_alike || end.checked_sub(start) != Some(own.bytes) {
        return Ok(false);
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut offset = 0;
    while offset < own.bytes {
        let length = usize::try_from(CHUNK.min(own.bytes - offset)).unwrap_or(usize::MAX);
        left.resize(length, 0);
        right.resize(length, 0);
        file.read_at(data.saturating_add(start).saturating_add(offset), &mut left)?;
        checkpoint.read(embedding, offset, &mut right)?;
        if left != right {
            return Ok(false);
        }
        offset += length as u64;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use testkit::{Encoding, GIdx, Gptq, Model};

    use super::*;
    use crate::PlanOptions;
    use crate::quant::Coding;

    /// The tensors that a plan lacks if it takes every column to be in the group `column / group`.
    fn found(g_idx: GIdx) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        Model::uniform(Encoding::Gptq(Gptq { g_idx, ..Gptq::sym(4, 32) })).write(dir.path());
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        let mut plan = Plan::draft(&checkpoint, &PlanOptions::default()).unwrap();
        let mut report = Report::default();
        check(&checkpoint, &plan, &[], &mut report).unwrap();
        assert_eq!(report.count, 0, "{g_idx:?}");
        for weight in &mut plan.weights {
            if let Coding::Int(int) = &mut weight.coding {
                int.g_idx = None;
            }
        }
        check(&checkpoint, &plan, &[], &mut report).unwrap();
        report.differences.iter().map(|difference| difference.place().to_owned()).collect()
    }

    #[test]
    fn a_column_order_that_the_plan_ignores_is_a_difference_unless_it_is_the_natural_one() {
        let orders = found(GIdx::Shuffled(5));
        assert!(!orders.is_empty() && orders.iter().all(|name| name.ends_with(".g_idx")), "{orders:?}");
        for natural in [GIdx::Absent, GIdx::Trivial, GIdx::Zeros] {
            assert_eq!(found(natural), [""; 0], "{natural:?}");
        }
    }
}
