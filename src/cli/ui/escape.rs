//! Text from outside on a terminal: control characters as escapes, and long values cut.
//!
//! A terminal obeys control characters: `ESC]52` sets the clipboard, `ESC[2J` erases the screen, and bidirectional
//! overrides show text in another order than its own.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Characters of a value in a message.
const VALUE: usize = 200;
/// Characters of a line of a message.
const LINE: usize = 2000;

/// The text with control characters other than newlines and tabs as escapes.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    push_printable(text, &mut shown);
    Cow::Owned(shown)
}

/// A message: [`printable`], with every value in backticks cut to 200 characters, and every line to 2000.
pub(crate) fn message(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let values = line.split('`').enumerate();
        let cut = values.map(|(at, part)| if at % 2 == 1 { cut(part, VALUE) } else { part.into() });
        let line = cut.collect::<Vec<Cow<'_, str>>>().join("`");
        printable(&self::cut(&line, LINE)).into_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The text with its middle replaced by `…` if it has more than `most` characters.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    let count = if text.len() <= most { 0 } else { text.chars().count() };
    if count <= most {
        return Cow::Borrowed(text);
    }
    // The end of a path says more than its middle.
    let tail = most / 3;
    let at = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    Cow::Owned([&text[..at(most - 1 - tail)], "…", &text[at(count - tail)..]].concat())
}

/// JSON text with control characters as escapes of JSON, which change nothing for its reader.
pub(crate) fn json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        // All of them have four digits.
        if is_unsafe(c) { push(&mut shown, format_args!("\\u{:04x}", u32::from(c))) } else { shown.push(c) }
    }
    shown
}

/// [`printable`], but for the sequences that set colors.
pub(crate) fn except_colours(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        push_printable(before, &mut shown);
        let end = after.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(after.len());
        let colour = after[end..].starts_with('m');
        let sequence = if colour { end + 1 } else { 0 };
        shown.push_str(if colour { "\x1b[" } else { "\\u{1b}[" });
        shown.push_str(&after[..sequence]);
        rest = &after[sequence..];
    }
    push_printable(rest, &mut shown);
    shown
}

/// Escapes a stream that arrives in pieces, which may end inside a character.
#[derive(Debug, Default)]
pub(crate) struct Escaper {
    /// The beginning of a character, or a carriage return.
    held: Vec<u8>,
}

impl Escaper {
    /// The next piece, as it is shown. A carriage return is part of the newline after it.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        let joined;
        let mut rest = bytes;
        if !self.held.is_empty() {
            joined = [&std::mem::take(&mut self.held), bytes].concat();
            rest = &joined;
        }
        let mut shown = String::with_capacity(rest.len());
        while !rest.is_empty() {
            let (text, wrong, is_open) = match str::from_utf8(rest) {
                Ok(text) => (text, 0, false),
                Err(error) => {
                    let text = str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default();
                    (text, error.error_len().unwrap_or(0), error.error_len().is_none())
                }
            };
            let (bytes, after) = rest.split_at(text.len() + wrong);
            if is_open || after.is_empty() && wrong == 0 && text.ends_with('\r') {
                let whole = text.strip_suffix('\r').filter(|_| !is_open).unwrap_or(text);
                push_lines(whole, &mut shown);
                self.held = rest[whole.len()..].to_vec();
                return shown;
            }
            push_lines(text, &mut shown);
            push_bytes(&bytes[text.len()..], &mut shown);
            rest = after;
        }
        shown
    }

    /// The rest, as it is shown.
    pub(crate) fn finish(&mut self) -> String {
        let mut shown = String::new();
        push_bytes(&std::mem::take(&mut self.held), &mut shown);
        shown
    }
}

/// Whether a character controls the terminal: C0, DEL, C1, or the direction of text. Newlines and tabs are text.
fn is_unsafe(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn push_lines(text: &str, shown: &mut String) {
    for (at, line) in text.split("\r\n").enumerate() {
        shown.push_str(if at == 0 { "" } else { "\r\n" });
        push_printable(line, shown);
    }
}

fn push_printable(text: &str, shown: &mut String) {
    for c in text.chars() {
        if is_unsafe(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
}

/// Bytes that are not text. A carriage return is like any other character.
fn push_bytes(bytes: &[u8], shown: &mut String) {
    for byte in bytes {
        match byte {
            b'\r' => push_printable("\r", shown),
            byte => push(shown, format_args!("\\x{byte:02x}")),
        }
    }
}

fn push(shown: &mut String, text: std::fmt::Arguments<'_>) {
    shown.write_fmt(text).expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_are_shown_as_escapes() {
        assert_eq!(printable("a\tb\n\u{1b}[31m\u{9b}\r\u{7f}"), "a\tb\n\\u{1b}[31m\\u{9b}\\u{d}\\u{7f}");
        assert_eq!(printable("a\u{202e}b\u{2066}c"), "a\\u{202e}b\\u{2066}c");
        assert_eq!(printable("häß 日本 👩‍💻"), "häß 日本 👩‍💻");
    }

    #[test]
    fn a_value_in_a_message_is_cut_at_200_characters() {
        let long = "ä".repeat(150) + &"b".repeat(1_000_000);
        let shown = message(&format!("unknown type `{long}`, expected `f32` (\x1b]52;c;AAAA\x07)"));
        let value = shown.split('`').nth(1).unwrap();
        assert_eq!(value.chars().count(), 200);
        assert!(value.starts_with("ää") && value.contains('…') && value.ends_with('b'), "{value}");
        assert!(shown.ends_with("`, expected `f32` (\\u{1b}]52;c;AAAA\\u{7})"), "{shown}");
        // A backtick in the value does not make it longer than a line.
        assert_eq!(message(&format!("`a`{long}`")).chars().count(), 2000);
        assert_eq!(message("a `short` one\nand `another`"), "a `short` one\nand `another`");
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abc…fg");
    }

    #[test]
    fn escapes_of_json_are_json() {
        let value = serde_json::json!({ "a": "\u{9b}\u{7f}\u{202e}\u{1b}" });
        let shown = json(&value.to_string());
        assert!(shown.contains("\\u009b\\u007f\\u202e\\u001b"), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn colours_are_left_and_everything_else_is_escaped() {
        let shown = except_colours("\x1b[1;31merror:\x1b[0m \x1b[2J\x1b]52;c;x\x07\x1b[");
        assert_eq!(shown, "\x1b[1;31merror:\x1b[0m \\u{1b}[2J\\u{1b}]52;c;x\\u{7}\\u{1b}[");
    }

    #[test]
    fn a_newline_of_two_characters_is_one() {
        let mut escaper = Escaper::default();
        let shown = [&b"a\r\nb\r"[..], b"\nc\r", b"d\r"].map(|piece| escaper.push(piece)).concat();
        assert_eq!(shown + &escaper.finish(), "a\r\nb\r\nc\\u{d}d\\u{d}");
    }

    #[test]
    fn bytes_that_are_not_text_are_shown_as_bytes() {
        let mut escaper = Escaper::default();
        let shown =
            [&b"a\x9bb\xc2"[..], b"\x9b31m\xe2\x80", b"\xff\xf0\x9f"].map(|piece| escaper.push(piece));
        assert_eq!(shown.concat() + &escaper.finish(), "a\\x9bb\\u{9b}31m\\xe2\\x80\\xff\\xf0\\x9f");
    }

    proptest! {
        #[test]
        fn any_cut_of_any_bytes_is_shown_alike_and_controls_nothing(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\x1b\r\n\xc2\x9b\xe2\x80\xae".to_vec())], 0..60),
            at in 0..60usize,
        ) {
            let (mut whole, mut parts) = (Escaper::default(), Escaper::default());
            let at = at.min(bytes.len());
            let expected = whole.push(&bytes) + &whole.finish();
            let shown = parts.push(&bytes[..at]) + &parts.push(&bytes[at..]) + &parts.finish();
            prop_assert_eq!(&shown, &expected);
            prop_assert!(!shown.replace("\r\n", "\n").contains(is_unsafe), "{:?}", shown);
        }
    }
}
