//! Fields taken out of an object one by one, each of the kind it must be; those that are left are unknown.

use serde_json::{Map, Value};

use super::Refusal;

/// Characters of a wrong value that a message shows.
const SHOWN: usize = 60;

/// An object that is being taken apart.
#[derive(Debug)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn new(object: Map<String, Value>) -> Self {
        Self(object)
    }

    /// A field of any kind. Null is as good as absent.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        self.of(name, "text", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn truth(&mut self, name: &str) -> Result<Option<bool>, Refusal> {
        self.of(name, "true or false", Value::as_bool)
    }

    /// A number that `f32` can hold.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<f32>, Refusal> {
        self.of(name, "a number", number)
    }

    pub(super) fn count(&mut self, name: &str) -> Result<Option<u32>, Refusal> {
        self.of(name, "a whole number from 0 to 4294967295", |value| u32::try_from(whole(value)?).ok())
    }

    /// A whole number that may be negative, for those where that has a meaning.
    pub(super) fn whole(&mut self, name: &str, least: i64) -> Result<Option<i64>, Refusal> {
        let expected = "a whole number, not below -1, and below 4294967296";
        self.of(name, expected, |value| whole(value).filter(|n| (least..=i64::from(u32::MAX)).contains(n)))
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, Refusal> {
        self.of(name, "an object", |value| value.as_object().cloned())
    }

    pub(super) fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, Refusal> {
        self.of(name, "a list", |value| value.as_array().cloned())
    }

    /// Texts; one alone may stand without its list.
    pub(super) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        self.of(name, "text or a list of texts", |value| match value {
            Value::String(text) => Some(vec![text.clone()]),
            Value::Array(list) => list.iter().map(|text| text.as_str().map(str::to_owned)).collect(),
            _ => None,
        })
    }

    /// A field that `read` makes something of, or refuses by giving nothing.
    pub(super) fn of<T>(
        &mut self,
        name: &str,
        expected: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(value) = self.take(name) else { return Ok(None) };
        read(&value).map(Some).ok_or_else(|| wrong(name, &value, expected))
    }

    /// The names of what nobody took.
    pub(super) fn left(self) -> Vec<String> {
        self.0.into_iter().map(|(name, _)| name).collect()
    }
}

/// The refusal of a value.
pub(super) fn wrong(field: &str, value: &Value, expected: &'static str) -> Refusal {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut found: String = text.chars().take(SHOWN).collect();
    if found.len() < text.len() {
        found.push_str("...");
    }
    Refusal::Value { field: field.to_owned(), found, expected }
}

/// A number as `f32`; none that it cannot hold.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a number that is too large becomes infinite and is refused"
)]
pub(super) fn number(value: &Value) -> Option<f32> {
    value.as_f64().map(|number| number as f32).filter(|number| number.is_finite())
}

/// `3`, and `3.0` as other languages print it.
#[expect(clippy::cast_possible_truncation, reason = "a whole number that `f64` holds exactly")]
fn whole(value: &Value) -> Option<i64> {
    let exact = |number: &f64| number.fract() == 0.0 && number.abs() < 9e15;
    value.as_i64().or_else(|| value.as_f64().filter(exact).map(|number| number as i64))
}
