//! `/read` and `/export`: files of the user.

use std::path::Path;

use anyhow::{Context as _, bail};
use ggrun::atomic::{self, Access};

use super::conversation::Chat;
use super::path::expanded;
use crate::cli::options::file;
use crate::cli::ui::text;

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

/// The text of a regular file, without the newline at its end.
fn read(path: &Path) -> anyhow::Result<String> {
    // Opening a FIFO would wait for a writer.
    file::regular(path)?;
    let text = file::read(path, file::Text::Attachment)?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        bail!("cannot read the text from `{}`: it is empty", path.display());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_text_of_files_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let read = |path: &Path| read(path).map_err(|error| format!("{error:#}"));
        let written = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            read(&path)
        };
        assert_eq!(written("\u{feff}a\r\nb\r\n".as_bytes()).unwrap(), "a\r\nb");
        assert!(written(b"a\xff").unwrap_err().ends_with("it is not UTF-8"));
        assert!(written(b"\n").unwrap_err().ends_with("it is empty"));
        assert!(read(folder.path()).unwrap_err().ends_with("expected a file"));
        assert!(read(Path::new("/dev/zero")).unwrap_err().ends_with("expected a file"));
        fs::File::create(&path).unwrap().set_len((16 << 20) + 1).unwrap();
        assert!(read(&path).unwrap_err().ends_with("it has more than 16.00 MiB"));
    }
}
