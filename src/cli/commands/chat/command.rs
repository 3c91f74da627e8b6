//! What is typed at the prompt: something to say, or a command that begins with `/`.

use std::path::PathBuf;

/// One entry at the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// Something for the model.
    Say(String),
    /// Something for us.
    Do(Command),
    /// Neither; why.
    Unknown(String),
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Regen,
    Undo,
    /// The last question anew; without a text it is put on the prompt to be changed.
    Edit(Option<String>),
    Clear,
    /// New instructions; without a text it shows them, `-` takes them away.
    System(Option<String>),
    /// An option of the command line and its value; without, it shows what was set.
    Set(Vec<String>),
    /// What becomes of the thinking.
    Think(Option<String>),
    Save(Option<String>),
    /// Without a name it lists what there is.
    Load(Option<String>),
    Export(PathBuf),
    Stats,
    Exit,
}

/// Every command, with what it does.
pub(super) const HELP: &str = "\
  /help              this list
  /regen             answer the last question again
  /undo              take the last question and its answer back
  /edit [TEXT]       change the last question and ask it again
  /clear             begin a new conversation
  /system [TEXT|-]   show, change or remove the instructions
  /set [NAME VALUE]  sampling: temp 0.7, top-k 20, seed 1, grammar ..., predict 500, reasoning-budget 200
  /think [HOW]       thinking: show, dim, fold or hide; on or off where the model can
  /save [NAME]       keep the conversation, and the model's state so that going on is quick
  /load [NAME]       go on with one that was kept, or list them
  /export FILE       write the conversation as Markdown
  /stats             tokens and times of the last answer
  /exit              leave (also Ctrl-D)

A line that ends with \\ goes on in the next one, and \"\"\" begins and ends a text of many lines.
Ctrl-C stops an answer and keeps what there is of it; a second Ctrl-C leaves.
";

impl Entry {
    /// Reads what was typed.
    pub(super) fn parse(text: &str) -> Self {
        let Some(line) = text.trim_end().strip_prefix('/') else { return Self::Say(text.to_owned()) };
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let text = || (!rest.is_empty()).then(|| rest.to_owned());
        let alone = |command| {
            if rest.is_empty() { Self::Do(command) } else { Self::Unknown(format!("/{name} takes nothing")) }
        };
        match name {
            "help" | "?" => alone(Command::Help),
            "regen" => alone(Command::Regen),
            "undo" => alone(Command::Undo),
            "clear" => alone(Command::Clear),
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
            "export" if rest.is_empty() => Self::Unknown("/export needs the name of a file".to_owned()),
            "export" => Self::Do(Command::Export(rest.into())),
            _ => Self::Unknown(format!("there is no command /{name}; /help lists them")),
        }
    }
}

/// Puts lines together to one entry.
#[derive(Debug, Default)]
pub(super) struct Lines {
    text: String,
    quoted: bool,
}

const QUOTE: &str = "\"\"\"";

impl Lines {
    /// Takes a line; gives the whole entry when no more belong to it.
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

    /// What there is when no more lines come.
    pub(super) fn finish(self) -> Option<String> {
        self.has_begun().then(|| self.text.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_said_and_commands_are_done() {
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
        for text in ["/nothing", "/undo twice", "/export", "/"] {
            assert!(matches!(Entry::parse(text), Entry::Unknown(_)), "{text}");
        }
        for line in HELP.lines().filter(|line| line.starts_with("  /")) {
            let name = line.split_whitespace().next().unwrap();
            let text = if name == "/export" { "/export x" } else { name };
            assert!(matches!(Entry::parse(text), Entry::Do(_)), "{name}");
        }
    }

    #[test]
    fn lines_are_put_together() {
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
