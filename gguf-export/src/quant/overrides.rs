//! Per-module overrides of a quantization configuration. Exact names take precedence, then the first matching pattern
//! in file order.

use std::collections::BTreeMap;
use std::path::Path;

use regex::{RegexSet, RegexSetBuilder};

use crate::{Error, Result};

/// The quantization scheme of a module. Absent fields are inherited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scheme {
    pub(super) bits: Option<u64>,
    /// Columns per group; -1 for a whole row, 0 for the whole tensor.
    pub(super) group: Option<i64>,
    /// Rows and columns of a block that shares a scale.
    pub(super) block: Option<(u64, u64)>,
    pub(super) sym: Option<bool>,
    pub(super) data_type: Option<String>,
    /// True if the columns are permuted, so that each has a group of its own choice.
    pub(super) ordered: Option<bool>,
}

impl Scheme {
    /// Returns true if four-bit elements are a sign and a magnitude.
    pub(super) fn is_mx_int(&self) -> bool {
        self.data_type.as_deref().is_some_and(|kind| kind.contains("mx_int") || kind.contains("mxint"))
    }

    /// This scheme, with absent fields taken from `base`.
    pub(super) fn over(&self, base: &Self) -> Self {
        Self {
            bits: self.bits.or(base.bits),
            group: self.group.or(if self.block.is_some() { None } else { base.group }),
            block: self.block.or(if self.group.is_some() { None } else { base.block }),
            sym: self.sym.or(base.sym),
            data_type: self.data_type.clone().or_else(|| base.data_type.clone()),
            ordered: self.ordered.or(base.ordered),
        }
    }
}

/// Overrides by exact name and by pattern.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    exact: BTreeMap<String, Scheme>,
    patterns: RegexSet,
    /// One per pattern.
    schemes: Vec<Scheme>,
}

/// The modules of an override.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Modules {
    /// The one with this name.
    Named(String),
    /// Those whose names a pattern matches, anywhere unless it is anchored.
    Matching(String),
}

impl Modules {
    /// A key that is a name, or a pattern if it has characters that names do not have.
    pub(super) fn of_key(key: &str) -> Self {
        if key.contains(|c: char| !c.is_alphanumeric() && !"._-".contains(c)) {
            Self::Matching(key.to_owned())
        } else {
            Self::Named(key.to_owned())
        }
    }

    /// Those whose names a pattern matches from their start. One that begins with `.*` needs no anchor, and is faster
    /// without.
    pub(super) fn from_start(pattern: &str) -> Self {
        if pattern.starts_with(".*") && !pattern.contains('|') {
            Self::Matching(pattern.to_owned())
        } else {
            Self::Matching(format!("^(?:{pattern})"))
        }
    }
}

impl Overrides {
    /// `entries` are in file order.
    pub(super) fn new(path: &Path, field: &str, entries: Vec<(Modules, Scheme)>) -> Result<Self> {
        // The size limit bounds the memory of malicious patterns; real ones need a fraction of it.
        let (mut sources, mut schemes) = (Vec::new(), Vec::new());
        let mut exact = BTreeMap::new();
        for (modules, scheme) in entries {
            match modules {
                Modules::Named(name) => _ = exact.insert(name, scheme),
                Modules::Matching(pattern) => {
                    sources.push(unanchored(&pattern).to_owned());
                    schemes.push(scheme);
                }
            }
        }
        let patterns =
            RegexSetBuilder::new(&sources).size_limit(8 << 20).build().map_err(|e| Error::Field {
                path: path.to_owned(),
                field: field.to_owned(),
                found: e.to_string(),
                expected: "module names or regular expressions".to_owned(),
            })?;
        Ok(Self { exact, patterns, schemes })
    }

    pub(super) fn exact(&self, module: &str) -> Option<&Scheme> {
        self.exact.get(module)
    }

    /// The first pattern that matches anywhere in the name.
    pub(super) fn by_pattern(&self, module: &str) -> Option<&Scheme> {
        self.patterns.matches(module).iter().next().map(|first| &self.schemes[first])
    }
}

/// Removes `.*` at both ends: a search does not need them and is much faster without.
fn unanchored(pattern: &str) -> &str {
    let rest = pattern.strip_prefix(".*").filter(|rest| !rest.starts_with(['?', '*', '+', '{', '|']));
    let pattern = rest.unwrap_or(pattern);
    if pattern.ends_with("\\.*") { pattern } else { pattern.strip_suffix(".*").unwrap_or(pattern) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(n: u64) -> Scheme {
        Scheme { bits: Some(n), ..Scheme::default() }
    }

    #[test]
    fn exact_names_take_precedence_over_the_first_pattern() {
        let entries = vec![
            (Modules::of_key(r".*layers\.0\.mlp\.gate.*"), bits(16)),
            (Modules::of_key(".*mlp.*"), bits(8)),
            (Modules::of_key("layers.0.mlp.gate"), bits(3)),
        ];
        let overrides = Overrides::new(Path::new("c"), "extra_config", entries).unwrap();
        let find = |name: &str| overrides.exact(name).or_else(|| overrides.by_pattern(name));
        let found = |name: &str| find(name).and_then(|s| s.bits);
        assert_eq!(found("layers.0.mlp.gate"), Some(3));
        assert_eq!(found("layers.0.mlp.gate_proj"), Some(16));
        assert_eq!(found("layers.1.mlp.up_proj"), Some(8));
        assert_eq!(found("layers.1.self_attn.q_proj"), None);
    }

    #[test]
    fn patterns_of_gptq_match_from_the_start_of_a_name() {
        let entries = vec![
            (Modules::from_start(r"layers\.0"), bits(2)),
            (Modules::from_start(r".*\.up_proj"), bits(3)),
            (Modules::from_start(r".*?\.mtp|gate"), bits(5)),
        ];
        let overrides = Overrides::new(Path::new("c"), "dynamic", entries).unwrap();
        let found = |name: &str| overrides.by_pattern(name).and_then(|s| s.bits);
        assert_eq!(found("layers.0.up_proj"), Some(2));
        assert_eq!(found("model.layers.0.up_proj"), Some(3));
        assert_eq!(found("model.layers.0.down_proj"), None);
        assert_eq!([found("x.mtp"), found("gate"), found("x.gate")], [Some(5), Some(5), None]);
    }

    #[test]
    fn an_invalid_pattern_is_refused() {
        let entries = vec![(Modules::of_key("("), bits(4))];
        let error = Overrides::new(Path::new("c"), "extra_config", entries).unwrap_err();
        assert!(error.to_string().contains("`extra_config`"), "{error}");
    }
}
