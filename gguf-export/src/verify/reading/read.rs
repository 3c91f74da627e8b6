//! A quantization configuration as the verification reads it.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::rules::Rules;
use super::tool::{Tool, tool};
use super::zeros;
use crate::checkpoint::{Checkpoint, ModelConfig};
use crate::quant::{Choices, Declared, ZeroRule};
use crate::{Error, Result};

/// A quantization configuration.
#[derive(Debug)]
pub struct Reading {
    /// The file that it is in.
    pub(super) path: PathBuf,
    rules: Rules,
    zeros: Option<ZeroRule>,
}

impl Reading {
    /// Reads `config.json`, or a file beside it if it has no quantization configuration.
    ///
    /// # Errors
    /// [`Error::Field`] for a value of an impossible type, [`Error::Io`] or [`Error::Json`] for a file beside it that
    /// cannot be read.
    pub fn of(checkpoint: &Checkpoint, choices: &Choices) -> Result<Self> {
        if section(checkpoint.config()).is_none() {
            for name in ["quantization_config.json", "quantize_config.json", "quant_config.json"] {
                if let Some(file) = checkpoint.companion(name)? {
                    let fields = file.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
                    return Self::new(&file, &fields, choices);
                }
            }
            if let Some(file) = checkpoint.companion("hf_quant_config.json")? {
                let inner = file.get("quantization").and_then(Value::as_object).cloned();
                return Self::new(&file, &inner.unwrap_or_default(), choices);
            }
        }
        Self::read(checkpoint.config(), choices)
    }

    /// Reads `config.json` alone.
    ///
    /// # Errors
    /// As [`Reading::of`].
    pub fn read(config: &ModelConfig, choices: &Choices) -> Result<Self> {
        match section(config) {
            Some(fields) => Self::new(config, fields, choices),
            None => Self::new(config, &Map::new(), choices),
        }
    }

    fn new(file: &ModelConfig, fields: &Map<String, Value>, choices: &Choices) -> Result<Self> {
        let path = file.path().to_owned();
        let tool = if fields.is_empty() { Tool::Other } else { tool(fields, &path) };
        let mut rules = Rules::read(fields, tool).map_err(|(field, value)| Error::Field {
            path: path.clone(),
            field,
            found: format!("`{value}`"),
            expected: "a value of another type".to_owned(),
        })?;
        let chosen = choices.zero_points.map(zeros::chosen);
        if fields.is_empty() && chosen.is_some() {
            rules.declare_asymmetric();
        }
        let stated = match tool {
            Tool::Gptq => zeros::gptq(fields),
            Tool::AutoRound => zeros::auto_round(fields),
            _ => None,
        };
        Ok(Self { path, rules, zeros: chosen.or(stated) })
    }

    /// What the configuration declares about a module.
    #[must_use]
    pub fn declared(&self, module: &str) -> Declared {
        let (terms, binding) = self.rules.of(module);
        Declared {
            bits: terms.bits,
            group: terms.group,
            block: terms.block,
            sym: terms.sym,
            zeros: self.zeros,
            mx_int: terms.kind.is_some_and(|kind| ["mx_int", "mxint"].iter().any(|name| kind.contains(name))),
            binding,
        }
    }
}

/// The object with the configuration in `config.json`, or in its section of the language model.
fn section(config: &ModelConfig) -> Option<&Map<String, Value>> {
    let names = ["quantization_config", "compression_config"];
    let own = names.iter().find_map(|name| config.get(name));
    own.or_else(|| names.iter().find_map(|name| config.get("text_config")?.get(name)))?.as_object()
}
