//! A checkpoint folder: shards, their index, and the JSON files beside them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::encode::Weight;
use crate::safetensors::{self, Tensor};

/// The file that holds tensors which the exporter copied from the source instead of going through the model.
pub const EXTRA_FILE: &str = "model_extra_tensors.safetensors";

/// Writes `value` as an indented JSON file.
pub fn write_json(path: &Path, value: &Value) {
    let text = serde_json::to_string_pretty(value).expect("JSON values can be written");
    fs::write(path, text + "\n").unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}

/// The name of shard `i`, counted from zero, of `count`.
pub fn shard_name(i: usize, count: usize) -> String {
    if count == 1 {
        "model.safetensors".into()
    } else {
        format!("model-{:05}-of-{count:05}.safetensors", i + 1)
    }
}

/// A checkpoint in memory, to be edited before it is written.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// `config.json`.
    pub config: Value,
    /// The other JSON files by name.
    pub json: BTreeMap<String, Value>,
    /// All tensors in the order they are written.
    pub tensors: Vec<Tensor>,
    /// How many files the tensors are cut into.
    pub shards: usize,
    /// Put `mtp.*` into [`EXTRA_FILE`].
    pub mtp_apart: bool,
    /// What the tensors stand for, by the names a model without quantisation has, for instance
    /// `model.layers.0.mlp.experts.0.gate_proj.weight`. Editing tensors does not change it.
    pub weights: BTreeMap<String, Weight>,
}

impl Checkpoint {
    /// The stored tensor called `name`.
    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        let found = self.tensors.iter_mut().find(|tensor| tensor.name == name);
        found.unwrap_or_else(|| panic!("no tensor `{name}`"))
    }

    /// Takes the stored tensor called `name` out.
    pub fn remove(&mut self, name: &str) -> Tensor {
        let found = self.tensors.iter().position(|tensor| tensor.name == name);
        self.tensors.remove(found.unwrap_or_else(|| panic!("no tensor `{name}`")))
    }

    /// Writes every file. Tensors keep their order and are cut into runs of about equal size; an index is
    /// written when there is more than one file.
    pub fn write(&self, dir: &Path) {
        fs::create_dir_all(dir).unwrap_or_else(|e| panic!("cannot create {}: {e}", dir.display()));
        write_json(&dir.join("config.json"), &self.config);
        for (name, value) in &self.json {
            write_json(&dir.join(name), value);
        }
        let apart = |tensor: &&Tensor| self.mtp_apart && tensor.name.starts_with("mtp.");
        let (extras, mains): (Vec<&Tensor>, Vec<&Tensor>) = self.tensors.iter().partition(apart);
        let total: usize = mains.iter().map(|t| t.data.len()).sum();
        let mut files = vec![Vec::new(); self.shards];
        let mut before = 0;
        for tensor in mains {
            files[(before * self.shards / total.max(1)).min(self.shards - 1)].push(tensor);
            before += tensor.data.len();
        }
        let names = (0..self.shards).map(|i| shard_name(i, self.shards));
        let mut named: Vec<(String, Vec<&Tensor>)> = names.zip(files).collect();
        if !extras.is_empty() {
            named.push((EXTRA_FILE.into(), extras));
        }
        let mut weight_map = Map::new();
        for (file, tensors) in &mut named {
            // Wide elements first, as the usual writer does, so that every tensor lies aligned.
            tensors.sort_by_key(|t| std::cmp::Reverse(t.dtype.size()));
            weight_map.extend(tensors.iter().map(|t| (t.name.clone(), json!(file))));
            safetensors::write(&dir.join(&*file), tensors);
        }
        if named.len() > 1 {
            // The writer that adds the extra file to a single one does not count.
            let total = if self.shards == 1 { 0 } else { total };
            write_json(
                &dir.join("model.safetensors.index.json"),
                &json!({"metadata": {"total_size": total}, "weight_map": weight_map}),
            );
        }
    }
}
