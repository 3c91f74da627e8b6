//! The folder of this user's conversations and history.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use ggrun::atomic::{self, Access};
use ggrun::chat::Message;
use ggrun::conversations::{self, Conversation};

use crate::cli::options::file::{self, Text};
use crate::cli::shared::folder::state_folder;

/// The age from which an unfinished file without a lock is not in use.
const IN_USE: Duration = Duration::from_hours(24);

/// The folder of conversations and of the history of entries.
#[derive(Debug, Clone)]
pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    /// The folder of this user.
    pub(super) fn of_user() -> Option<Self> {
        Some(Self { folder: state_folder()? })
    }

    /// The file of the history. Creates its folder.
    pub(super) fn history(&self) -> std::io::Result<PathBuf> {
        fs::create_dir_all(&self.folder)?;
        Ok(self.folder.join("history"))
    }

    /// Removes what a killed process left beside the conversations.
    pub(super) fn sweep(&self) {
        let sessions = self.sessions();
        sessions.sweep();
        let Ok(entries) = fs::read_dir(sessions.folder()) else { return };
        for entry in entries.flatten().filter(|entry| is_older_leftover(&entry.file_name())) {
            let age = entry.metadata().ok().and_then(|found| found.modified().ok()?.elapsed().ok());
            if age.is_some_and(|age| age > IN_USE) {
                // The next sweep tries again.
                drop(fs::remove_file(entry.path()));
            }
        }
    }

    fn sessions(&self) -> conversations::Store {
        conversations::Store::new(self.folder.join("sessions"))
    }

    /// The names of all conversations, sorted.
    pub(super) fn names(&self) -> anyhow::Result<Vec<String>> {
        let sessions = self.sessions();
        sessions.names().with_context(|| format!("cannot read `{}`", sessions.folder().display()))
    }

    /// The file of a conversation, which is always in the folder of conversations.
    pub(super) fn path(&self, name: &str) -> anyhow::Result<PathBuf> {
        Ok(self.sessions().path(name)?)
    }
}

/// Whether a file has the name that builds before this one gave to unfinished files: `.tmp` and six characters.
fn is_older_leftover(name: &OsStr) -> bool {
    let rest = name.to_str().and_then(|name| name.strip_prefix(".tmp"));
    rest.is_some_and(|rest| rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Writes a conversation. An older file is replaced once the new one is complete; if `before` are the messages that this
/// conversation last had in it, its other branches stay.
pub(super) fn write(
    path: &Path,
    model: &str,
    before: Option<&[Message]>,
    messages: Vec<Message>,
) -> anyhow::Result<()> {
    let failed = || format!("cannot write `{}`", path.display());
    fs::create_dir_all(atomic::folder(path)).with_context(failed)?;
    // A file that is not a conversation is replaced.
    let old = before.filter(|_| path.exists()).and_then(|before| Some((before, read(path).ok()?)));
    let conversation = match old {
        Some((before, mut conversation)) => {
            model.clone_into(&mut conversation.model);
            conversation.replace(before, messages);
            conversation
        }
        None => Conversation::new(model, messages),
    };
    atomic::write(path, conversation.text()?.as_bytes(), Access::Owner).with_context(failed)
}

/// Reads a conversation.
pub(super) fn read(path: &Path) -> anyhow::Result<Conversation> {
    let text = file::read(path, Text::Conversation)?;
    Conversation::parse(&text).with_context(|| format!("`{}` is not a conversation of ggrun", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ggrun::chat::Role;

    #[test]
    fn leftovers_of_a_killed_process_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store { folder: folder.path().to_owned() };
        store.sweep();
        let sessions = folder.path().join("sessions");
        fs::create_dir(&sessions).unwrap();
        let file = |name: &str| fs::File::create(sessions.join(name)).unwrap();
        let day = std::time::SystemTime::now() - 2 * IN_USE;
        for name in [".tmpAbc123", ".tmp-mine", "a.jsonl"] {
            file(name).set_modified(day).unwrap();
        }
        drop([".tmpYoung1", ".ggrun-abcDEF012345.tmp"].map(file));
        store.sweep();
        let mut left: Vec<_> =
            fs::read_dir(&sessions).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".tmp-mine", ".tmpYoung1", "a.jsonl"]);
    }

    #[test]
    fn a_conversation_that_cannot_be_written_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/a.jsonl");
        write(&path, "m", None, vec![Message::new(Role::User, "hi")]).unwrap();
        fs::create_dir(folder.path().join("b.jsonl")).unwrap();
        assert!(write(&folder.path().join("b.jsonl"), "m", None, vec![]).is_err());
        assert_eq!(read(&path).unwrap().messages().len(), 1);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left behind");
    }

    #[test]
    fn branches_that_another_program_wrote_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let said = |texts: &[&str]| -> Vec<Message> {
            texts.iter().map(|text| Message::new(Role::User, *text)).collect()
        };
        write(&path, "m", Some(&[]), said(&["a", "b"])).unwrap();
        let mut page = read(&path).unwrap();
        page.title = Some("title".to_owned());
        page.replace(&[], said(&["a", "c"]));
        fs::write(&path, page.text().unwrap()).unwrap();
        write(&path, "n", Some(&said(&["a", "b"])), said(&["a", "d", "e"])).unwrap();
        let read = read(&path).unwrap();
        assert_eq!((read.messages(), read.len()), (said(&["a", "d", "e"]), 4));
        assert_eq!((read.title.as_deref(), read.model.as_str()), (Some("title"), "n"));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"c\"") && !text.contains("\"b\""), "{text}");
        fs::write(&path, "something else").unwrap();
        write(&path, "m", Some(&[]), said(&["a"])).unwrap();
        assert_eq!(super::read(&path).unwrap().messages(), said(&["a"]));
    }
}
