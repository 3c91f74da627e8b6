//! Measures JSON text before it is parsed: a value takes far more memory than the two bytes it can be written in.

use std::path::Path;

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
