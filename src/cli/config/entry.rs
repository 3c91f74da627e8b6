//! The contents of a configuration file, and the origins of values.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The largest file, in bytes.
pub(super) const LONGEST: u64 = 1 << 20;

/// The contents of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Config {
    pub(crate) path: Option<PathBuf>,
    /// In the order of the file.
    pub(crate) entries: Vec<Entry>,
    /// Name, target and line.
    pub(crate) aliases: Vec<(String, String, usize)>,
}

impl Config {
    /// The target of an alias.
    pub(crate) fn alias(&self, name: &str, home: Option<&Path>) -> Option<OsString> {
        let (_, target, _) = self.aliases.iter().find(|(alias, ..)| alias == name)?;
        Some(self.resolve(target, home))
    }

    /// Resolves a path in the file: `~/` is the home folder, and a path that exists relative to the file's folder is
    /// that path. Anything else may be a repository and is left unchanged.
    pub(crate) fn resolve(&self, target: &str, home: Option<&Path>) -> OsString {
        if let (Some(rest), Some(home)) = (target.strip_prefix("~/"), home) {
            return home.join(rest).into();
        }
        let folder = self.path.as_deref().and_then(Path::parent);
        let beside = folder.map(|folder| folder.join(target)).filter(|path| path.exists());
        beside.map_or_else(|| target.into(), Into::into)
    }
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WrongConfig {
    #[error("cannot read the configuration file `{path}`")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the configuration file `{path}` has more than {LONGEST} bytes")]
    Long { path: PathBuf },
    #[error("the configuration file `{path}` is not UTF-8")]
    Encoding { path: PathBuf },
    #[error("`{path}`, line {line}: {message}")]
    Line { path: PathBuf, line: usize, message: String, hint: Option<String> },
}

/// An option and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The command whose table it is in: `["cache", "ls"]`, or empty for all commands that have the option.
    pub(crate) path: Vec<String>,
    /// The option as it is written.
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) line: usize,
}

/// A value, as it would be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    One(String),
    List(Vec<String>),
}

impl Value {
    /// The values as they would be typed, one by one.
    pub(crate) fn texts(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::List(texts) => texts,
        }
    }
}

/// Where the value of an option comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    Variable(String),
    File { path: PathBuf, line: usize },
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Variable(name) => f.write_str(name),
            Self::File { path, line } => {
                write!(f, "{}:{line}", path.file_name().unwrap_or_default().display())
            }
            Self::Default => f.write_str("default"),
        }
    }
}
