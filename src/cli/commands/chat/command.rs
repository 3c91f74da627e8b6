//! An entry at the prompt: a message, or a command that begins with `/`.

use std::path::PathBuf;

/// One entry at the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// A message to the model.
    Say(String),
    /// A command.
    Do(Command),
    /// An unknown or wrong command, and why.
    Unknown(String),
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    /// Answers the last question again, also one that failed.
    Regen,
    Undo,
    /// Replaces the last question; without a text the question is put on the prompt.
    Edit(Option<String>),
    Clear,
    /// Replaces earlier turns with a summary.
    Compact,
    /// Puts a file before the next message.
    Read(PathBuf),
    /// Copies the last answer.
    Copy,
    /// Sets the system prompt; without a text it is shown, `-` removes it.
    System(Option<String>),
    /// Sets an option; without a value it is shown, without a name all are.
    Set(Vec<String>),
    /// Removes the value of an option.
    Unset(String),
    /// Sets how thinking is shown, or turns it on or off.
    Think(Option<String>),
    Save(Option<String>),
    /// Loads a conversation; without a name they are listed.
    Load(Option<String>),
    Export(PathBuf),
    Stats,
    Exit,
}

/// All commands.
pub(super) const HELP: &str = "  /help                 list the commands
  /regen                answer the last question again, also one that failed (also /retry)
  /undo                 remove the last question and its answer
  /edit [TEXT]          change the last question and answer it again
  /clear                begin a new conversation
  /compact              replace earlier turns with a summary that the model writes
  /read FILE            put the text of a file before the next message
  /copy                 copy the last answer to the clipboard, as Markdown
  /system [TEXT|-]      show, set or remove the system prompt
  /set [NAME [VALUE]]   list the generation options, or show or set one by its long name
  /unset NAME           reset an option to its default
  /think [HOW]          set how thinking is shown (show, dim, fold or hide), or turn it on or off
  /save [NAME]          save the conversation, with the state of the model
  /load [NAME]          load a saved conversation, or list them
  /export FILE          write the conversation as Markdown
  /stats                show tokens and times of the last answer, and how full the context is
  /exit                 leave (also Ctrl-D)

End a line with \\ to continue it on the next one; begin and end text of several lines with \"\"\".
Tab completes commands, options and files.
Ctrl-C stops an answer and keeps its text, or discards what is typed; a second Ctrl-C leaves.
";

impl Entry {
    /// Reads an entry.
    pub(super) fn parse(text: &str) -> Self {
        let Some(line) = text.trim_end().strip_prefix('/') else { return Self::Say(text.to_owned()) };
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let text = || (!rest.is_empty()).then(|| rest.to_owned());
        let alone = |command| {
            if rest.is_empty() {
                Self::Do(command)
            } else {
                Self::Unknown(format!("/{name} takes no argument"))
            }
        };
        match name {
            "help" | "?" => alone(Command::Help),
            "regen" | "retry" => alone(Command::Regen),
            "undo" => alone(Command::Undo),
            "clear" => alone(Command::Clear),
            "compact" => alone(Command::Compact),
            "copy" => alone(Command::Copy),
            "stats" => alone(Command::Stats),
            "exit" | "quit" | "bye" => alone(Command::Exit),
            "edit" => Self::Do(Command::Edit(text())),
            "system" => Self::Do(Command::System(text())),
            "think" => Self::Do(Command::Think(text())),
            "save" => Self::Do(Command::Save(text())),
            "load" => Self::Do(Command::Load(text())),
            "set" => match rest.split_once(char::is_whitespace) {
                None if rest.is_empty() => Self::Do(Command::Set(Vec::new())),
                None => Self::Do(Command::Set(vec![rest.to_owned()])),
                Some((name, value)) => Self::Do(Command::Set(vec![name.to_owned(), value.trim().to_owned()])),
            },
            "unset" if rest.is_empty() => Self::Unknown("/unset needs the name of an option".to_owned()),
            "unset" => Self::Do(Command::Unset(rest.to_owned())),
            "read" if rest.is_empty() => Self::Unknown("/read needs the name of a file".to_owned()),
            "read" => Self::Do(Command::Read(rest.into())),
            "export" if rest.is_empty() => Self::Unknown("/export needs the name of a file".to_owned()),
            "export" => Self::Do(Command::Export(rest.into())),
            _ => Self::Unknown(format!("unknown command /{name}; /help lists the commands")),
        }
    }
}

/// The column of the descriptions.
pub(super) const DESCRIPTIONS: usize = 24;

/// The names of all commands, as they are typed.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    HELP.lines().filter(|line| line.starts_with("  /")).filter_map(|line| line.split_whitespace().next())
}

/// Joins lines to an entry.
#[derive(Debug, Default)]
pub(super) struct Lines {
    text: String,
    quoted: bool,
}

const QUOTE: &str = "\"\"\"";

impl Lines {
    /// Takes a line. Returns the entry once it is complete.
    pub(super) fn push(&mut self, line: &str) -> Option<String> {
        let line = line.trim_end_matches(['\r', '\n']);
        if self.quoted {
            if let Some(last) = line.trim_end().strip_suffix(QUOTE) {
                self.text.push_str(last);
                return Some(std::mem::take(self).text);
            }
            self.text.push_str(line);
            self.text.push('\n');
            return None;
        }
        if self.text.is_empty()
            && let Some(first) = line.strip_prefix(QUOTE)
        {
            if let Some(only) = first.strip_suffix(QUOTE) {
                return Some(only.to_owned());
            }
            self.quoted = true;
            if !first.is_empty() {
                self.text = format!("{first}\n");
            }
            return None;
        }
        if let Some(begun) = line.strip_suffix('\\') {
            self.text.push_str(begun);
            self.text.push('\n');
            return None;
        }
        self.text.push_str(line);
        Some(std::mem::take(self).text)
    }

    /// Whether an entry has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.quoted || !self.text.is_empty()
    }

    /// The incomplete entry at the end of the input.
    pub(super) fn finish(self) -> Option<String> {
        self.has_begun().then(|| self.text.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_from_commands() {
        let done = |text: &str| match Entry::parse(text) {
            Entry::Do(command) => command,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(Entry::parse("what is /regen?"), Entry::Say("what is /regen?".into()));
        assert_eq!(done("/regen "), Command::Regen);
        assert_eq!(done("/edit  new  text"), Command::Edit(Some("new  text".into())));
        assert_eq!(done("/edit"), Command::Edit(None));
        assert_eq!(done("/system -"), Command::System(Some("-".into())));
        assert_eq!(done("/set temp 0.5"), Command::Set(vec!["temp".into(), "0.5".into()]));
        assert_eq!(done("/set"), Command::Set(vec![]));
        assert_eq!(done("/export a b.md"), Command::Export("a b.md".into()));
        assert_eq!(done("/unset temp"), Command::Unset("temp".into()));
        for text in ["/nothing", "/undo twice", "/export", "/unset", "/read", "/"] {
            assert!(matches!(Entry::parse(text), Entry::Unknown(_)), "{text}");
        }
        assert_eq!(done("/retry"), Command::Regen);
        assert_eq!(names().next(), Some("/help"));
        let commands = HELP.lines().filter(|line| line.starts_with("  /"));
        assert!(commands.into_iter().all(|line| &line[DESCRIPTIONS - 1..DESCRIPTIONS] == " "), "{HELP}");
        for name in names() {
            let text = if ["/export", "/unset", "/read"].contains(&name) {
                format!("{name} x")
            } else {
                name.to_owned()
            };
            assert!(matches!(Entry::parse(&text), Entry::Do(_)), "{name}");
        }
    }

    #[test]
    fn lines_are_joined() {
        let read = |lines: &[&str]| {
            let mut reader = Lines::default();
            let found: Vec<String> = lines.iter().filter_map(|line| reader.push(line)).collect();
            (found, reader.finish())
        };
        assert_eq!(read(&["one\r\n", "two"]), (vec!["one".into(), "two".into()], None));
        assert_eq!(read(&["one\\", "two\\", "three"]), (vec!["one\ntwo\nthree".into()], None));
        assert_eq!(read(&["\"\"\"", "a\\", "", "b\"\"\"", "c"]), (vec!["a\\\n\nb".into(), "c".into()], None));
        assert_eq!(read(&["\"\"\"a\"\"\""]), (vec!["a".into()], None));
        assert_eq!(read(&["\"\"\"a", "b"]), (vec![], Some("a\nb".into())));
        assert_eq!(read(&["a\\"]), (vec![], Some("a".into())));
        assert_eq!(read(&[""]), (vec![String::new()], None));
    }
}
