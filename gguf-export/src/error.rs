//! Error types. Each error names the file and, where one is at fault, the tensor.

use std::path::{Path, PathBuf};

use crate::format::Format;

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

/// An error of this crate. `Display` gives this layer only; causes are chained through `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file operation.
    #[error("cannot {action} `{path}`", path = path.display())]
    Io {
        /// The operation, as a verb: `read`, `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not valid JSON or does not have the expected structure.
    #[error("cannot parse `{path}` as JSON", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A field of a configuration file is missing or has an invalid value.
    #[error("`{path}`: `{field}` is {found}, expected {expected}", path = path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field, with dots for nesting.
        field: String,
        /// The value found, or `missing`.
        found: String,
        /// The values that are allowed.
        expected: String,
    },
    /// Keys of a quantization configuration that may change the weights.
    #[error("`{path}`: {}", refused_keys(keys), path = path.display())]
    ConfigKeys {
        /// The file.
        path: PathBuf,
        /// The keys, in file order.
        keys: Vec<RefusedKey>,
    },
    /// A key to ignore that the quantization configuration does not have, or that is understood.
    #[error("`{path}`: `{key}` cannot be ignored: no key of this name is refused", path = path.display())]
    NotIgnored {
        /// The file.
        path: PathBuf,
        /// The name that was given.
        key: String,
    },
    /// The configuration does not state how the zero points of GPTQ packing are stored.
    #[error("`{path}` does not state how zero points are stored: {reason}", path = path.display())]
    ZeroPoints {
        /// The file.
        path: PathBuf,
        /// What it says instead, as a clause.
        reason: String,
    },
    /// The plan and the verification read the configuration differently.
    #[error("`{path}`: `{field}` of `{module}` is read as {planned} by the plan, and as {read} by the verification",
        path = path.display())]
    Readings {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// The module.
        module: String,
        /// The value in the plan.
        planned: String,
        /// The value by the verification's own reading.
        read: String,
    },
    /// A feature that this crate does not convert.
    #[error("`{path}`: {what} is not supported", path = path.display())]
    Unsupported {
        /// The file that uses it.
        path: PathBuf,
        /// The feature, with its value in backticks.
        what: String,
    },
    /// A checkpoint has a tokenizer, but no `tokenizer.json`.
    #[error("`{path}` is {form}, expected `tokenizer.json` beside it", path = path.display())]
    OtherTokenizer {
        /// The file of the tokenizer.
        path: PathBuf,
        /// Its form: `a tiktoken file`.
        form: &'static str,
    },
    /// A file has another format.
    #[error("`{path}` is {found}, expected {expected}", path = path.display())]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: Format,
        /// The format that was expected: `a GGUF file`.
        expected: &'static str,
    },
    /// One file holds several GGUF files, one after the other.
    #[error("`{path}` holds several GGUF files, the second from byte {at} on; expected one", path = path.display())]
    Joined {
        /// The file.
        path: PathBuf,
        /// Start of the second file in bytes.
        at: u64,
    },
    /// A file violates its format.
    #[error("`{path}` is not a valid {format} file: {found}, expected {expected}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// `safetensors`, `GGUF`, `tokenizer.json`.
        format: &'static str,
        /// The content at fault.
        found: String,
        /// The content that the format requires.
        expected: String,
    },
    /// A GGUF file ends before the data of one of its tensors does.
    #[error("`{path}` is truncated: tensor `{tensor}` ends at byte {end}, the data has {len}", path = path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// End of the tensor in bytes, counted from the start of the data section.
        end: u64,
        /// Length of the data section in bytes.
        len: u64,
    },
    /// A shard of a split GGUF was given where the first one is required.
    #[error("`{path}` is part {number} of {count}; pass the first part (`{first}`)",
        path = path.display(), first = first.display())]
    NotFirstShard {
        /// The shard that was given.
        path: PathBuf,
        /// Its number, from 1.
        number: u64,
        /// Number of shards.
        count: u32,
        /// File name of the first shard.
        first: PathBuf,
    },
    /// A tensor contradicts the configuration, its companions or its format.
    #[error("{at}: {found}, expected {expected}")]
    Tensor {
        /// The tensor.
        at: TensorRef,
        /// The property at fault.
        found: String,
        /// The required property.
        expected: String,
    },
    /// The checkpoint lacks a tensor that the model needs.
    #[error("`{path}`: tensor `{tensor}` is missing, {needed_by}", path = path.display())]
    MissingTensor {
        /// The checkpoint's folder or index.
        path: PathBuf,
        /// The name of the tensor.
        tensor: String,
        /// The reason, as a clause.
        needed_by: String,
    },
    /// The checkpoint has a tensor that the model does not use.
    #[error("{at} is not used by the model")]
    SurplusTensor {
        /// The tensor.
        at: TensorRef,
    },
    /// The chosen GGUF type cannot hold a value exactly.
    #[error("{at}: row {row}, column {column}: {ty} cannot hold {value} exactly")]
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
    /// A value is too large for the type to which it is rounded.
    #[error("{at}: row {row}, column {column}: {value} is out of the range of {ty}")]
    OutOfRange {
        /// The source tensor.
        at: TensorRef,
        /// Row of the source weight.
        row: u64,
        /// Column of the source weight.
        column: u64,
        /// The value.
        value: String,
        /// The GGUF type.
        ty: &'static str,
    },
    /// No GGUF type holds these tensors exactly, and rounding is not allowed.
    #[error("no GGUF type holds {} exactly:\n{}", tensors(.0.len()), refusals(.0))]
    Inexact(Vec<Inexact>),
    /// The output exists already.
    #[error("`{path}` already exists", path = path.display())]
    OutputExists {
        /// The output.
        path: PathBuf,
    },
    /// A file of an export that an earlier run finished, but was interrupted while it renamed the files.
    #[error("`{path}` is {found}, but an earlier run finished it and was interrupted while it renamed the files",
        path = path.display())]
    Lost {
        /// The file.
        path: PathBuf,
        /// `missing`, or its size.
        found: String,
    },
    /// The output would overwrite a file of the checkpoint.
    #[error("`{path}` is a file of the checkpoint", path = path.display())]
    OutputIsSource {
        /// The output.
        path: PathBuf,
    },
    /// The disk does not have enough free space for the output.
    #[error("`{path}` needs {needed}, the disk has {available} free",
        path = path.display(), needed = size(*needed), available = size(*available))]
    NoSpace {
        /// The output.
        path: PathBuf,
        /// Bytes left to write.
        needed: u64,
        /// Bytes free.
        available: u64,
    },
    /// The written tensors differ from the checkpoint.
    #[error("`{path}` differs from its checkpoint: {what}", path = path.display())]
    Differs {
        /// The unfinished file.
        path: PathBuf,
        /// The first difference.
        what: String,
    },
    /// A [`Supply`](crate::supply::Supply) could not provide or release a shard.
    #[error("cannot get `{path}`", path = path.display())]
    Supply {
        /// The shard.
        path: PathBuf,
        /// The supply's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The caller stopped the operation before anything was written.
    #[error("interrupted")]
    Stopped,
    /// The caller stopped the export; the unfinished file is kept so that the next run can resume.
    #[error("interrupted; `{part}` is kept, run the same command to resume", part = part.display())]
    Interrupted {
        /// The unfinished file.
        part: PathBuf,
    },
}

/// A tensor that no GGUF type holds exactly, with the size of each rounded alternative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inexact {
    /// The GGUF tensor.
    pub tensor: String,
    /// Why no type is exact.
    pub reason: String,
    /// Name of each rounded alternative and the tensor's size in it, in bytes.
    pub choices: Vec<(&'static str, u64)>,
}

/// A key of a quantization configuration that may change the weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedKey {
    /// The key, with dots for nesting.
    pub key: String,
    /// The value found and those that are harmless; `None` if the key is unknown.
    pub value: Option<(String, String)>,
}

fn refused_keys(list: &[RefusedKey]) -> String {
    const SHOWN: usize = 8;
    let clause = |RefusedKey { key, value }: &RefusedKey| match value {
        None => format!("`{key}` is unknown and may change the weights"),
        Some((found, expected)) => {
            format!("`{key}` is {found}, which may change the weights, expected {expected}")
        }
    };
    let mut clauses: Vec<String> = list.iter().take(SHOWN).map(clause).collect();
    if list.len() > SHOWN {
        clauses.push(format!("and {} more", list.len() - SHOWN));
    }
    clauses.join("; ")
}

/// `1 tensor`, `3 tensors`.
fn tensors(count: usize) -> String {
    format!("{count} tensor{}", if count == 1 { "" } else { "s" })
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
    // Hundredths, rounded down, so that free space is never overstated.
    let hundredths = (u128::from(bytes) * 100) >> (10 * unit);
    format!("{}.{:02} {}", hundredths / 100, hundredths % 100, UNITS[unit])
}

impl Error {
    /// The tensor at fault, if the error concerns one.
    #[must_use]
    pub fn location(&self) -> Option<&TensorRef> {
        match self {
            Self::Tensor { at, .. }
            | Self::SurplusTensor { at }
            | Self::NotRepresentable { at, .. }
            | Self::OutOfRange { at, .. } => Some(at),
            _ => None,
        }
    }

    /// Wraps an [`std::io::Error`] with the operation and the path.
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
