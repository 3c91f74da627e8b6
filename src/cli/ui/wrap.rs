//! Breaks lines between words while text arrives.

use std::io;
use std::mem;

use unicode_width::UnicodeWidthChar as _;

use super::escape::printable;
use super::stream::Stream;
use super::style::{Face, Style};

/// Text on a terminal. A word is written once it is complete, on the next line if this one has no room for it.
#[derive(Debug)]
pub(crate) struct Wrap {
    width: usize,
    style: Style,
    /// Spaces before every further line.
    pub(crate) indent: usize,
    /// The face of what is written next.
    face: Face,
    /// Columns of the current line.
    column: usize,
    spaces: String,
    word: Vec<(Face, String)>,
    columns: usize,
    /// Whether a word that is longer than a line is being written.
    is_open: bool,
    /// Whether the last character was a carriage return.
    returned: bool,
}

impl Wrap {
    /// For lines of this many columns; 0 breaks no lines.
    pub(crate) fn new(width: usize, style: Style) -> Self {
        Self {
            width,
            style,
            indent: 0,
            face: Face::PLAIN,
            column: 0,
            spaces: String::new(),
            word: Vec::new(),
            columns: 0,
            is_open: false,
            returned: false,
        }
    }

    /// Writes more text, but for its last word.
    pub(crate) fn push(&mut self, face: Face, text: &str, to: &mut dyn Stream) -> io::Result<()> {
        for c in text.chars() {
            if mem::take(&mut self.returned) && c != '\n' {
                self.letters(face, &printable("\r"), to)?;
            }
            match c {
                '\r' => self.returned = true,
                '\n' => {
                    self.end_word(to)?;
                    self.spaces.clear();
                    self.column = 0;
                    to.write_all(b"\n")?;
                }
                ' ' | '\t' => {
                    self.end_word(to)?;
                    self.spaces.push_str(if c == '\t' { "    " } else { " " });
                }
                c => self.letters(face, &printable(c.encode_utf8(&mut [0; 4])), to)?,
            }
        }
        // The process may end before the next text.
        self.change(Face::PLAIN, to)
    }

    /// Writes the last word.
    pub(crate) fn flush(&mut self, to: &mut dyn Stream) -> io::Result<()> {
        self.end_word(to)?;
        self.change(Face::PLAIN, to)
    }

    fn end_word(&mut self, to: &mut dyn Stream) -> io::Result<()> {
        self.is_open = false;
        self.put(to)
    }

    fn change(&mut self, face: Face, to: &mut dyn Stream) -> io::Result<()> {
        to.change(self.style, mem::replace(&mut self.face, face), face)
    }

    fn letters(&mut self, face: Face, letters: &str, to: &mut dyn Stream) -> io::Result<()> {
        let columns: usize = letters.chars().map(|c| c.width().unwrap_or(0)).sum();
        // A line may be broken before a wide character.
        if columns == 2 && letters.chars().count() == 1 && !self.word.is_empty() {
            self.put(to)?;
        }
        match self.word.last_mut() {
            Some((last, text)) if *last == face => text.push_str(letters),
            _ => self.word.push((face, letters.to_owned())),
        }
        self.columns += columns;
        if self.is_open || self.width > 0 && self.columns > self.width {
            self.put(to)?;
            self.is_open = true;
        }
        Ok(())
    }

    /// Writes what there is of the word.
    fn put(&mut self, to: &mut dyn Stream) -> io::Result<()> {
        if self.word.is_empty() {
            return Ok(());
        }
        let (word, columns) = (mem::take(&mut self.word), mem::take(&mut self.columns));
        let mut spaces = mem::take(&mut self.spaces);
        let is_full = self.width > 0 && self.column + spaces.len() + columns > self.width;
        if is_full && !self.is_open && self.column > self.indent {
            to.write_all(b"\n")?;
            self.column = 0;
            spaces = " ".repeat(self.indent);
        }
        self.column += spaces.len() + columns;
        if self.width > 0 && self.column > 0 {
            // The terminal continues a long word on the next line.
            self.column = (self.column - 1) % self.width + 1;
        }
        if !spaces.is_empty() && word[0].0 != self.face {
            self.change(Face::PLAIN, to)?;
        }
        to.write_all(spaces.as_bytes())?;
        for (face, text) in word {
            self.change(face, to)?;
            to.write_all(text.as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(width: usize, indent: usize, pieces: &[&str]) -> String {
        let mut to = Vec::new();
        let mut wrap = Wrap::new(width, Style::Plain);
        wrap.indent = indent;
        for piece in pieces {
            wrap.push(Face::PLAIN, piece, &mut to).unwrap();
        }
        wrap.flush(&mut to).unwrap();
        String::from_utf8(to).unwrap()
    }

    #[test]
    fn a_word_that_does_not_fit_begins_the_next_line() {
        assert_eq!(
            wrapped(10, 0, &["the qui", "ck brown fox", " jumps\n  over it"]),
            "the quick\nbrown fox\njumps\n  over it"
        );
        assert_eq!(wrapped(0, 0, &["the quick brown fox"]), "the quick brown fox");
        assert_eq!(wrapped(10, 2, &["• one two three"]), "• one two\n  three");
        assert_eq!(wrapped(5, 0, &["12345 12345"]), "12345\n12345");
    }

    #[test]
    fn a_word_longer_than_a_line_is_never_broken() {
        assert_eq!(wrapped(5, 0, &["ab 0123", "456789", "ABCDEF cd"]), "ab\n0123456789ABCDEF cd");
        assert_eq!(wrapped(5, 0, &["0123456789AB abcd"]), "0123456789AB\nabcd");
    }

    #[test]
    fn a_face_is_begun_and_ended_once() {
        let mut to = Vec::new();
        let mut wrap = Wrap::new(10, Style::Rich);
        wrap.push(Face::DIM, "one two three\n", &mut to).unwrap();
        wrap.push(Face::BOLD, "x", &mut to).unwrap();
        wrap.push(Face::PLAIN, "y z", &mut to).unwrap();
        wrap.flush(&mut to).unwrap();
        assert_eq!(str::from_utf8(&to).unwrap(), "\x1b[2mone two\nthree\n\x1b[0m\x1b[1mx\x1b[0my z");
    }

    #[test]
    fn wide_characters_are_words() {
        assert_eq!(wrapped(6, 0, &["日本語テキ", "スト"]), "日本語\nテキス\nト");
    }

    #[test]
    fn a_word_without_columns_can_begin_a_line() {
        for mark in ["\u{200b}", "\u{301}"] {
            assert_eq!(wrapped(5, 0, &[mark, " 123 456"]), format!("{} 123\n456", printable(mark)));
        }
    }

    #[test]
    fn escapes_count_as_they_are_shown() {
        assert_eq!(wrapped(10, 0, &["a \x1b[2Jb\r\nc"]), "a\n\\u{1b}[2Jb\nc");
    }
}
