//! The first bytes of an input: whether it is compressed, and files that are often passed by mistake.

use std::io::{self, BufRead, Cursor, Read};

use gguf_export::format::{Format, HEAD};

use crate::batch::lines::BYTE_ORDER_MARK;

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

/// Takes the first bytes, up to the end of the first line: a stream may have no more for a while.
pub(super) fn take(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while head.len() < HEAD && !head.contains(&b'\n') {
        let piece = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            piece => piece?,
        };
        let used = piece.len().min(HEAD - head.len());
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

/// The format of a file that has no rows.
pub(super) fn foreign(head: &[u8]) -> Option<Format> {
    Format::of(head).filter(Format::is_wrong_text)
}

/// Whether all rows are in one JSON array.
pub(super) fn is_array(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"[")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_passed_by_mistake_are_recognized() {
        for (head, expected) in [
            (&b"\xff\xfe{\0"[..], Format::Utf16),
            (b"GGUF\x03\0\0\0", Format::Gguf),
            (b"PK\x03\x04\x14", Format::Zip),
            (b"\n<!DOCTYPE html>", Format::Html),
        ] {
            assert_eq!(foreign(head), Some(expected), "{head:?}");
        }
        for head in [&b""[..], b"{", b"\"a\"\n", b"id,[text]\n", b"\xe9,\n", "é".as_bytes()] {
            assert_eq!(foreign(head), None, "{head:?}");
            assert!(!is_array(head));
        }
        assert!(is_array(b" \n[{"));
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
