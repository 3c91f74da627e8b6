//! Why clap refused the value of an option, without the words of the library that parses it.

use std::net::AddrParseError;
use std::num::{ParseFloatError, ParseIntError};

use clap::error::{ContextKind, ContextValue};

/// What was expected instead of the value.
pub(crate) fn reason(error: &clap::Error) -> Option<String> {
    if let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue)
        && !values.is_empty()
    {
        return Some(format!("expected one of {}", values.join(", ")));
    }
    let source = std::error::Error::source(error)?;
    if source.is::<ParseIntError>() {
        return Some("expected a whole number".to_owned());
    }
    if source.is::<ParseFloatError>() {
        return Some("expected a number".to_owned());
    }
    if source.is::<AddrParseError>() {
        return Some("expected an address, such as 127.0.0.1".to_owned());
    }
    let text = source.to_string();
    match text.split_once(" is not in ").map(|(_, range)| range.split_once("..=")) {
        Some(Some((least, most))) => Some(format!("expected a whole number from {least} to {most}")),
        _ => Some(text),
    }
}
