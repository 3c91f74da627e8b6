//! Chat templates: one by default, and named ones for other uses such as tools.
//!
//! Keys, names and the choice among several files are those of the converter in llama.cpp b11434. Templates in
//! `additional_chat_templates` are kept even where that converter keeps only those of `tokenizer_config.json`.

use std::path::Path;

use serde_json::Value;

use super::special::optional;
use crate::checkpoint::{ModelConfig, folder};
use crate::gguf::{Metadata, keys};
use crate::{Result, io};

/// Size limit of a chat template in bytes.
const MAX_TEMPLATE: u64 = 4 << 20;
const JINJA: &str = "chat_template.jinja";
const JSON: &str = "chat_template.json";
/// The name of the template that has the plain key.
const DEFAULT: &str = "default";

/// The chat templates of a checkpoint.
#[derive(Debug, Default)]
pub(super) struct Templates {
    default: Option<String>,
    /// Names as in the keys, and texts.
    named: Vec<(String, String)>,
    /// What was not kept, one sentence each.
    pub(super) notes: Vec<String>,
}

impl Templates {
    /// Reads all templates of a folder.
    pub(super) fn read(dir: &Path, settings: Option<&ModelConfig>) -> Result<Self> {
        let mut out = Self::default();
        let jinja = folder::optional(dir, JINJA)?.map(|path| io::read_to_string(&path, MAX_TEMPLATE));
        let jinja = jinja.transpose()?;
        let json = optional(dir, JSON)?;
        let field = |file: Option<&ModelConfig>| {
            file.and_then(|file| file.get("chat_template").map(|value| (file.clone(), value.clone())))
        };
        let json = field(json.as_ref());
        if let Some((owner, value)) = field(settings) {
            out.add(&owner, &value)?;
            out.replaced("tokenizer_config.json", JINJA, jinja.as_deref());
            out.replaced("tokenizer_config.json", JSON, json.iter().flat_map(|(_, value)| texts(value)));
        } else if let Some(jinja) = jinja {
            out.default = Some(jinja);
            out.replaced(JINJA, JSON, json.iter().flat_map(|(_, value)| texts(value)));
        } else if let Some((owner, value)) = json {
            out.add(&owner, &value)?;
        }
        for (name, path) in folder::inside_folder(dir, "additional_chat_templates", ".jinja")? {
            out.add_named(&name, io::read_to_string(&path, MAX_TEMPLATE)?);
        }
        if out.default.is_none() && out.named.is_empty() {
            out.notes.push("the checkpoint has no chat template".to_owned());
        }
        Ok(out)
    }

    /// Appends the keys.
    pub(super) fn write(self, out: &mut Metadata) {
        let names: Vec<String> = self.named.iter().map(|(name, _)| name.clone()).collect();
        for (name, text) in self.named {
            out.push(format!("{}.{name}", keys::CHAT_TEMPLATE), text);
        }
        if !names.is_empty() {
            out.push("tokenizer.chat_templates", names);
        }
        if let Some(text) = self.default {
            out.push(keys::CHAT_TEMPLATE, text);
        }
    }

    /// Adds the value of a `chat_template` field: a text, or a list of named ones.
    fn add(&mut self, owner: &ModelConfig, value: &Value) -> Result<()> {
        let list = match value {
            Value::String(text) => {
                self.default = Some(text.clone());
                return Ok(());
            }
            Value::Array(list) => list,
            _ => return Err(owner.wrong("chat_template", "a string or a list of named templates")),
        };
        for choice in list {
            let (Some(name), Some(text)) = (choice["name"].as_str(), choice["template"].as_str()) else {
                return Err(owner.wrong("chat_template", "`name` and `template` in each entry"));
            };
            self.add_named(name, text.to_owned());
        }
        Ok(())
    }

    fn add_named(&mut self, name: &str, text: String) {
        let key: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let earlier = match key.as_str() {
            DEFAULT => self.default.as_ref(),
            _ => self.named.iter().find(|(known, _)| *known == key).map(|(_, text)| text),
        };
        match earlier {
            Some(earlier) if *earlier == text => {}
            Some(_) => self.notes.push(format!("left out a second chat template named `{name}`")),
            None if key == DEFAULT => self.default = Some(text),
            None if key.is_empty() => self.notes.push("left out a chat template without a name".to_owned()),
            None => self.named.push((key, text)),
        }
    }

    /// Notes that a file's templates are left out, unless they are among those that are kept.
    fn replaced<'t>(&mut self, by: &str, file: &str, texts: impl IntoIterator<Item = &'t str>) {
        let kept = |text: &str| {
            self.default.iter().chain(self.named.iter().map(|(_, text)| text)).any(|known| known == text)
        };
        if !texts.into_iter().all(kept) {
            self.notes
                .push(format!("left out the chat template of `{file}`: it differs from that of `{by}`"));
        }
    }
}

/// The templates of a `chat_template` field.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().filter_map(|choice| choice["template"].as_str()).collect(),
        value => value.as_str().into_iter().collect(),
    }
}
