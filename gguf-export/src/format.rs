//! Recognizes what a file is by its first bytes, for the error of a file that is not what was expected.

use std::fmt;

/// Bytes at the start of a file by which its format is recognized.
pub const HEAD: usize = 512;
/// Characters of a text that an error shows.
const SHOWN: usize = 40;

/// The format of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// No bytes.
    Empty,
    /// A GGUF file.
    Gguf,
    /// A file of llama.cpp from before GGUF.
    Ggml,
    /// A safetensors file.
    Safetensors,
    /// A file that `torch.save` or `pickle` wrote.
    PyTorch,
    /// An HTML page.
    Html,
    /// The text that stands for a large file in a git repository.
    LfsPointer,
    /// A zip archive.
    Zip,
    /// Data compressed with gzip.
    Gzip,
    /// Data compressed with zstd, xz or bzip2, or a tar or 7z archive.
    Archive,
    /// Columns in Parquet's format.
    Parquet,
    /// Text in UTF-16, with or without a byte order mark.
    Utf16,
    /// JSON.
    Json,
    /// Other text, with its first characters.
    Text(String),
}

impl Format {
    /// The format of a file that begins with `head`, which holds up to [`HEAD`] bytes; `None` if it is not known.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        const TORCH: &[u8] = &[0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9];
        const ARCHIVES: [&[u8]; 4] = [
            &[0x28, 0xb5, 0x2f, 0xfd],
            &[0xfd, b'7', b'z', b'X', b'Z', 0],
            b"BZh",
            &[b'7', b'z', 0xbc, 0xaf],
        ];
        let starts = |magic: &[u8]| head.starts_with(magic);
        Some(match head {
            [] => Self::Empty,
            // The length of the header, below 2^32, and its first byte.
            [_, _, _, _, 0, 0, 0, 0, b'{', ..] => Self::Safetensors,
            _ if starts(b"GGUF") => Self::Gguf,
            _ if [b"tjgg", b"fmgg", b"lmgg", b"algg"].iter().any(|magic| starts(*magic)) => Self::Ggml,
            _ if starts(TORCH) => Self::PyTorch,
            _ if starts(b"PK\x03\x04") => {
                let pickle = head.windows(8).any(|bytes| bytes == b"data.pkl");
                if pickle { Self::PyTorch } else { Self::Zip }
            }
            _ if starts(&[0x1f, 0x8b]) => Self::Gzip,
            _ if ARCHIVES.iter().any(|magic| starts(magic)) => Self::Archive,
            _ if head.get(257..262) == Some(b"ustar") => Self::Archive,
            _ if starts(b"PAR1") => Self::Parquet,
            [1..=0x7f, 0, 1..=0x7f, 0, ..] | [0, 1..=0x7f, 0, 1..=0x7f, ..] => Self::Utf16,
            _ if starts(&[0xff, 0xfe]) || starts(&[0xfe, 0xff]) => Self::Utf16,
            _ => return Self::of_text(head),
        })
    }

    /// Whether a file of this format stands where text or JSON was expected, by mistake.
    #[must_use]
    pub fn is_wrong_text(&self) -> bool {
        !matches!(self, Self::Empty | Self::Json | Self::Text(_))
    }

    /// The format of a file that is text.
    fn of_text(head: &[u8]) -> Option<Self> {
        // The last character may be cut.
        let valid = match std::str::from_utf8(head) {
            Ok(text) => text,
            Err(error) if error.error_len().is_none() && head.len() - error.valid_up_to() < 4 => {
                std::str::from_utf8(&head[..error.valid_up_to()]).ok()?
            }
            Err(_) => return None,
        };
        let text = valid.trim_start_matches('\u{feff}').trim_start();
        if text.contains(|c: char| c.is_control() && !c.is_whitespace()) {
            return None;
        }
        let begins = |tag: &str| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
        Some(if begins("<!doctype html") || begins("<html") {
            Self::Html
        } else if begins("version https://git-lfs") {
            Self::LfsPointer
        } else if begins("{") || begins("[") {
            Self::Json
        } else {
            Self::Text(text.lines().next().unwrap_or_default().chars().take(SHOWN).collect())
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty file",
            Self::Gguf => "a GGUF file",
            Self::Ggml => "a GGML file from before GGUF",
            Self::Safetensors => "a safetensors file",
            Self::PyTorch => "a PyTorch checkpoint",
            Self::Html => "an HTML page",
            Self::LfsPointer => "a git LFS pointer, not the file itself",
            Self::Zip => "a zip archive",
            Self::Gzip => "a gzip archive",
            Self::Archive => "a compressed archive",
            Self::Parquet => "a Parquet file",
            Self::Utf16 => "text in UTF-16",
            Self::Json => "a JSON file",
            Self::Text(begins) => return write!(f, "text that begins with `{}`", begins.escape_debug()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formats_are_recognized() {
        let tar = [&[b'a'; 257][..], b"ustar\0"].concat();
        let text = |begins: &str| Some(Format::Text(begins.to_owned()));
        for (head, format) in [
            (&b""[..], Some(Format::Empty)),
            (b"GGUF\x03\0\0\0", Some(Format::Gguf)),
            (b"tjgg\x03\0\0\0", Some(Format::Ggml)),
            (b"\x40\0\0\0\0\0\0\0{\"a\"", Some(Format::Safetensors)),
            (b"\x1f\x8b\0\0\0\0\0\0{\"a\"", Some(Format::Safetensors)),
            (b"GGUF\x03\0\0\0{", Some(Format::Gguf)),
            (b"PK\x03\x04...archive/data.pkl", Some(Format::PyTorch)),
            (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j", Some(Format::PyTorch)),
            (b"PK\x03\x04...model.gguf", Some(Format::Zip)),
            (b"\x1f\x8b\x08", Some(Format::Gzip)),
            (b"\x28\xb5\x2f\xfd", Some(Format::Archive)),
            (&tar, Some(Format::Archive)),
            (b"\n  <!DOCTYPE html>\n<html>", Some(Format::Html)),
            (b"\xef\xbb\xbf<HTML>", Some(Format::Html)),
            (b"version https://git-lfs.github.com/spec/v1\noid", Some(Format::LfsPointer)),
            (b"PAR1\x15\x04", Some(Format::Parquet)),
            (b"\xff\xfeA\0", Some(Format::Utf16)),
            (b"{\0\"\0", Some(Format::Utf16)),
            (b"\0{\0\"", Some(Format::Utf16)),
            (b"{\"error\":\"x\"}", Some(Format::Json)),
            (b"Entry not found", text("Entry not found")),
            (b"one\ntwo", text("one")),
            (b"caf\xc3", text("caf")),
            (b"\x01\x02\x03\x04", None),
            (b"\xff\xff\xff", None),
        ] {
            assert_eq!(Format::of(head), format, "{}", head.escape_ascii());
        }
        assert_eq!(text("a\u{1b}b").unwrap().to_string(), "text that begins with `a\\u{1b}b`");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(head in proptest::collection::vec(any::<u8>(), 0..40)) {
            Format::of(&head).map(|format| format.to_string());
        }
    }
}
