//! `--override-kv`, in the form that llama.cpp accepts.

use ggrun::model::{LONGEST_OVERRIDE, MetadataOverride, MetadataValue};

/// Parses `KEY=TYPE:VALUE`.
pub(super) fn parse(text: &str) -> Result<MetadataOverride, String> {
    let expected = || "expected KEY=TYPE:VALUE, where TYPE is int, float, bool or str".to_owned();
    let (key, value) = text.split_once('=').ok_or_else(expected)?;
    let (kind, value) = value.split_once(':').ok_or_else(expected)?;
    let long = |text: &str| text.len() > LONGEST_OVERRIDE || text.contains('\0');
    if key.is_empty() || long(key) {
        return Err(format!("expected a key of 1 to {LONGEST_OVERRIDE} bytes"));
    }
    let wrong = |what: &str| format!("expected {what} after `{kind}:`, found `{value}`");
    let value = match kind {
        "int" => MetadataValue::Int(value.parse().map_err(|_| wrong("a whole number"))?),
        "float" => {
            let number = value.parse().ok().filter(|number: &f64| number.is_finite());
            MetadataValue::Float(number.ok_or_else(|| wrong("a number"))?)
        }
        "bool" => MetadataValue::Bool(value.parse().map_err(|_| wrong("true or false"))?),
        "str" if long(value) => return Err(format!("expected text of at most {LONGEST_OVERRIDE} bytes")),
        "str" => MetadataValue::Str(value.to_owned()),
        _ => return Err(expected()),
    };
    Ok(MetadataOverride { key: key.to_owned(), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_of_llama_cpps_kinds() {
        let value = |text: &str| parse(text).map(|found| (found.key, found.value));
        let found = |key: &str, value| Ok((key.to_owned(), value));
        assert_eq!(value("a.b=int:-3"), found("a.b", MetadataValue::Int(-3)));
        assert_eq!(value("a=float:1e4"), found("a", MetadataValue::Float(1e4)));
        assert_eq!(value("a=bool:false"), found("a", MetadataValue::Bool(false)));
        assert_eq!(value("a=str:x=y:z"), found("a", MetadataValue::Str("x=y:z".into())));
    }

    #[test]
    fn other_values_are_refused() {
        for wrong in ["", "a", "a=1", "a=int:x", "a=int:1.5", "a=float:nan", "a=bool:1", "a=u8:1", "=int:1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse(&format!("a=str:{}", "x".repeat(128))).is_err());
        assert!(parse(&format!("{}=int:1", "x".repeat(128))).is_err());
    }
}
