//! The tiny models of `tests/data/families`, and checkpoints of any family: those of a committed one, with its Linears in
//! another encoding.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::checkpoint::Checkpoint;
use crate::config::{self, Module, Recipe};
use crate::encode::{Encoding, Site, Weight};
use crate::layout::Part;
use crate::model::Method;
use crate::rng::Rng;
use crate::safetensors::{self, Dtype, Tensor};

/// The tiny models.
pub const NAMES: [&str; 15] = [
    "qwen3_5",
    "qwen3_5-text",
    "qwen3_5-moe",
    "qwen3",
    "qwen3-moe",
    "llama3",
    "mistral3",
    "glm4-moe",
    "glm4-moe-lite",
    "deepseek-v3",
    "gpt-oss",
    "minimax-m2",
    "gemma4",
    "gemma4-moe",
    "gemma4-e2b",
];

/// The folder of a tiny model.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/families").join(name)
}

/// Copies the files of a tiny model.
pub fn copy(name: &str, to: &Path) {
    for file in fs::read_dir(folder(name)).expect("it can be listed") {
        let file = file.expect("it can be listed");
        fs::copy(file.path(), to.join(file.file_name())).expect("it can be copied");
    }
}

/// A tiny checkpoint without the values of its Linears.
#[derive(Clone, Debug)]
pub struct Family {
    config: Map<String, Value>,
    json: BTreeMap<String, Value>,
    /// The tensors of all other weights.
    tensors: Vec<Tensor>,
    linears: Vec<Linear>,
}

/// A Linear.
#[derive(Clone, Debug)]
struct Linear {
    module: String,
    rows: usize,
    cols: usize,
}

impl Family {
    /// Reads a checkpoint. Its Linears are those in AutoRound's int4, and matrices of modules for which `is_linear` returns
    /// true.
    pub fn read(folder: &Path, is_linear: impl Fn(&str) -> bool) -> Self {
        let mut family =
            Self { config: Map::new(), json: BTreeMap::new(), tensors: Vec::new(), linears: Vec::new() };
        for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
            let path = folder.join(name);
            let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            family.json.insert(name.into(), value);
        }
        let Some(Value::Object(mut config)) = family.json.remove("config.json") else {
            panic!("the configuration is an object")
        };
        config.remove("quantization_config");
        family.config = config;
        for tensor in tensors(folder) {
            let (module, suffix) = tensor.name.rsplit_once('.').unwrap_or(("", &tensor.name));
            match suffix {
                "qweight" => family.linears.push(Linear {
                    module: module.into(),
                    rows: tensor.shape[1],
                    cols: tensor.shape[0] * 8,
                }),
                "qzeros" | "scales" => {}
                "weight" if tensor.shape.len() == 2 && is_linear(module) => family.linears.push(Linear {
                    module: module.into(),
                    rows: tensor.shape[0],
                    cols: tensor.shape[1],
                }),
                _ => family.tensors.push(tensor),
            }
        }
        family
    }

    /// The checkpoint with its Linears in an encoding, under the configuration of a tool; `None` for the usual one. Those
    /// that do not fit the encoding are BF16.
    pub fn build(&self, encoding: Encoding, method: Option<Method>) -> Checkpoint {
        let mut out = self.without_linears();
        let mut modules = Vec::new();
        for Linear { module, rows, cols } in &self.linears {
            let own = if fits(encoding, *rows) { encoding } else { Encoding::Bf16 };
            let rng = Rng::named(0, module);
            let site = Site { module, rows: *rows, cols: *cols, rng, extreme_scales: false };
            let encoded = own.encode(site);
            out.tensors.extend(encoded.tensors);
            let weight = Weight { shape: vec![*rows, *cols], values: encoded.values };
            out.weights.insert(format!("{module}.weight"), weight);
            let part = Part::Linear;
            modules.push(Module { name: module.clone(), part, encoding: own, is_named: false });
        }
        let Some(method) = method.or(config::usual(encoding)) else { return out };
        for tensor in &self.tensors {
            let Some(module) = tensor.name.strip_suffix(".weight") else { continue };
            if tensor.shape.len() == 2 && !module.contains("embed") {
                let part = if module.ends_with("lm_head") { Part::Head } else { Part::Router };
                let encoding = Encoding::Bf16;
                modules.push(Module { name: module.into(), part, encoding, is_named: false });
            }
        }
        let names = self.linears.iter().find_map(|linear| linear.module.split_once(".layers."));
        let layers = format!("{}.layers", names.expect("a Linear is in a layer").0);
        let recipe = Recipe::new(encoding, modules, layers);
        out.config["quantization_config"] = config::quantization(&recipe, method);
        let (name, file) = config::beside(&recipe, method, out.config["quantization_config"].clone());
        out.json.insert(name.into(), file);
        out
    }

    /// The checkpoint with its Linears in F32, of the given values.
    pub fn plain(&self, weights: &BTreeMap<String, Weight>) -> Checkpoint {
        let mut out = self.without_linears();
        for (name, weight) in weights {
            let data = weight.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            out.tensors.push(Tensor::new(name, Dtype::F32, &weight.shape, data));
        }
        out
    }

    fn without_linears(&self) -> Checkpoint {
        Checkpoint {
            config: json!(self.config),
            json: self.json.clone(),
            tensors: self.tensors.clone(),
            shards: 1,
            mtp_in_extra_file: false,
            weights: BTreeMap::new(),
        }
    }
}

/// The tensors of all files of a folder.
fn tensors(folder: &Path) -> Vec<Tensor> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    files.sort();
    let shards = files.iter().filter(|path| path.extension().is_some_and(|end| end == "safetensors"));
    shards.flat_map(|path| safetensors::read(path)).collect()
}

/// Returns true if a Linear of so many rows can have an encoding.
fn fits(encoding: Encoding, rows: usize) -> bool {
    !matches!(encoding, Encoding::Awq(_)) || rows.is_multiple_of(32)
}
