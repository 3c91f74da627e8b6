//! The folder of this user's conversations and history.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ggrun::chat::Message;
use ggrun::conversations::{self, Condition, Conversation, Error, FormatError};

use crate::cli::shared::folder::state_folder;

/// The age from which an unfinished file without a lock is not in use.
const IN_USE: Duration = Duration::from_hours(24);

/// The folder of conversations and of the history of entries.
#[derive(Debug, Clone)]
pub(super) struct Store {
    folder: PathBuf,
    sessions: Arc<conversations::Store>,
}

impl Store {
    /// The folder of this user.
    pub(super) fn of_user() -> Option<Self> {
        Some(Self::new(state_folder()?))
    }

    fn new(folder: PathBuf) -> Self {
        let sessions = Arc::new(conversations::Store::new(folder.join("sessions")));
        Self { folder, sessions }
    }

    /// The file of the history. Creates its folder.
    pub(super) fn history(&self) -> std::io::Result<PathBuf> {
        fs::create_dir_all(&self.folder)?;
        Ok(self.folder.join("history"))
    }

    /// Removes what a killed process left beside the conversations.
    pub(super) fn sweep(&self) {
        self.sessions.sweep();
        let Ok(entries) = fs::read_dir(self.sessions.folder()) else { return };
        for entry in entries.flatten().filter(|entry| is_older_leftover(&entry.file_name())) {
            let age = entry.metadata().ok().and_then(|found| found.modified().ok()?.elapsed().ok());
            if age.is_some_and(|age| age > IN_USE) {
                // The next sweep tries again.
                drop(fs::remove_file(entry.path()));
            }
        }
    }

    /// The names of all conversations, sorted.
    pub(super) fn names(&self) -> anyhow::Result<Vec<String>> {
        self.sessions.names().with_context(|| format!("cannot read `{}`", self.sessions.folder().display()))
    }

    /// The file of a conversation, which is always in the folder of conversations.
    pub(super) fn path(&self, name: &str) -> anyhow::Result<PathBuf> {
        Ok(self.sessions.path(name)?)
    }

    /// Reads a conversation; `None` if no file has this name.
    pub(super) fn read(&self, name: &str) -> anyhow::Result<Option<Conversation>> {
        let path = self.path(name)?;
        match self.sessions.get(name) {
            Ok((conversation, _)) => Ok(Some(conversation)),
            Err(Error::Missing { .. }) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        }
    }

    /// Writes a conversation. An older file is replaced once the new one is complete; if `before` are the messages that
    /// this conversation last had in it, its other branches stay.
    pub(super) fn write(
        &self,
        name: &str,
        model: &str,
        before: Option<&[Message]>,
        messages: &[Message],
    ) -> anyhow::Result<()> {
        let path = self.path(name)?;
        loop {
            match self.try_write(name, model, before, messages) {
                // Another program has changed it since it was read.
                Err(Error::Changed { .. } | Error::Exists { .. } | Error::Missing { .. }) => {}
                written => return written.with_context(|| format!("cannot write `{}`", path.display())),
            }
        }
    }

    fn try_write(
        &self,
        name: &str,
        model: &str,
        before: Option<&[Message]>,
        messages: &[Message],
    ) -> Result<(), Error> {
        let now = messages.to_vec();
        let (conversation, condition) = match (self.sessions.get(name), before) {
            (Ok((mut old, tag)), Some(before)) => {
                model.clone_into(&mut old.model);
                old.replace(before, now);
                (old, Condition::Tags(vec![tag]))
            }
            (Err(Error::Missing { .. }), _) => (Conversation::new(model, now), Condition::New),
            (Err(error @ Error::Format(FormatError::Version { .. })), _) => return Err(error),
            // A file that is not a conversation is replaced.
            (Ok(_), None) | (Err(Error::Format(_)), _) => (Conversation::new(model, now), Condition::Exists),
            (Err(error), _) => return Err(error),
        };
        self.sessions.put(name, &conversation, &condition)?;
        Ok(())
    }
}

/// Whether a file has the name that builds before this one gave to unfinished files: `.tmp` and six characters.
fn is_older_leftover(name: &OsStr) -> bool {
    let rest = name.to_str().and_then(|name| name.strip_prefix(".tmp"));
    rest.is_some_and(|rest| rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ggrun::chat::Role;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn leftovers_of_a_killed_process_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
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
        let store = Store::new(folder.path().join("new"));
        store.write("a", "m", None, &[Message::new(Role::User, "hi")]).unwrap();
        let sessions = folder.path().join("new/sessions");
        assert_eq!(fs::metadata(&sessions).unwrap().permissions().mode() & 0o777, 0o700);
        fs::create_dir(sessions.join("b.jsonl")).unwrap();
        assert!(store.write("b", "m", None, &[]).is_err());
        let newer = "{\"ggrun_session\":3,\"model\":\"m\"}\n";
        fs::write(sessions.join("c.jsonl"), newer).unwrap();
        for before in [None, Some(&[][..])] {
            let error = format!("{:#}", store.write("c", "m", before, &[]).unwrap_err());
            assert!(error.contains("version 3 is not supported"), "{error}");
        }
        assert_eq!(fs::read_to_string(sessions.join("c.jsonl")).unwrap(), newer);
        assert_eq!(store.read("a").unwrap().unwrap().messages().len(), 1);
        assert_eq!(store.read("d").unwrap(), None);
        assert_eq!(fs::read_dir(&sessions).unwrap().count(), 3, "nothing is left behind");
    }

    #[test]
    fn branches_that_another_program_wrote_stay() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        let said = |texts: &[&str]| -> Vec<Message> {
            texts.iter().map(|text| Message::new(Role::User, *text)).collect()
        };
        let read = || store.read("a").unwrap().unwrap();
        store.write("a", "m", Some(&[]), &said(&["a", "b"])).unwrap();
        let mut page = read();
        page.title = Some("title".to_owned());
        page.replace(&[], said(&["a", "c"]));
        let path = store.path("a").unwrap();
        fs::write(&path, page.text().unwrap()).unwrap();
        store.write("a", "n", Some(&said(&["a", "b"])), &said(&["a", "d", "e"])).unwrap();
        assert_eq!((read().messages(), read().len()), (said(&["a", "d", "e"]), 4));
        assert_eq!((read().title.as_deref(), read().model.as_str()), (Some("title"), "n"));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"c\"") && !text.contains("\"b\""), "{text}");
        fs::write(&path, "something else").unwrap();
        store.write("a", "m", Some(&[]), &said(&["a"])).unwrap();
        assert_eq!(read().messages(), said(&["a"]));
    }

    #[test]
    fn what_another_program_writes_meanwhile_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        let said = |texts: &[String]| -> Vec<Message> {
            texts.iter().map(|text| Message::new(Role::User, text.as_str())).collect()
        };
        let writers: Vec<String> = (0..4).map(|writer| format!("writer {writer}")).collect();
        std::thread::scope(|scope| {
            for writer in &writers {
                scope.spawn(|| {
                    for count in 1..20 {
                        let [before, now] = [count - 1, count].map(|n| said(&vec![writer.clone(); n]));
                        store.write("a", "m", Some(&before), &now).unwrap();
                    }
                });
            }
        });
        let mut left = store.read("a").unwrap().unwrap();
        assert_eq!(left.len(), 4 * 19);
        for writer in &writers {
            let branch = said(&vec![writer.clone(); 19]);
            left.replace(&branch, branch.clone());
            assert_eq!((left.messages(), left.len()), (branch, 4 * 19));
        }
    }
}
