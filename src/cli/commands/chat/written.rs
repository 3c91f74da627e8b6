//! The text of a saved conversation: JSON lines, of which the first is about the file and each other is a message.

use anyhow::{Context as _, bail};
use ggrun::chat::Message;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    ggrun_session: u32,
    /// The model file, for readers of this one.
    model: String,
}

/// The text of a file.
pub(super) fn text(model: &str, messages: &[Message]) -> serde_json::Result<String> {
    let mut lines = serde_json::to_string(&Head { ggrun_session: VERSION, model: model.to_owned() })?;
    for message in messages {
        lines.push('\n');
        lines += &serde_json::to_string(message)?;
    }
    lines.push('\n');
    Ok(lines)
}

/// Reads the text of a file.
pub(super) fn parse(text: &str) -> anyhow::Result<Vec<Message>> {
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
    use proptest::prelude::*;
    use std::fs;
    use std::path::Path;

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

    /// The fuzz target `chat_session`, on its seeds: whole, truncated and mutated.
    #[test]
    fn any_text_is_a_conversation_or_refused() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/chat_session");
        let round = |bytes: &[u8]| {
            let Ok(messages) = parse(&String::from_utf8_lossy(bytes)) else { return false };
            assert_eq!(parse(&text("model", &messages).unwrap()).unwrap(), messages);
            true
        };
        let (mut good, mut mutants) = (0, 0);
        for entry in fs::read_dir(folder).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            good += u32::from(round(&bytes));
            for at in 0..bytes.len() {
                round(&bytes[..at]);
                let mut mutant = bytes.clone();
                mutant[at] ^= 1;
                mutants += u32::from(round(&mutant));
            }
        }
        assert!(good >= 4 && mutants > 100, "{good} seeds and {mutants} mutants are conversations");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in "[\\PC\n{}\":,]{0,80}") {
            drop(parse(&text));
        }
    }
}
