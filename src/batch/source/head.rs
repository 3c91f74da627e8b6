//! The first bytes of an input: whether it is compressed, and files that are often passed by mistake.

use std::fmt;
use std::io::{self, BufRead, Cursor, Read};

/// A file that has no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// Text in UTF-16 or UTF-32.
    Utf16,
    /// A model.
    Gguf,
    /// A zip archive, as which spreadsheets are stored.
    Zip,
    /// Columns in Parquet's format.
    Parquet,
    /// A page of a web site.
    Html,
    /// What Git LFS leaves in the place of a file.
    LfsPointer,
    /// One JSON array of all rows.
    JsonArray,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf16 => "UTF-16 text",
            Self::Gguf => "a GGUF",
            Self::Zip => "a zip archive or a spreadsheet",
            Self::Parquet => "a Parquet file",
            Self::Html => "an HTML page",
            Self::LfsPointer => "a Git LFS pointer",
            Self::JsonArray => "one JSON array",
        })
    }
}

/// The compression of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// The maximum length of a head in bytes.
const LONGEST: usize = 64;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Takes the first bytes, up to the end of the first line: a stream may have no more for a while.
pub(super) fn take(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while head.len() < LONGEST && !head.contains(&b'\n') {
        let piece = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            piece => piece?,
        };
        let used = piece.len().min(LONGEST - head.len());
        head.extend_from_slice(&piece[..used]);
        input.consume(used);
        if used == 0 {
            break;
        }
    }
    Ok(head)
}

/// The whole input again, after its head was taken.
pub(super) fn put_back<R: Read>(head: Vec<u8>, input: R) -> io::Chain<Cursor<Vec<u8>>, R> {
    Cursor::new(head).chain(input)
}

/// Removes a byte order mark.
pub(super) fn without_mark(mut head: Vec<u8>) -> Vec<u8> {
    if head.starts_with(BYTE_ORDER_MARK) {
        head.drain(..BYTE_ORDER_MARK.len());
    }
    head
}

/// Recognizes a file without rows.
pub(super) fn foreign(head: &[u8], is_table: bool) -> Option<Foreign> {
    let text = head.trim_ascii_start();
    let begins = |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    Some(match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [1..=255, 0, ..] | [0, 1..=255, ..] => Foreign::Utf16,
        [0, 0, 0xfe, 0xff, ..] => Foreign::Utf16,
        [b'G', b'G', b'U', b'F', ..] => Foreign::Gguf,
        [b'P', b'K', 3, 4, ..] => Foreign::Zip,
        [b'P', b'A', b'R', b'1', ..] => Foreign::Parquet,
        _ if begins(b"<!doctype") || begins(b"<html") => Foreign::Html,
        _ if begins(b"version https://git-lfs") => Foreign::LfsPointer,
        _ if !is_table && begins(b"[") => Foreign::JsonArray,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_passed_by_mistake_are_recognized() {
        for (head, expected) in [
            (&b"\xff\xfe{\0"[..], Foreign::Utf16),
            (b"{\0\"\0", Foreign::Utf16),
            (b"\0{\0\"", Foreign::Utf16),
            (b"\0\0\xfe\xff", Foreign::Utf16),
            (b"GGUF\x03\0\0\0", Foreign::Gguf),
            (b"PK\x03\x04\x14", Foreign::Zip),
            (b"PAR1\x15", Foreign::Parquet),
            (b"\n<!DOCTYPE html>", Foreign::Html),
            (b"version https://git-lfs.github.com/spec/v1\n", Foreign::LfsPointer),
            (b" [", Foreign::JsonArray),
        ] {
            assert_eq!(foreign(head, false), Some(expected), "{head:?}");
        }
        for head in [&b""[..], b"{", b"\"a\"\n", b"id,[text]\n", "é".as_bytes()] {
            assert_eq!(foreign(head, false), None, "{head:?}");
        }
        assert_eq!(foreign(b"[name],text\n", true), None);
    }

    #[test]
    fn a_head_ends_with_the_first_line_and_is_put_back() {
        let mut input = io::BufReader::with_capacity(4, &b"\xef\xbb\xbf{}\n{}\n"[..]);
        let head = take(&mut input).unwrap();
        assert!(head.len() <= 8, "{head:?}");
        let mut text = String::new();
        put_back(without_mark(head), input).read_to_string(&mut text).unwrap();
        assert_eq!(text, "{}\n{}\n");
    }
}
