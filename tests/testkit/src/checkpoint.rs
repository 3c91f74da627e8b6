//! A checkpoint folder: shards, index and JSON files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::encode::Weight;
use crate::safetensors::{self, Tensor};

/// The file for tensors that AutoRound's exporter copies from the source instead of quantizing them.
pub const EXTRA_FILE: &str = "model_extra_tensors.safetensors";

/// Writes an indented JSON file.
pub fn write_json(path: &Path, value: &Value) {
    let text = serde_json::to_string_pretty(value).expect("JSON values can be written");
    fs::write(path, text + "\n").unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}

/// The file name of shard `i`, from 0, of `count`.
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
    /// All tensors in file order.
    pub tensors: Vec<Tensor>,
    /// Number of shards.
    pub shards: usize,
    /// Write `mtp.*` to [`EXTRA_FILE`].
    pub mtp_in_extra_file: bool,
    /// The values of the weights by their names in an unquantized model, such as
    /// `model.layers.0.mlp.experts.0.gate_proj.weight`. Editing `tensors` does not change them.
    pub weights: BTreeMap<String, Weight>,
}

impl Checkpoint {
    /// The stored tensor of this name.
    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        let found = self.tensors.iter_mut().find(|tensor| tensor.name == name);
        found.unwrap_or_else(|| panic!("no tensor `{name}`"))
    }

    /// Removes and returns the stored tensor of this name.
    pub fn remove(&mut self, name: &str) -> Tensor {
        let found = self.tensors.iter().position(|tensor| tensor.name == name);
        self.tensors.remove(found.unwrap_or_else(|| panic!("no tensor `{name}`")))
    }

    /// Writes all files. Distributes the tensors, in order, over shards of about equal size; writes an index if there is
    /// more than one file.
    pub fn write(&self, dir: &Path) {
        fs::create_dir_all(dir).unwrap_or_else(|e| panic!("cannot create {}: {e}", dir.display()));
        write_json(&dir.join("config.json"), &self.config);
        for (name, value) in &self.json {
            write_json(&dir.join(name), value);
        }
        let is_extra = |tensor: &&Tensor| self.mtp_in_extra_file && tensor.name.starts_with("mtp.");
        let (extras, mains): (Vec<&Tensor>, Vec<&Tensor>) = self.tensors.iter().partition(is_extra);
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
            // Widest dtypes first, like the usual writer, so that all tensors are aligned.
            tensors.sort_by_key(|t| std::cmp::Reverse(t.dtype.size()));
            weight_map.extend(tensors.iter().map(|t| (t.name.clone(), json!(file))));
            safetensors::write(&dir.join(&*file), tensors);
        }
        if named.len() > 1 {
            // The writer that adds the extra file to a single shard records a size of 0.
            let total = if self.shards == 1 { 0 } else { total };
            write_json(
                &dir.join("model.safetensors.index.json"),
                &json!({"metadata": {"total_size": total}, "weight_map": weight_map}),
            );
        }
    }
}
