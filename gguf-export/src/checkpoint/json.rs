//! Parsing of untrusted JSON: limits the number of values first, since a value of two bytes takes far more memory once
//! parsed, and reads large objects as lists.

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::{Error, Result};

/// Refuses a text that could hold more than `most` values.
pub(crate) fn limit_values(path: &Path, text: &str, most: usize) -> Result<()> {
    // Each value except the first follows one of these bytes. Bytes inside strings count too, which only overestimates.
    let values = text.bytes().filter(|b| matches!(b, b',' | b'[' | b'{')).count();
    if values <= most {
        return Ok(());
    }
    Err(Error::Malformed {
        path: path.to_owned(),
        format: "JSON",
        found: format!("up to {values} values"),
        expected: format!("at most {most}"),
    })
}

/// Reads the entries of an object in file order, except for the key `skip`. A map would hide duplicates and take more
/// memory. `what` names the object in error messages.
pub(crate) fn entries<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    deserializer: D,
    what: &'static str,
    skip: Option<&'static str>,
) -> Result<Vec<(String, V)>, D::Error> {
    struct Entries<V>(&'static str, Option<&'static str>, PhantomData<V>);
    impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
        type Value = Vec<(String, V)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(name) = map.next_key::<String>()? {
                if self.1 == Some(name.as_str()) {
                    map.next_value::<IgnoredAny>()?;
                } else {
                    entries.push((name, map.next_value()?));
                }
            }
            Ok(entries)
        }
    }
    deserializer.deserialize_map(Entries(what, skip, PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_too_many_values_is_refused() {
        let path = Path::new("config.json");
        assert!(limit_values(path, "[0,0,0]", 3).is_ok());
        let error = limit_values(path, "[0,0,0,0]", 3).unwrap_err().to_string();
        assert!(error.contains("`config.json`") && error.contains("at most 3"), "{error}");
    }
}
