//! A call as the name of the function, then an object of JSON with the arguments.

use serde_json::Value;

use super::parsed::{Parsed, may_begin_with, name_length};

/// What is around the name and the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    /// Before the name.
    pub(super) before: &'static str,
    pub(super) name: Name,
    /// Begins an id between the name and the separator, which is optional.
    pub(super) skip: Option<&'static str>,
    /// Between the name and the arguments.
    pub(super) separator: &'static str,
    /// The tag before the name or the arguments, which may be a control token.
    pub(super) tag: &'static str,
    /// After the arguments.
    pub(super) fence: &'static str,
}

/// The form of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Plain,
    /// `functions.NAME:NUMBER`
    Numbered,
}

impl Named {
    /// Whether a text begins like a call, as far as it has been written.
    pub(super) fn may_begin(&self, text: &str) -> bool {
        let text = text.trim_start();
        let Some(text) = text.strip_prefix(self.before) else { return self.before.starts_with(text) };
        let length = name_length(text);
        let mut rest = &text[length..];
        if let Some(skip) = self.skip {
            rest = rest.strip_prefix(skip).map_or(rest, |id| &id[name_length(id)..]);
            if skip.starts_with(rest) {
                return length > 0 || rest.is_empty();
            }
        }
        rest.is_empty() || (length > 0 && may_begin_with(rest, self.separator))
    }

    /// Where the arguments begin, if they do.
    pub(super) fn value(&self, text: &str) -> Option<usize> {
        text.find(self.separator).map(|at| at + self.separator.len())
    }

    pub(super) fn parse(&self, body: &str) -> Parsed {
        let Some(body) = body.trim_start().strip_prefix(self.before) else { return Parsed::Malformed };
        let Some((name, arguments)) = body.split_once(self.separator) else { return Parsed::Malformed };
        let name = self.skip.and_then(|skip| name.split_once(skip)).map_or(name, |(name, _)| name);
        let name = match self.name {
            Name::Plain => name.trim(),
            Name::Numbered => unnumbered(name.trim()),
        };
        if name.is_empty() || name_length(name) < name.len() {
            return Parsed::Malformed;
        }
        let arguments = arguments.trim_end();
        let arguments = arguments.strip_suffix(self.fence.trim()).unwrap_or(arguments);
        match serde_json::from_str(arguments) {
            Ok(Value::Object(arguments)) => Parsed::call(name, arguments),
            // A string that contains the closing tag is cut off there.
            Err(error) if error.is_eof() => Parsed::Incomplete,
            _ => Parsed::Malformed,
        }
    }
}

/// The name without its prefix and its number.
fn unnumbered(name: &str) -> &str {
    let name = name.strip_prefix("functions.").unwrap_or(name);
    match name.rsplit_once(':') {
        Some((before, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => before,
        _ => name,
    }
}
