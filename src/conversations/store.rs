//! A folder of conversations, one file each.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use super::error::Error;
use super::format::Conversation;
use super::lock::{ChangeLock, Changing};
use super::name::{NotAName, SUFFIX, file_name};
use super::tag::{Condition, Tag};
use crate::atomic::{self, Access};

/// Bytes of a file.
const MOST_BYTES: u64 = 256 << 20;
/// Bytes of a first line, which has the title.
const HEAD: u64 = 64 << 10;
/// Bytes of the files that a search reads.
const MOST_SEARCHED: u64 = 64 << 20;
/// Files of a folder.
const MOST_FILES: usize = 10_000;

/// How long a change waits for another.
const PATIENCE: Duration = Duration::from_secs(10);

/// A folder of conversations.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    changing: ChangeLock,
}

/// A conversation in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its name.
    pub name: String,
    /// Its title, if it has one.
    pub title: Option<String>,
    /// Its model.
    pub model: String,
    /// When it was last changed.
    pub modified: SystemTime,
    /// The size of its file.
    pub bytes: u64,
}

impl Store {
    /// The conversations in a folder, which need not exist yet.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, changing: ChangeLock::default() }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a conversation, which is always in the folder. A name may have the ending of its file.
    ///
    /// # Errors
    ///
    /// When it is not a name of a conversation.
    pub fn path(&self, name: &str) -> Result<PathBuf, NotAName> {
        Ok(self.folder.join(file_name(name)?))
    }

    /// The names of all conversations, sorted.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let sessions = paths.filter(|path| path.extension().is_some_and(|suffix| suffix == SUFFIX));
        let mut names: Vec<String> =
            sessions.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
        names.sort();
        Ok(names)
    }

    /// All conversations that can be opened by name, the last changed first. Files that are something else are left out.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<Stored>> {
        let names = self.names()?;
        let mut list: Vec<Stored> = names.into_iter().filter_map(|name| self.stored(name)).collect();
        list.sort_by(|a, b| (b.modified, &a.name).cmp(&(a.modified, &b.name)));
        Ok(list)
    }

    /// The conversations of [`list`](Self::list) whose name, title or messages contain a text, in upper or lower case, and
    /// whether all were searched: older ones are not read once much was, or the search is not `is_wanted` any longer.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn search(&self, text: &str, is_wanted: impl Fn() -> bool) -> io::Result<(Vec<Stored>, bool)> {
        let text = text.to_lowercase();
        let has = |field: &str| field.to_lowercase().contains(&text);
        let mut left = MOST_SEARCHED;
        let mut is_complete = true;
        let mut found = self.list()?;
        found.retain(|stored| {
            if has(&stored.name) || stored.title.as_deref().is_some_and(has) {
                return true;
            }
            let Some(rest) = left.checked_sub(stored.bytes).filter(|_| is_wanted()) else {
                is_complete = false;
                return false;
            };
            left = rest;
            match self.read(&stored.name, stored.bytes).and_then(|text| Ok(Conversation::parse(&text)?)) {
                Ok(conversation) => conversation.mentions(&text),
                Err(Error::Io(_) | Error::TooLarge { .. }) => {
                    is_complete = false;
                    false
                }
                // A file that is damaged or was removed meanwhile contains nothing.
                Err(_) => false,
            }
        });
        Ok((found, is_complete))
    }

    /// Reads a conversation.
    ///
    /// # Errors
    ///
    /// When no conversation has this name, or the file is not one.
    pub fn get(&self, name: &str) -> Result<(Conversation, Tag), Error> {
        self.get_within(name, MOST_BYTES)
    }

    /// Reads a conversation of at most this many bytes.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), and when it has more.
    pub fn get_within(&self, name: &str, most: u64) -> Result<(Conversation, Tag), Error> {
        let text = self.read(name, most)?;
        Ok((Conversation::parse(&text)?, Tag::of(text.as_bytes())))
    }

    /// The text of a conversation of at most this many bytes.
    fn read(&self, name: &str, most: u64) -> Result<String, Error> {
        let most = most.min(MOST_BYTES);
        let (file, found) = self.open(name, most)?.ok_or_else(|| Error::Missing { name: name.to_owned() })?;
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(Error::TooLarge { found, most });
        }
        String::from_utf8(bytes).map_err(|_| Error::NotText)
    }

    /// Writes a conversation if the condition holds. Returns its new tag, and whether it is new.
    ///
    /// # Errors
    ///
    /// When the condition does not hold, or it cannot be written; the old file stays.
    pub fn put(
        &self,
        name: &str,
        conversation: &Conversation,
        condition: &Condition,
    ) -> Result<(Tag, bool), Error> {
        let path = self.path(name)?;
        let text = conversation.text().map_err(io::Error::from)?;
        if text.len() as u64 > MOST_BYTES {
            return Err(Error::TooLarge { found: text.len() as u64, most: MOST_BYTES });
        }
        if *condition == Condition::New {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        }
        let _changing = self.lock(name)?;
        let is_new = !self.check(name, condition)?;
        if is_new && self.names()?.len() >= MOST_FILES {
            return Err(Error::Full { most: MOST_FILES });
        }
        atomic::write(&path, text.as_bytes(), Access::Owner)?;
        Ok((Tag::of(text.as_bytes()), is_new))
    }

    /// Removes a conversation, and the state of the model beside it, if the condition holds.
    ///
    /// # Errors
    ///
    /// When the condition does not hold, or it cannot be removed.
    pub fn remove(&self, name: &str, condition: &Condition) -> Result<(), Error> {
        let path = self.path(name)?;
        let _changing = self.lock(name)?;
        if !self.check(name, condition)? {
            return Ok(());
        }
        match fs::remove_file(state_path(&path)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        Ok(fs::remove_file(&path)?)
    }

    /// Removes what a killed process left beside the conversations.
    pub fn sweep(&self) {
        atomic::sweep(&self.folder);
    }

    /// Locks the folder against other threads and processes. Without a folder there is no conversation of this name.
    fn lock(&self, name: &str) -> Result<Changing<'_>, Error> {
        match self.changing.lock(&self.folder, PATIENCE) {
            Ok(Some(changing)) => Ok(changing),
            Ok(None) => Err(Error::Busy),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(Error::Missing { name: name.to_owned() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the file exists, if the condition holds.
    fn check(&self, name: &str, condition: &Condition) -> Result<bool, Error> {
        let (exists, name) = (is_file(&self.path(name)?)?, name.to_owned());
        match condition {
            Condition::New if exists => Err(Error::Exists { name }),
            Condition::New => Ok(false),
            Condition::Exists | Condition::Tags(_) if !exists => Err(Error::Missing { name }),
            Condition::Exists => Ok(true),
            Condition::Tags(tags) => match self.tag(&name) {
                Ok(Some(tag)) if tags.contains(&tag) => Ok(true),
                // A file that is too large has no tag.
                Ok(Some(_)) | Err(Error::TooLarge { .. }) => Err(Error::Changed { name }),
                Ok(None) => Err(Error::Missing { name }),
                Err(error) => Err(error),
            },
        }
    }

    /// The tag of a file; `None` if it does not exist.
    fn tag(&self, name: &str) -> Result<Option<Tag>, Error> {
        let Some((file, _)) = self.open(name, MOST_BYTES)? else { return Ok(None) };
        let mut file = BufReader::new(file.take(MOST_BYTES));
        let mut hash = Sha256::new();
        loop {
            let part = file.fill_buf()?;
            if part.is_empty() {
                return Ok(Some(Tag::with(hash)));
            }
            hash.update(part);
            let length = part.len();
            file.consume(length);
        }
    }

    /// A file of at most this size, with its size; `None` if it does not exist.
    fn open(&self, name: &str, most: u64) -> Result<Option<(File, u64)>, Error> {
        let path = self.path(name)?;
        // Opening a FIFO would wait for a writer.
        if !is_file(&path)? {
            return Ok(None);
        }
        let file = File::open(&path)?;
        let found = file.metadata()?.len();
        if found > most {
            return Err(Error::TooLarge { found, most });
        }
        Ok(Some((file, found)))
    }

    fn stored(&self, name: String) -> Option<Stored> {
        let path = self.path(&name).ok()?;
        let found = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let mut file = BufReader::new(File::open(&path).ok()?).take(HEAD);
        let mut first = Vec::new();
        while first.trim_ascii().is_empty() {
            first.clear();
            if file.read_until(b'\n', &mut first).ok()? == 0 {
                return None;
            }
        }
        // A first line that is longer, or cut inside a character, is not read.
        let (model, title) = Conversation::head(&String::from_utf8_lossy(&first)).ok()?;
        Some(Stored { name, title, model, modified: found.modified().ok()?, bytes: found.len() })
    }
}

/// Whether a file exists. Something else in its place is an error.
fn is_file(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(true),
        Ok(_) => Err(ErrorKind::InvalidInput.into()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The state of the model for the conversation in `path`, beside it.
#[must_use]
pub fn state_path(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".state");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Message, Role};
    use std::collections::BTreeSet;
    use std::os::unix::fs::MetadataExt as _;

    fn said(text: &str) -> Conversation {
        let mut conversation = Conversation::new("m", vec![Message::new(Role::User, text)]);
        conversation.title = Some(text.to_owned());
        conversation
    }

    #[test]
    fn no_conversation_has_the_file_of_another_ones_state() {
        let store = Store::new("/state".into());
        let names = ["x", "x.state", "x.jsonl.state", "x.y", "x.z"];
        let texts = names.map(|name| store.path(name).unwrap());
        let states = texts.clone().map(|path| state_path(&path));
        let all: BTreeSet<PathBuf> = texts.into_iter().chain(states).collect();
        assert_eq!(all.len(), 2 * names.len());
    }

    #[test]
    fn a_change_needs_the_tag_of_what_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("a/sessions"));
        assert_eq!(store.list().unwrap(), []);
        assert!(matches!(store.get("x"), Err(Error::Missing { .. })));
        let (first, is_new) = store.put("x", &said("one"), &Condition::New).unwrap();
        assert!(is_new);
        assert_eq!(store.get("x").unwrap(), (said("one"), first.clone()));
        assert!(matches!(store.put("x", &said("two"), &Condition::New), Err(Error::Exists { .. })));
        let at = |tag: &Tag| Condition::Tags(vec![Tag::new("other"), tag.clone()]);
        let (second, is_new) = store.put("x", &said("two"), &at(&first)).unwrap();
        assert!(!is_new && second != first);
        assert!(matches!(store.put("x", &said("three"), &at(&first)), Err(Error::Changed { .. })));
        assert!(matches!(store.remove("x", &at(&first)), Err(Error::Changed { .. })));
        assert_eq!(store.get("x").unwrap().0, said("two"));
        assert!(matches!(store.put("y", &said(""), &at(&first)), Err(Error::Missing { .. })));
        assert!(matches!(store.put("y", &said(""), &Condition::Exists), Err(Error::Missing { .. })));
        store.put("x", &said("three"), &Condition::Exists).unwrap();
        fs::write(state_path(&store.path("x").unwrap()), "").unwrap();
        store.remove("x", &Condition::Exists).unwrap();
        assert_eq!(fs::read_dir(store.folder()).unwrap().count(), 0, "its state is removed with it");
    }

    #[test]
    fn a_change_of_one_process_waits_for_that_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| Store::new(folder.path().to_owned()));
        let changing = one.lock("x").unwrap();
        let try_lock = || other.changing.lock(folder.path(), Duration::ZERO).unwrap();
        assert!(try_lock().is_none());
        drop(changing);
        drop(try_lock().unwrap());

        one.put("x", &Conversation::new("m", Vec::new()), &Condition::New).unwrap();
        let append = |store: &Store| {
            for _ in 0..20 {
                loop {
                    let (old, tag) = store.get("x").unwrap();
                    let mut messages = old.messages();
                    messages.push(Message::new(Role::User, "more"));
                    let new = Conversation::new("m", messages);
                    match store.put("x", &new, &Condition::Tags(vec![tag])) {
                        Err(Error::Changed { .. }) => {}
                        written => break drop(written.unwrap()),
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| append(&one));
            scope.spawn(|| append(&other));
        });
        assert_eq!(one.get("x").unwrap().0.messages().len(), 40);
    }

    #[test]
    fn files_are_private_and_the_list_has_conversations_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("sessions"));
        for name in ["old", "new"] {
            store.put(name, &said(name), &Condition::New).unwrap();
        }
        let old = File::options().append(true).open(store.path("old").unwrap()).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        fs::write(store.folder().join("notes.jsonl"), "not one").unwrap();
        fs::write(store.folder().join("blank.jsonl"), "\n \n").unwrap();
        fs::write(store.folder().join("a b.jsonl"), "{\"ggrun_session\":1,\"model\":\"\"}").unwrap();
        fs::create_dir(store.folder().join("folder.jsonl")).unwrap();
        let list = store.list().unwrap();
        let names: Vec<&str> = list.iter().map(|stored| stored.name.as_str()).collect();
        assert_eq!(names, ["new", "old"]);
        assert_eq!((list[1].title.as_deref(), list[1].model.as_str()), (Some("old"), "m"));
        assert_eq!(list[1].bytes, fs::metadata(store.path("old").unwrap()).unwrap().len());
        assert_eq!(fs::metadata(store.path("new").unwrap()).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(store.folder()).unwrap().mode() & 0o777, 0o700);
        for name in ["folder", "notes", "../sessions/new", "a b"] {
            assert!(store.get(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_search_finds_titles_and_messages_of_all_branches() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        let mut one = said("Straße");
        one.title = Some("A Title".to_owned());
        one.replace(&[], vec![Message::new(Role::User, "Another \"Branch\"\n of it")]);
        store.put("one", &one, &Condition::New).unwrap();
        store.put("two", &said("two"), &Condition::New).unwrap();
        fs::write(store.folder().join("damaged.jsonl"), "{\"ggrun_session\":1,\"model\":\"\"}\ntwo\n")
            .unwrap();
        let found = |text: &str| {
            let (found, is_complete) = store.search(text, || true).unwrap();
            (found.into_iter().map(|stored| stored.name).collect::<Vec<_>>(), is_complete)
        };
        let only = |name: &str| (vec![name.to_owned()], true);
        for text in ["a title", "STRASSE".replace("SS", "ß").as_str(), "\"branch\"\n OF", "on"] {
            assert_eq!(found(text), only("one"), "{text}");
        }
        assert_eq!(found("TWO"), only("two"));
        assert_eq!(store.search("of it", || false).unwrap(), (Vec::new(), false));
        assert_eq!(found("content"), (Vec::new(), true), "names of fields are not searched");
        assert_eq!(found("\"}"), (Vec::new(), true));
        let large = File::create(store.path("large").unwrap()).unwrap();
        fs::write(store.path("large").unwrap(), "{\"ggrun_session\":1,\"model\":\"\"}\n").unwrap();
        large.set_len(MOST_SEARCHED + 1).unwrap();
        assert_eq!(found("straße"), (vec!["one".to_owned()], false));
        assert_eq!(found("larg").0, ["large"]);
    }

    #[test]
    fn large_files_and_pipes_are_refused_without_reading_them() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        File::create(store.path("large").unwrap()).unwrap().set_len(MOST_BYTES + 1).unwrap();
        assert!(matches!(store.get("large"), Err(Error::TooLarge { found, .. }) if found == MOST_BYTES + 1));
        assert!(matches!(store.put("large", &said("x"), &Condition::New), Err(Error::Exists { .. })));
        let tags = Condition::Tags(vec![Tag::new("x")]);
        assert!(matches!(store.remove("large", &tags), Err(Error::Changed { .. })));
        store.remove("large", &Condition::Exists).unwrap();
        assert!(matches!(store.get("large"), Err(Error::Missing { .. })));
        std::os::unix::fs::symlink("/dev/zero", store.path("device").unwrap()).unwrap();
        assert!(matches!(store.get("device"), Err(Error::Io(_))));
        fs::write(store.path("bytes").unwrap(), b"\xff\xfe").unwrap();
        assert!(matches!(store.get("bytes"), Err(Error::NotText)));
        assert_eq!(store.list().unwrap(), []);
    }
}
