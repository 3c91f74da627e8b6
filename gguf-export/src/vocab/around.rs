//! Tokens that the post-processor adds around a text.

use std::path::Path;

use serde_json::Value;

use super::file::{steps, unsupported};
use crate::Result;
use crate::checkpoint::ModelConfig;

/// Which special tokens are added, in the order of llama.cpp's converter, and what they are.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// `bos`, `eos` or `sep`, and true if it is added.
    pub(super) added: Vec<(&'static str, bool)>,
    /// The token before a text, if the template has one.
    first: Option<String>,
    /// The token after a text, if the template has one.
    last: Option<String>,
}

impl Around {
    /// Reads `post_processor`, then the fields of `tokenizer_config.json` for what it leaves open.
    ///
    /// `named` gives the token of a role by `tokenizer_config.json`.
    pub(super) fn read<'s>(
        path: &Path,
        post_processor: Option<&Value>,
        settings: Option<&ModelConfig>,
        named: impl Fn(&str) -> Result<Option<&'s str>>,
    ) -> Result<Self> {
        let mut out = Self::default();
        for step in steps(post_processor, "processors") {
            match step["type"].as_str() {
                Some("ByteLevel") => ["bos", "eos"].into_iter().for_each(|role| out.suggest(role, false)),
                Some("TemplateProcessing") => out.template(path, step, &named)?,
                _ => return Err(unsupported(path, format!("post-processor `{}`", step["type"]))),
            }
        }
        if let Some(settings) = settings {
            for role in ["bos", "eos", "sep"] {
                if let Some(added) = settings.bool(&format!("add_{role}_token"))? {
                    out.suggest(role, added);
                }
            }
        }
        Ok(out)
    }

    /// True or false if it is known that the token of a role is added.
    pub(super) fn get(&self, role: &str) -> Option<bool> {
        self.added.iter().find(|(known, _)| *known == role).map(|(_, added)| *added)
    }

    /// The token that the template has for a role.
    pub(super) fn token(&self, role: &str) -> Option<&str> {
        match role {
            "bos" => self.first.as_deref(),
            "eos" => self.last.as_deref(),
            _ => None,
        }
    }

    fn set(&mut self, role: &'static str, added: bool) {
        match self.added.iter_mut().find(|(known, _)| *known == role) {
            Some((_, earlier)) => *earlier = added,
            None => self.added.push((role, added)),
        }
    }

    fn suggest(&mut self, role: &'static str, added: bool) {
        if self.get(role).is_none() {
            self.added.push((role, added));
        }
    }

    /// Reads a template: at most one token before the text and one after it, which must be the BOS and the EOS token if
    /// these are named.
    fn template<'s>(
        &mut self,
        path: &Path,
        step: &Value,
        named: &impl Fn(&str) -> Result<Option<&'s str>>,
    ) -> Result<()> {
        let single = &step["single"];
        let pieces = single.as_array().map_or(&[][..], Vec::as_slice);
        let refuse = || unsupported(path, format!("post-processor template `{single}`"));
        let at = pieces.iter().position(|piece| piece["Sequence"].is_object()).ok_or_else(refuse)?;
        let token = |side: &[Value], role: &str| match side {
            [] => Ok(None),
            [piece] => match (special(piece), named(role)?) {
                (Some(text), Some(expected)) if text != expected => Err(refuse()),
                (text, _) => text.map(|text| Some(text.to_owned())).ok_or_else(refuse),
            },
            _ => Err(refuse()),
        };
        self.first = token(&pieces[..at], "bos_token")?;
        self.last = token(&pieces[at + 1..], "eos_token")?;
        if self.first.is_some() {
            self.set("bos", true);
        }
        if self.last.is_some() {
            self.set("eos", true);
        }
        let eos = self.last.as_deref().or(named("eos_token")?);
        if let Some(sep) = self.separator(&step["pair"], named("sep_token")?, eos) {
            self.set("sep", sep);
        }
        Ok(())
    }

    /// True or false if two texts have tokens between them, and one of these separates them.
    fn separator(&self, pair: &Value, sep: Option<&str>, eos: Option<&str>) -> Option<bool> {
        let mut pieces = pair.as_array()?.as_slice();
        let is =
            |piece: &Value, token: &Option<String>| token.is_some() && special(piece) == token.as_deref();
        if let [first, rest @ ..] = pieces
            && is(first, &self.first)
        {
            pieces = rest;
        }
        if let [rest @ .., last] = pieces
            && is(last, &self.last)
        {
            pieces = rest;
        }
        let [first, between @ .., last] = pieces else { return None };
        if first["Sequence"]["id"] != "A" || last["Sequence"]["id"] != "B" || between.is_empty() {
            return None;
        }
        let separates =
            |piece: &Value| special(piece).is_some_and(|text| sep == Some(text) || eos == Some(text));
        let first = separates(&between[0]) && self.last.is_none();
        Some(first || (between.len() == 2 && separates(&between[1])))
    }
}

/// The token of a template's piece.
fn special(piece: &Value) -> Option<&str> {
    piece["SpecialToken"]["id"].as_str()
}
