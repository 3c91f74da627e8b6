//! Saved conversations: the text, and beside it the state of the model, so that a long one need not be read again.
//!
//! The state is optional: where it is missing, damaged or of another model, the text is read again.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ggrun::atomic;
use ggrun::conversations::state_path;
use ggrun::engine;
use ggrun::session;
use ggrun::state::{self, Refused};

use super::args::ChatArgs;
use super::conversation::Chat;
use super::store::Store;
use super::talk::Talk;
use crate::cli::ui::text;

/// The conversation of the command line.
pub(super) fn begin(args: &ChatArgs, store: Option<&Store>) -> anyhow::Result<Talk> {
    let mut talk = Talk::default();
    store.inspect(|store| store.sweep());
    if let Some(name) = &args.session
        && let Some(conversation) = folder(store)?.read(name)?
    {
        talk = Talk::from_messages(conversation.messages());
    }
    Ok(talk)
}

/// The file of a conversation's text.
pub(super) fn session_path(store: Option<&Store>, name: &str) -> anyhow::Result<PathBuf> {
    folder(store)?.path(name)
}

fn folder(store: Option<&Store>) -> anyhow::Result<&Store> {
    store.context("no folder for conversations; set XDG_STATE_HOME or HOME")
}

/// Bytes to leave free on the disk of a state.
const RESERVE: u64 = 512 << 20;

impl Chat<'_> {
    pub(super) fn save(&mut self, name: Option<&str>) -> anyhow::Result<String> {
        let name = name.or(self.args.session.as_deref()).context("/save needs a name")?;
        let path = self.write(name)?;
        let state = self.save_state(&path);
        self.unsaved &= self.args.session.as_deref() != Some(name);
        Ok(format!("saved {}, {state}: `{}`", self.size(), path.display()))
    }

    /// Saves the text.
    pub(super) fn write(&mut self, name: &str) -> anyhow::Result<PathBuf> {
        let store = folder(self.store.as_ref())?;
        let (model, messages) = (self.model.display().to_string(), self.talk.messages());
        let is_session = self.args.session.as_deref() == Some(name);
        let before = is_session.then_some(&self.stored[..]);
        store.write(name, &model, before, &messages)?;
        let path = store.path(name)?;
        if is_session {
            self.stored = messages;
        }
        Ok(path)
    }

    pub(super) fn load(&mut self, name: Option<&str>) -> anyhow::Result<String> {
        let Some(name) = name else {
            let names = self.store.as_ref().map_or_else(|| Ok(Vec::new()), Store::names)?;
            let none = || "no saved conversations".to_owned();
            return Ok(if names.is_empty() { none() } else { names.join("\n") });
        };
        let store = folder(self.store.as_ref())?;
        let (path, missing) = (store.path(name)?, || format!("no saved conversation `{name}`"));
        let talk = Talk::from_messages(store.read(name)?.with_context(missing)?.messages());
        self.leave();
        self.talk = talk;
        self.restore_state(&path);
        Ok(format!("{} so far", text::plural(self.talk.questions() as u64, "question")))
    }

    /// Saves the state beside the conversation in `path`. Returns its size, or the reason why it was not saved.
    pub(super) fn save_state(&self, path: &Path) -> String {
        if self.args.no_state {
            return "without state".to_owned();
        }
        match self.write_state(&state_path(path)) {
            Ok(bytes) => format!("{} state", text::bytes(bytes)),
            Err(error) => format!("no state: {error:#}"),
        }
    }

    fn write_state(&self, path: &Path) -> anyhow::Result<u64> {
        let request = self.request(0);
        let saved = match self.opened.session.save(&request) {
            Err(session::Error::Engine(error @ engine::Error::NothingToSave)) => {
                // The file has the state of another conversation.
                drop(std::fs::remove_file(path));
                return Err(error.into());
            }
            saved => saved?,
        };
        let bytes = state::file_bytes(&saved);
        let folder = atomic::folder(path);
        if let Some(lack) = lack(bytes, fs4::available_space(folder)?) {
            anyhow::bail!("{lack} in `{}`", folder.display());
        }
        let failed = || format!("cannot write `{}`", path.display());
        state::write(path, &self.opened.model.identity()?, &saved).with_context(failed)?;
        Ok(bytes)
    }

    /// Restores the state beside the conversation in `path`, or prints why it cannot.
    pub(super) fn restore_state(&mut self, path: &Path) {
        let path = state_path(path);
        if self.args.no_state {
            return;
        }
        let read = self.opened.model.identity().map_err(anyhow::Error::from);
        let taken = match read.map(|identity| state::read(&path, &identity)) {
            Ok(Err(Refused::Read(error))) if error.kind() == ErrorKind::NotFound => return,
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(saved)) => self.opened.session.restore(saved).map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            let what = format!("cannot use `{}`, reading the conversation again", path.display());
            self.say(&format!("{what}: {error:#}"));
        }
    }

    /// Saves the text of a conversation with a name after a change. Its state is saved by [`leave`](Self::leave).
    pub(super) fn changed(&mut self) {
        self.unsaved = true;
        if let Some(name) = &self.args.session
            && let Err(error) = self.write(name)
        {
            self.complain(&error);
        }
    }

    /// Saves a conversation with a name, at the end.
    pub(super) fn leave(&mut self) {
        let Some(name) = self.args.session.as_ref().filter(|_| std::mem::take(&mut self.unsaved)) else {
            return;
        };
        match self.write(name) {
            Err(error) => self.complain(&error),
            Ok(_) if self.args.no_state => {}
            Ok(path) => {
                let state = self.save_state(&path);
                self.say(&format!("saved {}, {state}", self.size()));
            }
        }
    }

    /// The length of the conversation.
    pub(super) fn size(&self) -> String {
        text::plural(self.talk.messages().len() as u64, "message")
    }
}

/// The shortage of space for a file of `bytes` if `free` bytes are free.
fn lack(bytes: u64, free: u64) -> Option<String> {
    let short = free < bytes.saturating_add(RESERVE);
    let [bytes, free, reserve] = [bytes, free, RESERVE].map(text::bytes);
    short.then(|| format!("it needs {bytes} and a reserve of {reserve}, {free} is free"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_leaves_a_reserve_free() {
        assert_eq!(lack(1 << 30, (1 << 30) + RESERVE), None);
        let lack = lack(1 << 30, 1 << 30).unwrap();
        assert_eq!(lack, "it needs 1.00 GiB and a reserve of 512.00 MiB, 1.00 GiB is free");
    }
}
