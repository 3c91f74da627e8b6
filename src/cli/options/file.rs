//! Text in files that options name: opened once, read up to a limit, and checked to be text.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use gguf_export::format::{Format, HEAD};
use gguf_export::{Error, size};

/// What a file holds, which decides how large it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    Grammar,
    Schema,
    Template,
    Tools,
    SystemPrompt,
    Prompt,
    /// Text for measuring quality.
    Sample,
    /// Text before a message of a chat.
    Attachment,
}

impl Text {
    /// The name in messages.
    fn name(self) -> &'static str {
        match self {
            Self::Grammar => "the grammar",
            Self::Schema => "the JSON schema",
            Self::Template => "the chat template",
            Self::Tools => "tools",
            Self::SystemPrompt => "the system prompt",
            Self::Prompt => "the prompt",
            Self::Sample | Self::Attachment => "the text",
        }
    }

    /// The largest file in bytes.
    fn limit(self) -> u64 {
        match self {
            Self::Grammar | Self::Schema | Self::Template => 1 << 20,
            Self::Tools | Self::Attachment => 16 << 20,
            Self::SystemPrompt | Self::Prompt => 256 << 20,
            Self::Sample => 1 << 30,
        }
    }
}

/// Reads a text from a file or a pipe such as `<(command)`, without a byte-order mark at its start.
///
/// # Errors
///
/// When it cannot be read, is a folder or a device, is too large, or is not text in UTF-8.
pub(crate) fn read(path: &Path, text: Text) -> anyhow::Result<String> {
    let failed = || format!("cannot read {} from `{}`", text.name(), path.display());
    let kind = |meta: &Metadata| refuse_device(meta).with_context(failed);
    // Before opening as well, because opening a device may have effects.
    kind(&std::fs::metadata(path).with_context(failed)?)?;
    let file = File::open(path).with_context(failed)?;
    kind(&file.metadata().with_context(failed)?)?;
    let limit = text.limit();
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).with_context(failed)?;
    if bytes.len() as u64 > limit {
        bail!("{}: it has more than {}", failed(), size(limit));
    }
    // A template may be HTML, and other text may quote it.
    let wrong = |found: &Format| found.is_wrong_text() && *found != Format::Html;
    if let Some(found) = Format::of(&bytes[..bytes.len().min(HEAD)]).filter(wrong) {
        return Err(Error::OtherFormat { path: path.to_owned(), found, expected: "text in UTF-8" })
            .with_context(failed);
    }
    let text = String::from_utf8(bytes).ok().with_context(|| format!("{}: it is not UTF-8", failed()))?;
    Ok(without_mark(text))
}

/// Refuses folders and everything that is not a file or a pipe.
pub(crate) fn refuse_device(meta: &Metadata) -> anyhow::Result<()> {
    let kind = meta.file_type();
    if kind.is_file() || kind.is_fifo() {
        return Ok(());
    }
    let what = if kind.is_dir() {
        "a folder"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    bail!("it is {what}, expected a file");
}

/// Refuses everything that is not a regular file, without opening it.
///
/// # Errors
///
/// When it does not exist or is something else.
pub(crate) fn regular(path: &Path) -> anyhow::Result<()> {
    let failed = || format!("cannot read `{}`", path.display());
    let meta = std::fs::metadata(path).with_context(failed)?;
    refuse_device(&meta).with_context(failed)?;
    if meta.file_type().is_fifo() {
        bail!("{}: it is a pipe, expected a file", failed());
    }
    Ok(())
}

/// Whether a value that should be text is the name of a file instead.
pub(crate) fn is_name(value: &str, endings: &[&str]) -> bool {
    let path = Path::new(value);
    let ending = path.extension().and_then(|ending| ending.to_str());
    !value.contains('\n') && (ending.is_some_and(|ending| endings.contains(&ending)) || path.is_file())
}

/// The text without a byte-order mark at its start.
fn without_mark(text: String) -> String {
    match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_text() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "\u{feff}a\u{feff}b").unwrap();
        assert_eq!(read(file.path(), Text::Prompt).unwrap(), "a\u{feff}b");
    }

    #[test]
    fn what_is_not_text_is_refused_with_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        for (bytes, says) in [
            (&b"\xff\xfea\0"[..], "is text in UTF-16, expected text in UTF-8"),
            (b"GGUF\x03\0\0\0", "is a GGUF file, expected text in UTF-8"),
            (b"\x1f\x8b\x08\0", "is a gzip archive, expected text in UTF-8"),
            (b"a\xffb", "it is not UTF-8"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = format!("{:#}", read(&path, Text::Grammar).unwrap_err());
            assert!(error.starts_with("cannot read the grammar from") && error.contains(says), "{error}");
        }
        std::fs::write(&path, vec![b'a'; (1 << 20) + 1]).unwrap();
        let error = read(&path, Text::Schema).unwrap_err().to_string();
        assert!(error.ends_with("it has more than 1.00 MiB"), "{error}");
        assert_eq!(read(&path, Text::Prompt).unwrap().len(), (1 << 20) + 1);
        for (path, says) in [(folder.path(), "it is a folder"), (Path::new("/dev/zero"), "it is a device")] {
            let error = format!("{:#}", read(path, Text::Prompt).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_name_of_a_file_is_told_from_text() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(is_name("a/b.json", &["json"]) && is_name(file.path().to_str().unwrap(), &[]));
        assert!(!is_name("{}", &["json"]) && !is_name("root ::= \"a.gbnf\"", &["gbnf"]));
    }
}
