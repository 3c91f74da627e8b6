//! A JSON configuration file with typed access; errors name the file and the field.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::json;
use crate::{Error, Result, io};

/// Size limit of a configuration file in bytes.
const MAX_CONFIG_BYTES: u64 = 64 << 20;
/// Limit of its JSON values; the longest lists of modules have half a million.
const MAX_VALUES: usize = 2 << 20;

const POSITIVE: &str = "a positive number";

/// The fields of `config.json` or of a file beside it.
#[derive(Debug, Clone)]
pub struct ModelConfig {
    path: PathBuf,
    prefix: String,
    fields: Map<String, Value>,
    /// Fields of a section that hide those of the same name, and the prefix of their names.
    inner: Option<(String, Map<String, Value>)>,
}

impl ModelConfig {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Json`] if it is not an object.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(path, &io::read_to_string(path, MAX_CONFIG_BYTES)?)
    }

    /// Parses the text of a configuration file; `path` is for error messages.
    ///
    /// # Errors
    /// [`Error::Json`] if it is not an object, [`Error::Malformed`] if it holds too many values.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        json::limit_values(path, text, MAX_VALUES)?;
        let fields =
            serde_json::from_str(text).map_err(|source| Error::Json { path: path.to_owned(), source })?;
        Ok(Self::new(path, fields))
    }

    /// Wraps parsed fields; `path` is for error messages.
    #[must_use]
    pub fn new(path: &Path, fields: Map<String, Value>) -> Self {
        Self { path: path.to_owned(), prefix: String::new(), fields, inner: None }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The raw value of a field; `None` if it is absent or `null`.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Value> {
        let inner = self.inner.as_ref().and_then(|(_, fields)| fields.get(field));
        inner.or_else(|| self.fields.get(field)).filter(|v| !v.is_null())
    }

    /// A nested object; `None` if the field is absent.
    ///
    /// # Errors
    /// [`Error::Field`] if the value is not an object.
    pub fn section(&self, field: &str) -> Result<Option<Self>> {
        self.get(field)
            .map(|v| {
                v.as_object()
                    .map(|o| Self {
                        path: self.path.clone(),
                        prefix: self.name(field) + ".",
                        fields: o.clone(),
                        inner: None,
                    })
                    .ok_or_else(|| self.wrong(field, "an object"))
            })
            .transpose()
    }

    /// This object with the fields of a nested one over its own; unchanged if the nested one is absent.
    ///
    /// # Errors
    /// [`Error::Field`] if the value is not an object.
    pub fn with_section(&self, field: &str) -> Result<Self> {
        let section = self.section(field)?;
        Ok(Self { inner: section.map(|section| (section.prefix, section.fields)), ..self.clone() })
    }

    /// All fields of its own in file order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.fields.iter().map(|(k, v)| (k.as_str(), v))
    }

    /// An unsigned integer; `None` if the field is absent.
    ///
    /// # Errors
    /// [`Error::Field`] if the value is not an unsigned integer.
    pub fn u64(&self, field: &str) -> Result<Option<u64>> {
        self.typed(field, "a non-negative integer", Value::as_u64)
    }

    /// A signed integer; `None` if the field is absent.
    ///
    /// # Errors
    /// [`Error::Field`] if the value is not an integer.
    pub fn i64(&self, field: &str) -> Result<Option<i64>> {
        self.typed(field, "an integer", Value::as_i64)
    }

    /// A number; `None` if the field is absent.
    ///
    /// # Errors
    /// [`Error::Field`] if the value is not a number.
    pub fn f64(&self, field: &str) -> Result<Option<f64>> {
        self.typed(field, "a number", Value::as_f64)
    }

    /// A bool; `None` if the field is absent.
    ///
    /// # Errors
    /// [`Error::Field`] if the value is not a bool.
    pub fn bool(&self, field: &str) -> Result<Option<bool>> {
        self.typed(field, "true or false", Value::as_bool)
    }

    /// A string; `None` if the field is absent.
    ///
    /// # Errors
    /// [`Error::Field`] if the value is not a string.
    pub fn str(&self, field: &str) -> Result<Option<&str>> {
        self.get(field).map(|v| v.as_str().ok_or_else(|| self.wrong(field, "a string"))).transpose()
    }

    /// A required integer in `1..=max`.
    ///
    /// # Errors
    /// [`Error::Field`] if it is absent, not an integer or out of range.
    pub fn size(&self, field: &str, max: u64) -> Result<u64> {
        match self.u64(field)? {
            Some(n) if (1..=max).contains(&n) => Ok(n),
            _ => Err(self.wrong(field, &format!("an integer from 1 to {max}"))),
        }
    }

    /// A number that is positive and finite as F32; `None` if the field is absent.
    ///
    /// # Errors
    /// [`Error::Field`] if it is something else.
    pub fn positive_or_none(&self, field: &str) -> Result<Option<f32>> {
        self.f64(field)?
            .map(|v| {
                #[expect(clippy::cast_possible_truncation, reason = "GGUF stores f32")]
                let v = v as f32;
                if v > 0.0 && v.is_finite() { Ok(v) } else { Err(self.wrong(field, POSITIVE)) }
            })
            .transpose()
    }

    /// The same, of a required field.
    ///
    /// # Errors
    /// [`Error::Field`] if it is absent or something else.
    pub fn positive(&self, field: &str) -> Result<f32> {
        self.positive_or_none(field)?.ok_or_else(|| self.wrong(field, POSITIVE))
    }

    /// The error for a missing field or an invalid value.
    #[must_use]
    pub fn wrong(&self, field: &str, expected: &str) -> Error {
        let found = self.get(field).map_or_else(|| "missing".to_owned(), shorten);
        Error::Field {
            path: self.path.clone(),
            field: self.name(field),
            found,
            expected: expected.to_owned(),
        }
    }

    /// The error for something in the file that is not supported.
    #[must_use]
    pub fn unsupported(&self, what: String) -> Error {
        Error::Unsupported { path: self.path.clone(), what }
    }

    /// The name of a field, with dots for nesting.
    #[must_use]
    pub fn name(&self, field: &str) -> String {
        match &self.inner {
            Some((prefix, fields)) if fields.contains_key(field) => format!("{prefix}{field}"),
            _ => format!("{}{field}", self.prefix),
        }
    }

    fn typed<T>(&self, field: &str, expected: &str, get: impl Fn(&Value) -> Option<T>) -> Result<Option<T>> {
        self.get(field).map(|v| get(v).ok_or_else(|| self.wrong(field, expected))).transpose()
    }
}

/// A value in backticks, at most 60 characters of it.
pub(crate) fn shorten(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}
