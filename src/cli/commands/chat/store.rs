//! Conversations on disk as JSON lines: the first is about the file, each other is a message.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use ggrun::atomic::{self, Access};
use ggrun::chat::Message;

use super::written::{parse, text};
use crate::cli::options::file::{self, Text};

const SUFFIX: &str = "jsonl";
/// The age from which an unfinished file without a lock is not in use.
const IN_USE: Duration = Duration::from_secs(24 * 60 * 60);

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

    /// Removes what a killed process left beside the conversations.
    pub(super) fn sweep(&self) {
        atomic::sweep(&self.sessions());
        let Ok(entries) = fs::read_dir(self.sessions()) else { return };
        for entry in entries.flatten().filter(|entry| is_older_leftover(&entry.file_name())) {
            let age = entry.metadata().ok().and_then(|found| found.modified().ok()?.elapsed().ok());
            if age.is_some_and(|age| age > IN_USE) {
                // The next sweep tries again.
                drop(fs::remove_file(entry.path()));
            }
        }
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

    /// The file of a conversation, which is always in the folder of conversations. A name may have the suffix of its
    /// file.
    pub(super) fn path(&self, name: &str) -> anyhow::Result<PathBuf> {
        let name = name.strip_suffix(SUFFIX).and_then(|name| name.strip_suffix('.')).unwrap_or(name);
        let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            bail!("`{name}` is not a conversation name, expected letters, digits, `-`, `_` and `.`");
        }
        Ok(self.sessions().join(format!("{name}.{SUFFIX}")))
    }
}

/// The state of the model for the conversation in `path`, beside it.
pub(super) fn state_path(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".state");
    name.into()
}

/// Whether a file has the name that builds before this one gave to unfinished files: `.tmp` and six characters.
fn is_older_leftover(name: &OsStr) -> bool {
    let rest = name.to_str().and_then(|name| name.strip_prefix(".tmp"));
    rest.is_some_and(|rest| rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Writes a conversation. An older file is replaced once the new one is complete.
pub(super) fn write(path: &Path, model: &str, messages: &[Message]) -> anyhow::Result<()> {
    let failed = || format!("cannot write `{}`", path.display());
    fs::create_dir_all(atomic::folder(path)).with_context(failed)?;
    atomic::write(path, text(model, messages)?.as_bytes(), Access::Owner).with_context(failed)
}

/// Reads a conversation.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Message>> {
    let text = file::read(path, Text::Conversation)?;
    parse(&text).with_context(|| format!("`{}` is not a conversation of ggrun", path.display()))
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
        assert_eq!(store.path("a.jsonl").unwrap(), Path::new("/state/sessions/a.jsonl"));
        assert_eq!(store.path("a.state").unwrap(), Path::new("/state/sessions/a.state.jsonl"));
        for name in [
            "",
            ".",
            "..",
            ".hidden",
            "a b",
            "a\0",
            "./a",
            "../a",
            "/a",
            "a/b",
            "a\\b",
            "../a.jsonl",
            ".jsonl",
        ] {
            assert!(store.path(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn no_conversation_has_the_file_of_another_ones_state() {
        let store = Store { folder: "/state".into() };
        let names = ["x", "x.state", "x.jsonl.state", "x.y", "x.z"];
        let texts = names.map(|name| store.path(name).unwrap());
        let states = texts.clone().map(|path| state_path(&path));
        let all: std::collections::BTreeSet<PathBuf> = texts.into_iter().chain(states).collect();
        assert_eq!(all.len(), 2 * names.len());
    }

    #[test]
    fn leftovers_of_a_killed_process_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store { folder: folder.path().to_owned() };
        store.sweep();
        fs::create_dir(store.sessions()).unwrap();
        let file = |name: &str| fs::File::create(store.sessions().join(name)).unwrap();
        let day = std::time::SystemTime::now() - 2 * IN_USE;
        for name in [".tmpAbc123", ".tmp-mine", "a.jsonl"] {
            file(name).set_modified(day).unwrap();
        }
        drop([".tmpYoung1", ".ggrun-abcDEF012345.tmp"].map(file));
        store.sweep();
        let mut left: Vec<_> =
            fs::read_dir(store.sessions()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".tmp-mine", ".tmpYoung1", "a.jsonl"]);
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
    }
}
