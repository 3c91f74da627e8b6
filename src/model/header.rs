//! The joined headers of a model's files, which checks and placement work on. No tensor data.

use std::path::{Path, PathBuf};

use gguf_export::gguf::{self, Metadata, TensorInfo, Value};

use super::LoadError;

/// The metadata and tensors of a model in one or several files.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The file, or the first of its parts.
    pub path: PathBuf,
    /// All files, in order.
    pub files: Vec<PathBuf>,
    /// The total size of the files in bytes.
    pub file_bytes: u64,
    /// The metadata of the first file, which is the one that llama.cpp reads.
    pub metadata: Metadata,
    /// Tensors in file order.
    pub tensors: Vec<TensorInfo>,
}

impl Header {
    pub(super) fn join(path: &Path, parts: Vec<(PathBuf, gguf::Header)>) -> Self {
        let file_bytes = parts.iter().map(|(_, header)| header.file_len()).sum();
        let mut header = Self {
            path: path.to_owned(),
            files: parts.iter().map(|(file, _)| file.clone()).collect(),
            file_bytes,
            metadata: Metadata::new(),
            tensors: Vec::new(),
        };
        for (index, (_, part)) in parts.into_iter().enumerate() {
            if index == 0 {
                header.metadata = part.metadata;
            }
            header.tensors.extend(part.tensors);
        }
        header
    }

    /// The tensor with a name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The error for an invalid metadata value.
    #[expect(clippy::needless_pass_by_value, reason = "callers pass numbers and temporary strings")]
    pub(super) fn wrong(&self, key: &str, found: impl ToString, expected: impl ToString) -> LoadError {
        LoadError::Metadata {
            path: self.path.clone(),
            key: key.to_owned(),
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }

    /// A non-negative integer; `None` if the key is missing.
    pub(super) fn whole(&self, key: &str) -> Result<Option<u64>, LoadError> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(key, describe(value), "a non-negative integer")),
            },
        }
    }

    /// An integer within limits; `default` if the key is missing.
    pub(super) fn within(
        &self,
        key: &str,
        limits: std::ops::RangeInclusive<u64>,
        default: Option<u64>,
    ) -> Result<u64, LoadError> {
        let (least, most) = (limits.start(), limits.end());
        let expected =
            || if *most == u64::MAX { format!("at least {least}") } else { format!("{least} to {most}") };
        match (self.whole(key)?, default) {
            (Some(number), _) if limits.contains(&number) => Ok(number),
            (Some(number), _) => Err(self.wrong(key, number, expected())),
            (None, Some(number)) => Ok(number),
            (None, None) => Err(self.wrong(key, "missing", expected())),
        }
    }
}

/// A short description of a value for messages.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Array(array) => format!("an array of {} values", array.len()),
        Value::Str(text) => format!("`{}`", text.chars().take(40).collect::<String>().escape_debug()),
        Value::F32(number) => number.to_string(),
        Value::F64(number) => number.to_string(),
        Value::I8(number) => number.to_string(),
        Value::I16(number) => number.to_string(),
        Value::I32(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        other => other.as_u64().map_or_else(|| other.type_name().to_owned(), |number| number.to_string()),
    }
}
