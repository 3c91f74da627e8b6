//! Takes fields out of an object one by one, checking their types. The fields that are left are unknown.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::session::ToolChoice;

/// Characters of a wrong value that a message shows.
const SHOWN: usize = 60;
/// Longer names, in bytes, are not compared with the known ones.
const COMPARED_LENGTH: usize = 64;
/// The number of unknown fields of an object that are compared with the known ones.
const COMPARED: usize = 32;
/// Names less similar than this are not suggested.
const ALIKE: f64 = 0.7;

/// A field that is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownField {
    /// Its name.
    pub name: String,
    /// The known field with the closest name, if one is close.
    pub closest: Option<&'static str>,
    /// Whether it is known, and only not supported.
    pub is_known: bool,
}

impl UnknownField {
    /// Fields of an object that are not among those known.
    pub fn all(names: impl IntoIterator<Item = String>, known: &[&'static str]) -> Vec<Self> {
        let compared = |at: usize, name: &str| at < COMPARED && name.len() <= COMPARED_LENGTH;
        let field = |(at, name): (usize, String)| {
            let known = if compared(at, &name) { known } else { &[] };
            Self::new(name, known)
        };
        names.into_iter().enumerate().map(field).collect()
    }

    fn new(name: String, known: &[&'static str]) -> Self {
        let alike = known.iter().map(|known| (strsim::normalized_damerau_levenshtein(&name, known), *known));
        let best = alike.filter(|(alike, _)| *alike >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0));
        Self { closest: best.map(|(_, known)| known), name, is_known: false }
    }

    /// A known field that is not supported.
    pub(crate) fn unsupported(name: impl Into<String>) -> Self {
        Self { name: name.into(), closest: None, is_known: true }
    }

    /// The note if the field is ignored.
    #[must_use]
    pub fn ignored(&self) -> String {
        self.text(if self.is_known { "; ignored" } else { " ignored" })
    }

    fn text(&self, fate: &str) -> String {
        if self.is_known {
            return format!("`{}` is not supported{fate}", self.name);
        }
        let hint = self.closest.map(|closest| format!("; did you mean `{closest}`?")).unwrap_or_default();
        format!("unknown field `{}`{fate}{hint}", self.name)
    }
}

/// The error if the field is refused.
impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(""))
    }
}

/// Things in lists that are left out, each kind once, and whether it is known.
#[derive(Debug, Default)]
pub(crate) struct Dropped(BTreeMap<String, bool>);

impl Dropped {
    /// Adds a kind of thing that is not supported, such as `tools.web_search`.
    pub(crate) fn add(&mut self, kind: &str) {
        self.insert(kind, true);
    }

    /// Adds the fields of an object in a list, and of objects in it, that were not taken.
    pub(crate) fn within(&mut self, object: &str, fields: Fields) {
        for (name, _) in fields.left {
            self.unknown(&format!("{object}.{name}"));
        }
        for UnknownField { name, is_known, .. } in fields.inner {
            self.insert(&format!("{object}.{name}"), is_known);
        }
    }

    /// Adds a field that is not known.
    pub(crate) fn unknown(&mut self, name: &str) {
        self.insert(name, false);
    }

    /// Only so many kinds, with so long names, are listed.
    fn insert(&mut self, kind: &str, is_known: bool) {
        if self.0.len() < COMPARED {
            self.0.insert(kind.chars().take(COMPARED_LENGTH).collect(), is_known);
        }
    }

    /// Notes tools that are `strict`: schemas are held in calls that are forced.
    pub(crate) fn strict(&mut self, is_strict: bool, choice: Option<&ToolChoice>) {
        if is_strict && !matches!(choice, Some(ToolChoice::Required | ToolChoice::Function(_))) {
            self.add("tools.strict");
        }
    }

    /// The kinds, as fields that are ignored.
    pub(crate) fn fields(self) -> impl Iterator<Item = UnknownField> {
        self.0.into_iter().map(|(name, is_known)| UnknownField { name, closest: None, is_known })
    }
}

/// The fields of an object that are not taken yet.
#[derive(Debug)]
pub(crate) struct Fields {
    left: Map<String, Value>,
    /// What precedes a name of the object in the body, such as `text.format.`; empty for the body itself.
    place: String,
    /// Names that were asked for.
    known: Vec<&'static str>,
    /// Fields of objects within it that were not taken.
    inner: Vec<UnknownField>,
}

impl Fields {
    /// The fields of a value in a list, which must be an object.
    pub(crate) fn of_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Object(object) => Ok(Self::new(object)),
            _ => Err("it is not an object".to_owned()),
        }
    }

    pub(crate) fn new(object: Map<String, Value>) -> Self {
        Self { left: object, place: String::new(), known: Vec::new(), inner: Vec::new() }
    }

    /// The fields of an object that was under this name. Refusals and unknown fields have the whole path.
    pub(crate) fn of_object(&self, name: &str, object: Map<String, Value>) -> Self {
        Self { place: format!("{}.", self.path(name)), ..Self::new(object) }
    }

    /// The fields of the object under this name; none if it is absent.
    pub(crate) fn inside(&mut self, name: &'static str) -> Result<Self, Refusal> {
        let object = self.object(name)?.unwrap_or_default();
        Ok(self.of_object(name, object))
    }

    /// Adds the fields of an object within this one that were not taken.
    pub(crate) fn within(&mut self, inner: Self) {
        self.inner.extend(inner.unknown());
    }

    /// A name with the place of the object before it.
    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.place)
    }

    /// The refusal of the value under this name.
    pub(crate) fn wrong(&self, name: &str, value: &Value, expected: &'static str) -> Refusal {
        wrong(&self.path(name), value, expected)
    }

    /// Whether a field is set and not taken yet.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.left.get(name).is_some_and(|value| !value.is_null())
    }

    /// A field of any type. Null counts as absent.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        #[cfg(test)]
        TAKEN.with_borrow_mut(|taken| taken.push(name));
        self.left.shift_remove(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, Refusal> {
        self.of(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn truth(&mut self, name: &'static str) -> Result<Option<bool>, Refusal> {
        self.of(name, "true or false", Value::as_bool)
    }

    /// A number that fits in `f32`.
    pub(crate) fn number(&mut self, name: &'static str) -> Result<Option<f32>, Refusal> {
        self.of(name, "a number", number)
    }

    pub(crate) fn count(&mut self, name: &'static str) -> Result<Option<u32>, Refusal> {
        self.of(name, "a whole number from 0 to 4294967295", |value| u32::try_from(whole(value)?).ok())
    }

    /// A whole number, where -1 has a special meaning.
    pub(crate) fn minus_one<T: TryFrom<i64>>(&mut self, name: &'static str) -> Result<Option<T>, Refusal> {
        self.of(name, "a whole number from -1 to 4294967295", |value| whole(value)?.try_into().ok())
    }

    pub(crate) fn object(&mut self, name: &'static str) -> Result<Option<Map<String, Value>>, Refusal> {
        self.of(name, "an object", |value| value.as_object().cloned())
    }

    pub(crate) fn list(&mut self, name: &'static str) -> Result<Option<Vec<Value>>, Refusal> {
        self.of(name, "a list", |value| value.as_array().cloned())
    }

    /// A list of strings, or one string.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, Refusal> {
        self.of(name, "a string or a list of strings", |value| match value {
            Value::String(text) => Some(vec![text.clone()]),
            Value::Array(list) => list.iter().map(|text| text.as_str().map(str::to_owned)).collect(),
            _ => None,
        })
    }

    /// A field that `read` converts, or refuses with `None`.
    pub(crate) fn of<T>(
        &mut self,
        name: &'static str,
        expected: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(value) = self.take(name) else { return Ok(None) };
        read(&value).map(Some).ok_or_else(|| self.wrong(name, &value, expected))
    }

    /// A required text in an object of a list.
    pub(crate) fn required(&mut self, name: &'static str) -> Result<String, String> {
        self.text(name).map_err(|refusal| refusal.to_string())?.ok_or_else(|| format!("`{name}` is missing"))
    }

    /// The fields that were not taken.
    pub(crate) fn unknown(self) -> Vec<UnknownField> {
        let Self { left, place, known, inner } = self;
        let placed = |field: UnknownField| UnknownField { name: format!("{place}{}", field.name), ..field };
        let own = UnknownField::all(left.into_iter().map(|(name, _)| name), &known);
        own.into_iter().map(placed).chain(inner).collect()
    }
}

/// The refusal of a value.
pub(crate) fn wrong(field: &str, value: &Value, expected: &'static str) -> Refusal {
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

/// A number as `f32`, if it fits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a number that is too large becomes infinite and is refused"
)]
pub(crate) fn number(value: &Value) -> Option<f32> {
    value.as_f64().map(|number| number as f32).filter(|number| number.is_finite())
}

/// `3`, and `3.0` as other languages print it.
#[expect(clippy::cast_possible_truncation, reason = "a whole number that `f64` holds exactly")]
pub(super) fn whole(value: &Value) -> Option<i64> {
    let exact = |number: &f64| number.fract() == 0.0 && number.abs() < 9e15;
    value.as_i64().or_else(|| value.as_f64().filter(exact).map(|number| number as i64))
}

#[cfg(test)]
thread_local! {
    static TAKEN: std::cell::RefCell<Vec<&'static str>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// The names that this thread has asked for since the last call.
#[cfg(test)]
pub(crate) fn taken() -> Vec<&'static str> {
    TAKEN.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_field_is_named_with_the_closest_known_one() {
        let known = ["temperature", "top_p", "top_k", "stop", "seed"];
        let unknown = |name: &str| UnknownField::new(name.to_owned(), &known);
        assert_eq!(
            unknown("temperatur").ignored(),
            "unknown field `temperatur` ignored; did you mean `temperature`?"
        );
        assert_eq!(unknown("topp").to_string(), "unknown field `topp`; did you mean `top_p`?");
        assert_eq!(unknown("wishes").ignored(), "unknown field `wishes` ignored");
    }

    #[test]
    fn fields_within_things_of_a_list_stay_known_or_unknown() {
        let object = serde_json::json!({"new": 1, "inner": {"other": 2}});
        let mut fields = Fields::of_value(object).unwrap();
        let inner = fields.inside("inner").unwrap();
        fields.within(inner);
        fields.inner.push(UnknownField::unsupported("audio"));
        let mut dropped = Dropped::default();
        dropped.within("tools", fields);
        let found: Vec<_> = dropped.fields().map(|field| field.ignored()).collect();
        assert_eq!(
            found,
            [
                "`tools.audio` is not supported; ignored",
                "unknown field `tools.inner.other` ignored",
                "unknown field `tools.new` ignored"
            ]
        );
    }

    #[test]
    fn long_names_and_names_after_many_others_are_not_compared() {
        let known: [&'static str; 1] = ["a_name_with_sixty_four_bytes_in_it______________________________"];
        assert_eq!(known[0].len(), COMPARED_LENGTH);
        let hints = |names: Vec<String>| -> Vec<bool> {
            UnknownField::all(names, &known).iter().map(|field| field.closest.is_some()).collect()
        };
        assert_eq!(hints(vec![known[0].replace("a_", "A_"), format!("{}_", known[0])]), [true, false]);
        let many = hints(vec![known[0].replace("a_", "A_"); COMPARED + 1]);
        assert_eq!(many.iter().filter(|hint| **hint).count(), COMPARED);
        assert!(!many[COMPARED]);
    }
}
