//! `/read` and `/export`: files of the user.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use ggrun::atomic::{self, Access};

use super::conversation::Chat;
use super::path::expanded;
use crate::cli::ui::text;

/// The most bytes of a file.
const LARGEST: u64 = 16 << 20;

impl Chat<'_> {
    /// Puts the text of a file before the next message.
    pub(super) fn attach(&mut self, path: &Path) -> anyhow::Result<String> {
        let read = read(&expanded(path))?;
        let tokens = self.opened.session.count_text(&read) as u64;
        self.attached.push(read);
        Ok(format!(
            "read `{}`, {}; the next message begins with it",
            path.display(),
            text::plural(tokens, "token")
        ))
    }

    /// Writes the conversation as Markdown.
    pub(super) fn export(&self, path: &Path) -> anyhow::Result<String> {
        atomic::write(&expanded(path), self.talk.markdown().as_bytes(), Access::Usual)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(format!("wrote `{}`", path.display()))
    }
}

/// The text of a file, without a byte-order mark and without the newline at its end.
fn read(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let failed = || format!("cannot read `{shown}`");
    // Opening a FIFO would wait for a writer.
    let found = fs::metadata(path).with_context(failed)?;
    if !found.is_file() {
        bail!("cannot read `{shown}`: expected a file");
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).with_context(failed)?;
    if bytes.len() as u64 > LARGEST {
        bail!("`{shown}` is larger than {}", text::bytes(LARGEST));
    }
    let text = String::from_utf8(bytes).ok().with_context(|| format!("`{shown}` is not UTF-8 text"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        bail!("`{shown}` is empty");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_of_files_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let read = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            super::read(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read("\u{feff}a\r\nb\r\n".as_bytes()).unwrap(), "a\r\nb");
        assert!(read(b"\xff\xfe").unwrap_err().ends_with("is not UTF-8 text"));
        assert!(read(b"\n").unwrap_err().ends_with("is empty"));
        assert!(super::read(folder.path()).unwrap_err().to_string().ends_with("expected a file"));
        assert!(super::read(Path::new("/dev/zero")).unwrap_err().to_string().ends_with("expected a file"));
        let large = File::create(&path).unwrap();
        large.set_len(LARGEST + 1).unwrap();
        assert!(super::read(&path).unwrap_err().to_string().ends_with("is larger than 16.00 MiB"));
    }
}
