//! The declarations of a configuration by module: the general ones, and exceptions by name and by pattern.

use std::collections::BTreeMap;

use regex::{RegexSet, RegexSetBuilder};
use serde_json::{Map, Value};

use super::tool::Tool;

/// A field and its value that cannot be read.
pub(super) type Wrong = (String, Value);

/// Declarations; absent ones are those of the whole model.
#[derive(Debug, Clone, Default)]
pub(super) struct Terms {
    pub(super) bits: Option<u64>,
    pub(super) group: Option<i64>,
    pub(super) block: Option<(u64, u64)>,
    pub(super) sym: Option<bool>,
    pub(super) kind: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Rules {
    general: Terms,
    names: BTreeMap<String, Terms>,
    patterns: RegexSet,
    by_pattern: Vec<Terms>,
    /// Beginnings of the names to which the general ones apply; `None` for all.
    within: Option<Vec<String>>,
}

impl Rules {
    pub(super) fn read(fields: &Map<String, Value>, tool: Tool) -> Result<Self, Wrong> {
        let mut rules = Self::default();
        let mut patterns = Vec::new();
        if tool == Tool::Groups {
            rules.groups(fields, &mut patterns)?;
        } else {
            rules.general = general(fields, tool)?;
            rules.exceptions(fields, &mut patterns)?;
        }
        let sources = patterns.iter().map(|(source, _)| source);
        // The plan has a lower limit.
        rules.patterns = RegexSetBuilder::new(sources)
            .size_limit(64 << 20)
            .build()
            .map_err(|error| ("a pattern".to_owned(), Value::String(error.to_string())))?;
        rules.by_pattern = patterns.into_iter().map(|(_, terms)| terms).collect();
        let listed = ["block_name_to_quantize", "to_quant_block_names", "quant_block_list"];
        rules.within = listed.into_iter().find_map(|key| fields.get(key).filter(|v| !v.is_null())).map(words);
        Ok(rules)
    }

    pub(super) fn declare_asymmetric(&mut self) {
        self.general.sym = Some(false);
    }

    /// The declarations for a module, and true if they clearly apply to it.
    pub(super) fn of(&self, module: &str) -> (Terms, bool) {
        let mtp = ["mtp.", "model.mtp."].iter().any(|start| module.starts_with(start));
        let matching = || self.patterns.matches(module).iter().next().map(|at| &self.by_pattern[at]);
        if let Some(own) = self.names.get(module) {
            return (self.with(own), true);
        }
        if let Some(own) = matching() {
            return (self.with(own), !mtp);
        }
        let within = match &self.within {
            None => true,
            Some(starts) => starts.iter().any(|start| module.starts_with(start)),
        };
        (self.general.clone(), within && !mtp)
    }

    fn with(&self, own: &Terms) -> Terms {
        let general = &self.general;
        // A group and a block exclude each other.
        let (group, block) = match (own.group, own.block) {
            (None, None) => (general.group, general.block),
            own => own,
        };
        Terms {
            bits: own.bits.or(general.bits),
            group,
            block,
            sym: own.sym.or(general.sym),
            kind: own.kind.as_ref().or(general.kind.as_ref()).cloned(),
        }
    }

    /// `extra_config` of AutoRound, whose patterns match anywhere, and `dynamic` of GPTQModel, whose patterns match from
    /// the start.
    fn exceptions(
        &mut self,
        fields: &Map<String, Value>,
        patterns: &mut Vec<(String, Terms)>,
    ) -> Result<(), Wrong> {
        for (name, own) in object(fields, "extra_config")? {
            let Some(own) = own.as_object() else { continue };
            let terms = own_terms(own)?;
            if name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-')) {
                self.names.insert(name.clone(), terms);
            } else {
                patterns.push((anywhere(name), terms));
            }
        }
        for (name, own) in object(fields, "dynamic")? {
            let terms = match (name.starts_with("-:"), own.as_object()) {
                (true, _) => Terms { bits: Some(16), ..Terms::default() },
                (false, Some(own)) => own_terms(own)?,
                (false, None) => continue,
            };
            let pattern = name.strip_prefix("-:").or(name.strip_prefix("+:")).unwrap_or(name);
            patterns.push((at_start(pattern), terms));
        }
        Ok(())
    }

    /// `config_groups` of compressed-tensors.
    fn groups(
        &mut self,
        fields: &Map<String, Value>,
        patterns: &mut Vec<(String, Terms)>,
    ) -> Result<(), Wrong> {
        let mut classes: Vec<(&str, Terms)> = Vec::new();
        for group in object(fields, "config_groups")?.values().filter_map(Value::as_object) {
            let Some(weights) = group.get("weights").and_then(Value::as_object) else { continue };
            let strategy = weights.get("strategy").and_then(Value::as_str).unwrap_or("").to_lowercase();
            let terms = Terms {
                bits: unsigned(weights, "num_bits")?,
                group: match strategy.as_str() {
                    "channel" => Some(-1),
                    "tensor" => Some(0),
                    "block" => None,
                    _ => signed(weights, "group_size")?,
                },
                block: pair(weights, "block_structure")?,
                sym: flag(weights, "symmetric")?,
                kind: text(weights, "type")?,
            };
            let targets = group.get("targets").and_then(Value::as_array).into_iter().flatten();
            for target in targets.filter_map(Value::as_str) {
                match (target.strip_prefix("re:"), target.chars().next()) {
                    (Some(pattern), _) => patterns.push((at_start(pattern), terms.clone())),
                    (None, Some('A'..='Z')) => classes.push((target, terms.clone())),
                    _ => _ = self.names.insert(target.to_owned(), terms.clone()),
                }
            }
        }
        let linear = classes.iter().rev().find(|(class, _)| *class == "Linear");
        self.general = linear.or(classes.last()).map(|(_, terms)| terms.clone()).unwrap_or_default();
        Ok(())
    }
}

/// A pattern without the `.*` around it, which take the memory of a table for each name.
fn anywhere(pattern: &str) -> String {
    let is_plain = |text: &str| text.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '\\');
    match pattern.strip_prefix(".*").and_then(|rest| rest.strip_suffix(".*")) {
        Some(inner) if is_plain(inner) && !inner.ends_with('\\') => inner.to_owned(),
        _ => pattern.to_owned(),
    }
}

/// A pattern that matches from the start of a name.
fn at_start(pattern: &str) -> String {
    let inner = anywhere(pattern);
    if inner != pattern && !pattern.contains('|') { inner } else { format!("^(?:{pattern})") }
}

fn general(fields: &Map<String, Value>, tool: Tool) -> Result<Terms, Wrong> {
    let present = |keys: &[&'static str]| {
        keys.iter().copied().find(|key| fields.get(*key).is_some_and(|value| !value.is_null()))
    };
    let mut terms = own_terms(fields)?;
    terms.bits = match present(&["bits", "w_bit", "wbits"]) {
        Some(key) => unsigned(fields, key)?,
        None => None,
    };
    if let Some(key) = present(&["group_size", "q_group_size"]) {
        (terms.group, terms.block) = size(fields, key)?;
    }
    terms.block = pair(fields, "weight_block_size")?.or(terms.block);
    let opposite = flag(fields, "zero_point")?.map(|asymmetric| !asymmetric);
    let default = match tool {
        Tool::AutoRound | Tool::Gptq => Some(true),
        Tool::Awq => Some(false),
        _ => None,
    };
    // AWQ states zero points; others state symmetry.
    terms.sym = if tool == Tool::Awq { opposite.or(terms.sym) } else { terms.sym.or(opposite) }.or(default);
    Ok(terms)
}

/// The fields that a whole model and one module have in common.
fn own_terms(fields: &Map<String, Value>) -> Result<Terms, Wrong> {
    let (group, block) = size(fields, "group_size")?;
    Ok(Terms {
        bits: unsigned(fields, "bits")?,
        group,
        block,
        sym: flag(fields, "sym")?,
        kind: text(fields, "data_type")?,
    })
}

/// A group size, or the two sizes of a block.
type Size = (Option<i64>, Option<(u64, u64)>);

fn size(fields: &Map<String, Value>, key: &str) -> Result<Size, Wrong> {
    match fields.get(key) {
        Some(Value::Array(_)) => Ok((None, pair(fields, key)?)),
        _ => Ok((signed(fields, key)?, None)),
    }
}

/// Names in strings separated by commas, in lists of any depth.
fn words(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => {
            text.split(',').map(str::trim).filter(|w| !w.is_empty()).map(Into::into).collect()
        }
        Value::Array(list) => list.iter().flat_map(words).collect(),
        _ => Vec::new(),
    }
}

fn typed<T>(
    fields: &Map<String, Value>,
    key: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, Wrong> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value).map(Some).ok_or_else(|| (key.to_owned(), value.clone())),
    }
}

fn object<'a>(fields: &'a Map<String, Value>, key: &str) -> Result<&'a Map<String, Value>, Wrong> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    match fields.get(key) {
        None | Some(Value::Null) => Ok(&NONE),
        Some(Value::Object(map)) => Ok(map),
        Some(value) => Err((key.to_owned(), value.clone())),
    }
}

fn unsigned(fields: &Map<String, Value>, key: &str) -> Result<Option<u64>, Wrong> {
    typed(fields, key, Value::as_u64)
}

fn signed(fields: &Map<String, Value>, key: &str) -> Result<Option<i64>, Wrong> {
    typed(fields, key, Value::as_i64)
}

fn flag(fields: &Map<String, Value>, key: &str) -> Result<Option<bool>, Wrong> {
    typed(fields, key, Value::as_bool)
}

fn text(fields: &Map<String, Value>, key: &str) -> Result<Option<String>, Wrong> {
    typed(fields, key, |value| value.as_str().map(ToOwned::to_owned))
}

/// Two positive numbers, also as `128x128`.
fn pair(fields: &Map<String, Value>, key: &str) -> Result<Option<(u64, u64)>, Wrong> {
    typed(fields, key, |value| {
        let numbers: Vec<u64> = match value {
            Value::Array(list) => list.iter().map(Value::as_u64).collect::<Option<_>>()?,
            Value::String(text) => text.split('x').map(|part| part.parse().ok()).collect::<Option<_>>()?,
            _ => return None,
        };
        match numbers[..] {
            [rows, columns] if rows > 0 && columns > 0 => Some((rows, columns)),
            _ => None,
        }
    })
}
