//! Every way an export can fail, each naming the file and, where there is one, the tensor.

use std::path::{Path, PathBuf};

/// A result whose error is this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A tensor and the file that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorRef {
    /// The file, as it was opened.
    pub file: PathBuf,
    /// The tensor's name in that file.
    pub tensor: String,
}

impl std::fmt::Display for TensorRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tensor `{}` in `{}`", self.tensor, self.file.display())
    }
}

/// What went wrong. `Display` gives this layer only; causes are chained through `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file operation.
    #[error("cannot {action} `{path}`", path = path.display())]
    Io {
        /// What was tried, as a verb: `read`, `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file that should be JSON is not, or its shape is not the expected one.
    #[error("`{path}` is not the JSON it should be", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A field of a configuration file has a value that cannot be.
    #[error("`{path}`: `{field}` is {found}, expected {expected}", path = path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field, with dots for nesting.
        field: String,
        /// The value found, or `missing`.
        found: String,
        /// What would have been right.
        expected: String,
    },
    /// Something this crate does not convert, and refuses rather than guess.
    #[error("`{path}`: {what} is not supported", path = path.display())]
    Unsupported {
        /// The file that says so.
        path: PathBuf,
        /// The feature, with its value in backticks.
        what: String,
    },
    /// A file that does not follow its format.
    #[error("`{path}` is not a valid {format} file: {found}, expected {expected}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// `safetensors`, `GGUF`, `tokenizer.json`.
        format: &'static str,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// A tensor contradicts the configuration, its companions or its format.
    #[error("{at}: {found}, expected {expected}")]
    Tensor {
        /// The tensor.
        at: TensorRef,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// A tensor that the model needs is not in the checkpoint.
    #[error("`{path}`: tensor `{tensor}` is missing, {needed_by}", path = path.display())]
    MissingTensor {
        /// The checkpoint's folder or index.
        path: PathBuf,
        /// The name looked for.
        tensor: String,
        /// Why it is needed.
        needed_by: String,
    },
    /// A tensor that no part of the model uses.
    #[error("{at}: no part of the model uses it")]
    SurplusTensor {
        /// The tensor.
        at: TensorRef,
    },
    /// A value that the chosen GGUF type cannot hold exactly.
    #[error("{at}: row {row}, column {column}: {value} has no exact {ty} form")]
    NotRepresentable {
        /// The source tensor.
        at: TensorRef,
        /// Row of the source weight.
        row: u64,
        /// Column of the source weight.
        column: u64,
        /// The value or the scale at fault.
        value: String,
        /// The GGUF type.
        ty: &'static str,
    },
    /// Tensors that no GGUF type holds exactly, refused by default.
    #[error("{} of the tensors have no exact GGUF type:\n{}", .0.len(), refusals(.0))]
    Inexact(Vec<Inexact>),
    /// The output is already there.
    #[error("`{path}` already exists", path = path.display())]
    OutputExists {
        /// The output.
        path: PathBuf,
    },
    /// The output is a file of the source, which would be lost.
    #[error("`{path}` is a file of the source", path = path.display())]
    OutputIsSource {
        /// The output.
        path: PathBuf,
    },
    /// The disk has not enough room for the output.
    #[error("`{path}` needs {needed}, its disk has {available} free",
        path = path.display(), needed = size(*needed), available = size(*available))]
    NoSpace {
        /// The output.
        path: PathBuf,
        /// Bytes still to be written.
        needed: u64,
        /// Bytes free.
        available: u64,
    },
    /// What was written is not what the checkpoint says.
    #[error("`{path}` differs from its checkpoint: {what}", path = path.display())]
    Differs {
        /// The unfinished file.
        path: PathBuf,
        /// The first difference.
        what: String,
    },
    /// A shard does not come, or cannot be let go of.
    #[error("cannot get `{path}`", path = path.display())]
    Supply {
        /// The shard.
        path: PathBuf,
        /// Why, in the words of whoever supplies it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The caller asked to stop before anything was written.
    #[error("interrupted")]
    Stopped,
    /// The caller asked to stop; what was written stays for the next run.
    #[error("interrupted; `{part}` holds what was written, the same command goes on from there", part = part.display())]
    Interrupted {
        /// The unfinished file.
        part: PathBuf,
    },
}

/// A tensor that cannot be held exactly, with what each choice would cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inexact {
    /// The GGUF tensor.
    pub tensor: String,
    /// Why nothing is exact.
    pub reason: String,
    /// Type name and bytes of each rounding choice.
    pub choices: Vec<(&'static str, u64)>,
}

fn refusals(list: &[Inexact]) -> String {
    const SHOWN: usize = 8;
    let mut lines: Vec<String> = list
        .iter()
        .take(SHOWN)
        .map(|t| {
            let choices: Vec<String> = t.choices.iter().map(|(ty, n)| format!("{ty} {}", size(*n))).collect();
            format!("  {}: {}; {}", t.tensor, t.reason, choices.join(", "))
        })
        .collect();
    if list.len() > SHOWN {
        lines.push(format!("  and {} more", list.len() - SHOWN));
    }
    lines.join("\n")
}

/// A size in binary units: `1.50 GiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (1..UNITS.len()).take_while(|unit| bytes >> (10 * unit) > 0).last().unwrap_or(0);
    if unit == 0 {
        return format!("{bytes} B");
    }
    // Hundredths, rounded down: nothing is claimed to have more room than it has.
    let hundredths = (u128::from(bytes) * 100) >> (10 * unit);
    format!("{}.{:02} {}", hundredths / 100, hundredths % 100, UNITS[unit])
}

impl Error {
    /// The tensor at fault, where there is one.
    #[must_use]
    pub fn location(&self) -> Option<&TensorRef> {
        match self {
            Self::Tensor { at, .. } | Self::SurplusTensor { at } | Self::NotRepresentable { at, .. } => {
                Some(at)
            }
            _ => None,
        }
    }

    /// Wraps an [`std::io::Error`] with the path and what was tried.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!([0, 1023, 1024, 1536].map(size), ["0 B", "1023 B", "1.00 KiB", "1.50 KiB"]);
        assert_eq!([(1 << 20) - 1, 1 << 30, 85 << 39].map(size), ["1023.99 KiB", "1.00 GiB", "42.50 TiB"]);
        assert_eq!(size(u64::MAX), "16777215.99 TiB");
    }
}
