//! Patterns for files of a repository.

use std::str::FromStr;

use glob::Pattern;

/// A pattern as in the hub's own tools: `*` and `?` match slashes as well, and a trailing slash matches everything in a
/// folder.
#[derive(Debug, Clone)]
pub(super) struct Glob(Pattern);

impl FromStr for Glob {
    type Err = glob::PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pattern = String::new();
        // Several stars match the same as one.
        for c in text.chars().chain(text.ends_with('/').then_some('*')) {
            if c != '*' || !pattern.ends_with('*') {
                pattern.push(c);
            }
        }
        Pattern::new(&pattern).map(Self)
    }
}

impl Glob {
    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.matches(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, fits: &[&str], others: &[&str]) {
        let glob: Glob = pattern.parse().unwrap();
        for name in fits {
            assert!(glob.matches(name), "{pattern} {name}");
        }
        for name in others {
            assert!(!glob.matches(name), "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_are_those_of_the_hubs_own_tools() {
        check("*.gguf", &["a.gguf", "q4/a.gguf", ".gguf"], &["a.GGUF", "a.gguf.json"]);
        check("**/*.gguf", &["q4/a.gguf", "a/b/c.gguf"], &["a.gguf"]);
        check("q4/", &["q4/a", "q4/b/c"], &["q4", "aq4/b"]);
        check("m-0000[1-3]?of*", &["m-00001-of-5", "m-00003/of"], &["m-00004-of-5"]);
        check("[!a]*", &["b"], &["a", "ab"]);
        check("config.json", &["config.json"], &["x/config.json"]);
        assert!("[a".parse::<Glob>().is_err());
    }
}
