//! A call as tags within tags. Values are text, which the function's schema gives a type.

use serde_json::{Map, Value};

use super::parsed::{Parsed, is_known, may_begin_with, name_length};
use super::values::{schema, value};

/// The tags within a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Elements {
    /// Around the name of the function. Without the second, a line or a tag ends the name.
    pub(super) name: (&'static str, &'static str),
    /// After the last argument.
    pub(super) end: &'static str,
    /// Around a key.
    pub(super) key: (&'static str, &'static str),
    /// Before a value.
    pub(super) value: &'static str,
    /// After a value.
    pub(super) value_end: &'static str,
    /// Names and values have lines of their own.
    pub(super) has_lines: bool,
}

impl Elements {
    /// Whether a text begins like a call, as far as it has been written.
    pub(super) fn may_begin(&self, text: &str) -> bool {
        let text = text.trim_start();
        if !self.name.0.is_empty() {
            return may_begin_with(text, self.name.0);
        }
        let length = name_length(text);
        let rest = &text[length..];
        let end = if self.name.1.is_empty() { self.key.0 } else { self.name.1 };
        rest.is_empty() || (length > 0 && (may_begin_with(rest.trim_start(), end)))
    }

    /// Whether a text may follow what is before the name of a function, which is known, as far as it has been written.
    /// `space` limits the whitespace after the name.
    pub(super) fn may_follow(&self, text: &str, space: usize) -> bool {
        let Some((_, rest)) = text.split_once(self.name.1) else { return true };
        let next = rest.trim_start();
        rest.len() - next.len() <= space
            && (may_begin_with(next, self.key.0) || may_begin_with(next, self.end))
    }

    pub(super) fn parse(&self, body: &str, tools: &[Value]) -> Parsed {
        match body.trim_start().strip_prefix(self.name.0) {
            Some(rest) => self.parse_named(rest, tools),
            None => Parsed::Malformed,
        }
    }

    /// Reads a call from the name of its function on.
    pub(super) fn parse_named(&self, text: &str, tools: &[Value]) -> Parsed {
        let Some((name, mut rest)) = self.split_name(text) else { return Parsed::Incomplete };
        let name = name.trim();
        if name.is_empty() || name.contains(['<', '\n']) {
            return Parsed::Malformed;
        }
        let schema = schema(name, tools);
        let mut arguments = Map::new();
        loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix(self.key.0) {
                let Some((key, after)) = after.split_once(self.key.1) else { return Parsed::Incomplete };
                let after = if self.value.is_empty() { after } else { after.trim_start() };
                let Some(after) = after.strip_prefix(self.value) else {
                    return if self.value.starts_with(after) {
                        Parsed::Incomplete
                    } else {
                        Parsed::Malformed
                    };
                };
                let Some((text, after)) = self.split_value(after) else { return Parsed::Incomplete };
                let key = key.trim();
                arguments.insert(key.to_owned(), value(text, key, schema));
                rest = after;
            } else if self.is_end(rest) {
                // A word between the tags may be anything.
                let is_certain = !arguments.is_empty() || !self.is_bare() || is_known(name, tools);
                return if is_certain { Parsed::call(name, arguments) } else { Parsed::Malformed };
            } else {
                return Parsed::Malformed;
            }
        }
    }

    /// Whether a call without arguments is nothing but a name.
    fn is_bare(&self) -> bool {
        self.name == ("", "")
    }

    fn split_name<'a>(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        if self.name.1.is_empty() {
            return Some(text.split_at(text.find(['<', '\n']).unwrap_or(text.len())));
        }
        text.split_once(self.name.1)
    }

    fn is_end(&self, text: &str) -> bool {
        text.strip_prefix(self.end).is_some_and(|rest| rest.trim_start().is_empty())
    }

    /// A value and the text after its closing tag. A closing tag that is followed by anything other than the next
    /// argument or the end is part of the value; so are, where values have lines of their own, all newlines except one at
    /// each end.
    fn split_value<'a>(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        let ends = text.match_indices(self.value_end).map(|(at, tag)| (&text[..at], &text[at + tag.len()..]));
        let mut ends = ends.filter(|(_, after)| {
            let next = after.trim_start();
            next.starts_with(self.key.0) || self.is_end(next)
        });
        let (value, after) = ends.next()?;
        if !self.has_lines {
            return Some((value, after));
        }
        let value = value.strip_prefix('\n').unwrap_or(value);
        Some((value.strip_suffix('\n').unwrap_or(value), after))
    }
}
