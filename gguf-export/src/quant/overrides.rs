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
    pub(super) sym: Option<bool>,
    pub(super) data_type: Option<String>,
}

impl Scheme {
    /// This scheme, with absent fields taken from `base`.
    pub(super) fn over(&self, base: &Self) -> Self {
        Self {
            bits: self.bits.or(base.bits),
            group: self.group.or(base.group),
            sym: self.sym.or(base.sym),
            data_type: self.data_type.clone().or_else(|| base.data_type.clone()),
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

impl Overrides {
    /// `entries` are keys of a configuration in file order; every key is also an exact name.
    pub(super) fn new(path: &Path, field: &str, entries: Vec<(String, Scheme)>) -> Result<Self> {
        // The size limit bounds the memory of malicious patterns; real ones need a fraction of it.
        let (mut sources, mut schemes) = (Vec::new(), Vec::new());
        let mut exact = BTreeMap::new();
        for (key, scheme) in entries {
            if key.contains(|c: char| !c.is_alphanumeric() && !"._-".contains(c)) {
                sources.push(unanchored(&key).to_owned());
                schemes.push(scheme.clone());
            }
            exact.insert(key, scheme);
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
    let pattern = pattern.strip_prefix(".*").unwrap_or(pattern);
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
            (r".*layers\.0\.mlp\.gate.*".to_owned(), bits(16)),
            (".*mlp.*".to_owned(), bits(8)),
            ("layers.0.mlp.gate".to_owned(), bits(3)),
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
    fn an_invalid_pattern_is_refused() {
        let error =
            Overrides::new(Path::new("c"), "extra_config", vec![("(".to_owned(), bits(4))]).unwrap_err();
        assert!(error.to_string().contains("`extra_config`"), "{error}");
    }
}
