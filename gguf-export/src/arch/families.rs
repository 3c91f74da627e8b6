//! The list of model families.

use std::fmt::Write as _;

use super::family::Family;
use super::hparams::HParams;
use super::layout::{self, Layout};
use super::metadata::Keys;
use super::{deepseek2, gemma4, glm4_moe, gpt_oss, llama, minimax_m2, qwen3, qwen3_5, qwen3_next};
use crate::Result;
use crate::checkpoint::ModelConfig;
use crate::gguf::Metadata;

/// All families.
pub static FAMILIES: [&Family; 13] = [
    &qwen3_next::FAMILY,
    &qwen3_5::DENSE,
    &qwen3_5::EXPERTS,
    &qwen3::DENSE,
    &qwen3::EXPERTS,
    &llama::LLAMA,
    &llama::MISTRAL3,
    &glm4_moe::FAMILY,
    &gpt_oss::FAMILY,
    &deepseek2::GLM_LITE,
    &deepseek2::DEEPSEEK_V3,
    &minimax_m2::FAMILY,
    &gemma4::FAMILY,
];

impl Family {
    /// The family of `config.json`.
    ///
    /// # Errors
    /// [`crate::Error::Field`] for a model type or an architecture that is of none of them.
    pub fn of(config: &ModelConfig) -> Result<&'static Self> {
        let types = || FAMILIES.iter().flat_map(|family| family.model_types).copied();
        let Some(name) = config.str("model_type")? else {
            return Err(config.wrong("model_type", &format!("one of {}", listed(types()))));
        };
        let mut found = FAMILIES.iter().filter(|family| family.model_types.contains(&name)).peekable();
        if found.peek().is_none() {
            return Err(config.wrong("model_type", &format!("one of {}", listed(types()))));
        }
        let Some(list) = config.get("architectures") else {
            return found.next().copied().ok_or_else(|| config.wrong("model_type", "a known type"));
        };
        let known: Vec<&Family> = found.copied().collect();
        let names = || known.iter().flat_map(|family| family.architectures).copied();
        let class = list.as_array().and_then(|a| a.first()).and_then(|v| v.as_str());
        let is_own = |family: &&&Self| class.is_some_and(|class| family.architectures.contains(&class));
        let wrong = || config.wrong("architectures", &format!("one of {} first", listed(names())));
        known.iter().find(is_own).copied().ok_or_else(wrong)
    }
}

/// The families as a table in Markdown: models, `model_type`, architecture, weights without `.scale`, and exceptions.
#[must_use]
pub fn table() -> String {
    let mut out =
        "| models | `model_type` | architecture in GGUF | without `.scale` | exceptions |\n|---|---|---|---|---|\n"
            .to_owned();
    for family in FAMILIES {
        let Family { models, gguf, unscaled, exceptions, .. } = family;
        let types = listed(family.model_types.iter().copied());
        // Writing to a string cannot fail.
        _ = writeln!(out, "| {models} | {types} | {gguf} | {unscaled} | {exceptions} |");
    }
    out
}

/// Names in backticks, separated by commas.
fn listed(names: impl Iterator<Item = &'static str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl HParams {
    /// Reads and checks `config.json`, with the rotary parameters in the form of transformers 4 (`rope_theta`) or 5
    /// (`rope_parameters`), of a language model alone or inside a model of several parts (`text_config`).
    ///
    /// # Errors
    /// [`crate::Error::Field`] for a missing or invalid value, [`crate::Error::Unsupported`] for another architecture or
    /// an option that llama.cpp's graph does not implement.
    pub fn read(config: &ModelConfig) -> Result<Self> {
        let family = Family::of(config)?;
        let mut h = (family.read)(&config.with_section("text_config")?)?;
        h.family = family.model_types[0];
        h.tied |= config.bool("tie_word_embeddings")?.unwrap_or(false);
        Ok(h)
    }

    /// The family.
    ///
    /// # Panics
    /// If [`HParams::family`] is of no family, unlike those that [`HParams::read`] returns.
    #[must_use]
    pub fn family(&self) -> &'static Family {
        let found = FAMILIES.iter().find(|family| family.model_types[0] == self.family);
        found.expect("families name themselves")
    }

    /// The keys of a model with `mtp_layers` MTP layers after the trunk.
    #[must_use]
    pub fn metadata(&self, mtp_layers: u64) -> Metadata {
        let mut out = Keys::new(self.family().gguf);
        (self.family().keys)(self, mtp_layers, &mut out);
        out.list
    }
}

/// Lays out the GGUF, with a head of its own unless the token embedding takes its place. `has` returns true if the
/// checkpoint has a module or parameter of a name, or a tensor whose name starts with it if it ends in a dot.
#[must_use]
pub fn layout(h: &HParams, own_head: bool, has: &dyn Fn(&str) -> bool) -> Layout {
    let family = h.family();
    layout::build(h, own_head, has, family.layout, family.mtp)
}
