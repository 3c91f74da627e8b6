//! JSON of strangers: measured before it is parsed, since a value takes far more memory than the two bytes it can be
//! written in, and big objects read as lists.

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::{Error, Result};

/// Refuses a text that could hold more than `most` values.
pub(crate) fn measure(path: &Path, text: &str, most: usize) -> Result<()> {
    // Every value but the first follows one of these; those inside of strings are counted too, which is fine.
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

/// Reads the entries of an object in file order, but for the one called `skip`: a map would hide doubles, and cost
/// more. `what` names the object in errors.
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
    fn a_text_of_too_many_values_is_refused() {
        let path = Path::new("config.json");
        assert!(measure(path, "[0,0,0]", 3).is_ok());
        let error = measure(path, "[0,0,0,0]", 3).unwrap_err().to_string();
        assert!(error.contains("`config.json`") && error.contains("at most 3"), "{error}");
    }
}
