//! Finds the end of a list or an object of JSON that is being written.

/// How far a value has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct JsonEnd {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

/// What the text so far is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scan {
    /// The value continues.
    More,
    /// The value ends with this byte.
    End(usize),
    /// It is neither a list nor an object.
    Other,
}

impl JsonEnd {
    /// Takes more text.
    pub(super) fn scan(&mut self, text: &str) -> Scan {
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.in_string => self.is_escaped = true,
                b'"' if self.depth > 0 => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 0 => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Scan::End(at + 1);
                    }
                }
                _ if self.depth > 0 || byte.is_ascii_whitespace() => {}
                _ => return Scan::Other,
            }
        }
        Scan::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_with_its_last_bracket_wherever_it_is_cut() {
        for (text, end) in [
            (r#"{"a": "}\"", "b": [{}]} x"#, Scan::End(23)),
            (" [[], {}] [", Scan::End(9)),
            ("{\"a\": \"\\\\\"}", Scan::End(11)),
            ("x{}", Scan::Other),
            ("\"a\"", Scan::Other),
            ("}", Scan::Other),
            ("{\"}", Scan::More),
            (" ", Scan::More),
        ] {
            assert_eq!(JsonEnd::default().scan(text), end, "{text}");
            for cut in 0..=text.len() {
                let mut scanner = JsonEnd::default();
                let found = match scanner.scan(&text[..cut]) {
                    Scan::More => match scanner.scan(&text[cut..]) {
                        Scan::End(at) => Scan::End(cut + at),
                        other => other,
                    },
                    found => found,
                };
                assert_eq!(found, end, "{text} cut at {cut}");
            }
        }
    }
}
