//! Lines of a file, each held up to a limit.

use std::io::{self, BufRead};

use super::failure::Failure;

/// The longest line that is read: 16 MiB.
pub const LIMIT: usize = 16 << 20;

/// The longest line that is skipped, in multiples of the longest that is read: a device may have no newline at all.
const ENDLESS: u64 = 256;
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The whole line.
    Whole(Vec<u8>),
    /// A line of this many bytes, which is above the limit.
    TooLong(u64),
    /// A row that fails before it is read.
    Refused {
        /// Its id.
        id: String,
        /// The reason.
        failure: Box<Failure>,
    },
}

/// Reads lines and counts them from one. A byte order mark before a line is skipped: files are joined with theirs.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    number: u64,
    limit: usize,
}

impl<R: BufRead> Lines<R> {
    /// With the default limit.
    pub fn new(input: R) -> Self {
        Self::limited(input, LIMIT)
    }

    /// With a limit of this many bytes.
    pub fn limited(input: R, limit: usize) -> Self {
        Self { input, number: 0, limit }
    }

    /// The next line that is not blank, with its number; `None` at the end.
    ///
    /// # Errors
    ///
    /// When the input cannot be read or decompressed.
    pub fn read(&mut self) -> io::Result<Option<(u64, Line)>> {
        while let Some(line) = self.line()? {
            self.number += 1;
            let blank = matches!(&line, Line::Whole(bytes) if bytes.trim_ascii().is_empty());
            if !blank {
                return Ok(Some((self.number, line)));
            }
        }
        Ok(None)
    }

    fn line(&mut self) -> io::Result<Option<Line>> {
        let (mut kept, mut length, mut begun) = (Vec::new(), 0u64, false);
        loop {
            let piece = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                piece => piece?,
            };
            if piece.is_empty() {
                break;
            }
            begun = true;
            let end = piece.iter().position(|byte| *byte == b'\n');
            let text = &piece[..end.unwrap_or(piece.len())];
            length += text.len() as u64;
            if length > ENDLESS * self.limit as u64 {
                let message = format!("line {} does not end within {length} bytes", self.number + 1);
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            if length <= self.limit as u64 {
                kept.extend_from_slice(text);
            } else {
                kept = Vec::new();
            }
            let used = end.map_or(piece.len(), |end| end + 1);
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !begun {
            return Ok(None);
        }
        if length > self.limit as u64 {
            return Ok(Some(Line::TooLong(length)));
        }
        if kept.starts_with(BYTE_ORDER_MARK) {
            kept.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(Some(Line::Whole(kept)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::BufReader;

    fn read(bytes: &[u8], buffer: usize, limit: usize) -> Vec<(u64, Line)> {
        let mut lines = Lines::limited(BufReader::with_capacity(buffer, bytes), limit);
        std::iter::from_fn(|| lines.read().unwrap()).collect()
    }

    #[test]
    fn lines_are_counted_and_blank_ones_are_skipped() {
        let whole = |text: &str| Line::Whole(text.into());
        let found = read(b"\xef\xbb\xbfa\n\n  \r\nb\r\n\xef\xbb\xbfc", 4, 100);
        assert_eq!(found, [(1, whole("a")), (4, whole("b\r")), (5, whole("c"))]);
        assert_eq!(read(b"", 4, 100), []);
    }

    #[test]
    fn a_long_line_is_skipped_and_the_next_is_read() {
        let text = [vec![b'x'; 1000], b"\nnext\n".to_vec()].concat();
        assert_eq!(read(&text, 16, 999), [(1, Line::TooLong(1000)), (2, Line::Whole(b"next".into()))]);
        assert_eq!(read(&text, 16, 1000)[0], (1, Line::Whole(vec![b'x'; 1000])));
    }

    #[test]
    fn a_line_without_an_end_is_an_error() {
        let mut lines = Lines::limited(BufReader::new(io::repeat(b'x')), 100);
        let error = lines.read().unwrap_err().to_string();
        assert!(error.starts_with("line 1 does not end within"), "{error}");
    }

    proptest! {
        #[test]
        fn any_buffer_gives_the_same_lines(bytes in prop::collection::vec(prop::sample::select(b"ab\n\r ".to_vec()), 0..200), buffer in 1usize..20) {
            let found = read(&bytes, buffer, 1 << 20);
            prop_assert_eq!(&found, &read(&bytes, 1 << 16, 1 << 20));
            let expected: Vec<Line> = bytes.split(|b| *b == b'\n').filter(|l| !l.trim_ascii().is_empty())
                .map(|l| Line::Whole(l.to_vec())).collect();
            prop_assert_eq!(found.into_iter().map(|(_, line)| line).collect::<Vec<_>>(), expected);
        }
    }
}
