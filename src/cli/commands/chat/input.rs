//! Where entries come from: a terminal with line editing and history, or a pipe.

use std::io::{self, BufRead as _, ErrorKind, IsTerminal as _};

use rustyline::error::{ReadlineError, Signal};
use rustyline::history::FileHistory;
use rustyline::{Behavior, CompletionType, Config, Editor};

use super::command::Lines;
use super::complete::Assistant;
use super::store::Store;
use crate::cli::ui::escape::printable;

/// An input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    Entry(String),
    /// Ctrl-C at the prompt.
    Interrupt {
        /// Whether something was typed, which is discarded.
        typed: bool,
    },
    /// A signal, since the last entry.
    Signal,
    /// Ctrl-D, or the end of the pipe.
    End,
}

/// A source of entries.
pub(super) enum Source {
    Terminal { editor: Box<Editor<Assistant, FileHistory>>, history: Option<std::path::PathBuf> },
    Pipe,
}

pub(super) const PROMPT: &str = "> ";
const CONTINUED: &str = ". ";

impl Source {
    /// The terminal with its history, or the pipe.
    pub(super) fn open(store: Option<&Store>) -> anyhow::Result<Self> {
        if !io::stdin().is_terminal() {
            return Ok(Self::Pipe);
        }
        let config = Config::builder()
            .behavior(Behavior::PreferTerm)
            .completion_type(CompletionType::List)
            .max_history_size(10_000)?
            .history_ignore_space(true)
            .build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(Assistant::new(store.cloned())));
        let history = store.and_then(|store| store.history().ok());
        if let Some(path) = &history {
            // It is missing the first time, and a damaged one does not matter.
            drop(editor.load_history(path));
        }
        Ok(Self::Terminal { editor: Box::new(editor), history })
    }

    /// Whether it is a terminal.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal { .. })
    }

    /// The next entry; `initial` is put after the prompt to be edited. It has no control characters other than newlines
    /// and tabs.
    pub(super) fn read(&mut self, prompt: &str, initial: &str) -> anyhow::Result<Input> {
        let mut lines = Lines::default();
        // The editor would write control characters to the terminal.
        let prompt = printable(prompt);
        let mut shown = initial;
        loop {
            let prompt = if lines.has_begun() { CONTINUED } else { &prompt };
            match self.line(prompt, std::mem::take(&mut shown))? {
                // The end of its lines has no other meaning.
                Input::Entry(line) if !initial.is_empty() && line == initial => {
                    return Ok(Input::Entry(line));
                }
                Input::Entry(line) => {
                    if let Some(entry) = lines.push(&line) {
                        self.remember(&entry);
                        return Ok(Input::Entry(entry));
                    }
                }
                Input::End => return Ok(lines.finish().map_or(Input::End, Input::Entry)),
                Input::Interrupt { typed } => {
                    return Ok(Input::Interrupt { typed: typed || lines.has_begun() });
                }
                Input::Signal => return Ok(Input::Signal),
            }
        }
    }

    fn line(&mut self, prompt: &str, initial: &str) -> anyhow::Result<Input> {
        match self {
            Self::Pipe => {
                let mut line = Vec::new();
                match io::stdin().lock().read_until(b'\n', &mut line) {
                    Ok(0) => Ok(Input::End),
                    Ok(_) => Ok(Input::Entry(String::from_utf8_lossy(&line).into_owned())),
                    Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Input::Signal),
                    Err(error) => Err(error.into()),
                }
            }
            Self::Terminal { editor, .. } => {
                let read = editor.readline_with_initial(prompt, (initial, ""));
                let typed = editor.helper().is_some_and(Assistant::take_typed);
                match read {
                    Ok(line) => Ok(Input::Entry(line)),
                    Err(ReadlineError::Interrupted) => Ok(Input::Interrupt { typed }),
                    Err(ReadlineError::Signal(Signal::Interrupt)) => Ok(Input::Signal),
                    Err(ReadlineError::Eof) => Ok(Input::End),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    fn remember(&mut self, entry: &str) {
        let Self::Terminal { editor, history } = self else { return };
        if entry.trim().is_empty() {
            return;
        }
        // A history that cannot be written does not matter.
        drop(editor.add_history_entry(entry.replace('\n', " ")));
        if let Some(path) = history {
            drop(editor.append_history(path));
        }
    }
}
