//! Conversations on disk as JSON lines: the first is about the file, each other is a message.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use ggrun::chat::Message;
use serde::{Deserialize, Serialize};

use crate::cli::options::file::{self, Text};

const VERSION: u32 = 1;
const SUFFIX: &str = "jsonl";

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    ggrun_session: u32,
    /// The model file, for readers of this one.
    model: String,
}

/// The folder of conversations and of the history of entries.
#[derive(Debug, Clone)]
pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    /// The folder of this user: `ggrun` in the state folder of the XDG conventions, or of the system.
    pub(super) fn of_user() -> Option<Self> {
        let state = dirs::state_dir().or_else(dirs::data_local_dir)?;
        Some(Self { folder: state.join("ggrun") })
    }

    /// The file of the history. Creates its folder.
    pub(super) fn history(&self) -> std::io::Result<PathBuf> {
        fs::create_dir_all(&self.folder)?;
        Ok(self.folder.join("history"))
    }

    fn sessions(&self) -> PathBuf {
        self.folder.join("sessions")
    }

    /// The names of all conversations, sorted.
    pub(super) fn names(&self) -> anyhow::Result<Vec<String>> {
        let entries = match fs::read_dir(self.sessions()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| format!("cannot read `{}`", self.sessions().display()))?,
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let sessions = paths.filter(|path| path.extension().is_some_and(|suffix| suffix == SUFFIX));
        let mut names: Vec<String> =
            sessions.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
        names.sort();
        Ok(names)
    }

    /// The file of a conversation. A name with a `/` or the suffix is a path.
    pub(super) fn path(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = Path::new(name);
        if name.contains(['/', '\\']) || path.extension().is_some_and(|suffix| suffix == SUFFIX) {
            return Ok(path.to_owned());
        }
        let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            bail!("`{name}` is not a conversation name, expected letters, digits, `-`, `_` and `.`");
        }
        Ok(self.sessions().join(format!("{name}.{SUFFIX}")))
    }
}

/// Writes a conversation. An older file is replaced once the new one is complete.
pub(super) fn write(path: &Path, model: &str, messages: &[Message]) -> anyhow::Result<()> {
    let failed = || format!("cannot write `{}`", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(failed)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
    let mut lines = serde_json::to_string(&Head { ggrun_session: VERSION, model: model.to_owned() })?;
    for message in messages {
        lines.push('\n');
        lines += &serde_json::to_string(message)?;
    }
    lines.push('\n');
    file.write_all(lines.as_bytes()).and_then(|()| file.as_file().sync_all()).with_context(failed)?;
    file.persist(path).map_err(|error| error.error).with_context(failed)?;
    Ok(())
}

/// Reads a conversation.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Message>> {
    let text = file::read(path, Text::Conversation)?;
    parse(&text).with_context(|| format!("`{}` is not a conversation of ggrun", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Vec<Message>> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (_, first) = lines.next().context("the file is empty")?;
    let head: Head = serde_json::from_str(first).context("line 1 has no `ggrun_session`")?;
    if head.ggrun_session != VERSION {
        bail!("version {} is not supported, expected {VERSION}", head.ggrun_session);
    }
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).with_context(|| format!("line {} is not a message", at + 1))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ggrun::chat::Role;
    use proptest::prelude::*;

    #[test]
    fn names_stay_in_their_folder() {
        let store = Store { folder: "/state".into() };
        assert_eq!(store.path("a-b.2").unwrap(), Path::new("/state/sessions/a-b.2.jsonl"));
        assert_eq!(store.path("./a").unwrap(), Path::new("./a"));
        assert_eq!(store.path("a.jsonl").unwrap(), Path::new("a.jsonl"));
        for name in ["", ".", "..", ".hidden", "a b", "a\0"] {
            assert!(store.path(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn other_files_are_refused_with_the_line() {
        for (text, words) in [
            ("", "empty"),
            ("{}", "line 1"),
            ("{\"ggrun_session\":2,\"model\":\"\"}", "version 2"),
            ("{\"ggrun_session\":1,\"model\":\"\"}\n{\"role\":\"nobody\"}", "line 2"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_conversation_that_cannot_be_written_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/a.jsonl");
        write(&path, "m", &[Message::new(Role::User, "hi")]).unwrap();
        fs::create_dir(folder.path().join("b.jsonl")).unwrap();
        assert!(write(&folder.path().join("b.jsonl"), "m", &[]).is_err());
        assert_eq!(read(&path).unwrap().len(), 1);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left behind");
    }

    proptest! {
        #[test]
        fn reading_what_was_written_is_the_identity(texts in prop::collection::vec((".{0,20}", any::<bool>()), 0..6)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.jsonl");
            let messages: Vec<Message> = texts
                .into_iter()
                .map(|(text, thought)| {
                    let mut message = Message::new(Role::Assistant, text.clone());
                    message.reasoning_content = thought.then_some(text);
                    message
                })
                .collect();
            write(&path, "model", &messages).unwrap();
            prop_assert_eq!(read(&path).unwrap(), messages);
        }

        #[test]
        fn no_bytes_make_it_panic(text in "[\\PC\n{}\":,]{0,80}") {
            drop(parse(&text));
        }
    }
}
