//! The text of a saved conversation: JSON lines, of which the first is about the file and each other is a message.
//!
//! Messages form a tree: `parent` is the number of the message that one follows, counted from zero, or null for a first
//! one; without it, a message follows the one on the line before. The conversation is the branch that ends with the
//! message `current`; null is the branch without messages, and without it, the last message is the current one. Version 1
//! has neither, and therefore one branch.
//!
//! Other fields stay as they are. The page of `ggrun serve` has one of its own, `page`, which is never sent to a model. In
//! the first line it is an object with `settings`: the fields of requests that the user has set, with `reasoning` for `off`,
//! `on` or an effort, and `tools`, `json_schema` and `raw` as JSON texts. In a message it has, as far as they are known:
//!
//! - `created`: when it was written, in seconds since 1970
//! - `model`: the name of the model that wrote it
//! - `finish`: why the answer ended: the API's `finish_reason`, `stopped` by the user, or `failed`
//! - `edited`: true if the user has changed the answer
//! - `reasoning_ms`: the time of the reasoning
//! - `timings`: of the API's `timings`, `queued_ms`, `cache_n`, `prompt_n`, `prompt_ms`, `predicted_n` and `predicted_ms`,
//!   rounded, and `first_token_ms`, from the request to the first token as the browser saw it

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::chat::Message;
use crate::json::problem;

const VERSION: u32 = 2;
/// Messages of a file.
const MOST: usize = 100_000;

/// A saved conversation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conversation {
    /// The model file, for readers of this one.
    pub model: String,
    /// The title, if it has one.
    pub title: Option<String>,
    /// Other fields about the file.
    pub more: Map<String, Value>,
    nodes: Vec<Node>,
    /// The last message of the branch that is shown; `None` for the branch without messages.
    current: Option<usize>,
}

/// A message and the one that it follows.
#[derive(Debug, Clone, PartialEq)]
struct Node {
    /// A message before this one in the list, so that there is no circle.
    parent: Option<usize>,
    message: Message,
}

/// Why a text is not a conversation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// It has no lines.
    #[error("the file is empty")]
    Empty,
    /// The first line is not about a conversation.
    #[error("line 1 has no `ggrun_session`: {problem}")]
    Head {
        /// What is wrong with it.
        problem: String,
    },
    /// It has another version.
    #[error("version {found} is not supported, expected at most {VERSION}")]
    Version {
        /// The version.
        found: u32,
    },
    /// A line is not a message.
    #[error("line {line} is not a message: {problem}")]
    Line {
        /// The number of the line.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A message follows one that is not before it.
    #[error("line {line} has the parent {parent}, expected the number of an earlier message or null")]
    Parent {
        /// The number of the line.
        line: usize,
        /// The parent.
        parent: String,
    },
    /// `current` is not a message.
    #[error("`current` is {current}, but there are {messages} messages")]
    Current {
        /// Its value.
        current: usize,
        /// The number of messages.
        messages: usize,
    },
    /// It has too many messages.
    #[error("the file has more than {MOST} messages")]
    TooMany,
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    ggrun_session: u32,
    model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// `None` if it is missing.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[expect(clippy::option_option, reason = "null is not the same as a missing field")]
    current: Option<Option<usize>>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// A value that is not missing, even if it is null.
#[expect(clippy::option_option, reason = "null is not the same as a missing field")]
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<usize>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl Conversation {
    /// A conversation of one branch.
    #[must_use]
    pub fn new(model: &str, messages: Vec<Message>) -> Self {
        let mut conversation = Self { model: model.to_owned(), ..Self::default() };
        conversation.append(None, messages);
        conversation
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// When it is not a conversation; the line is named.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (_, first) = lines.next().ok_or(FormatError::Empty)?;
        let Head { ggrun_session: version, model, title, current, more } = head(first)?;
        let mut nodes = Vec::new();
        for (at, line) in lines {
            if nodes.len() == MOST {
                return Err(FormatError::TooMany);
            }
            nodes.push(node(version, at + 1, line, nodes.len())?);
        }
        let current = current.unwrap_or(nodes.len().checked_sub(1));
        if let Some(current) = current.filter(|&current| current >= nodes.len()) {
            return Err(FormatError::Current { current, messages: nodes.len() });
        }
        Ok(Self { model, title, more, nodes, current })
    }

    /// Reads the model and the title from the first line of a text.
    ///
    /// # Errors
    ///
    /// When it is not that of a conversation.
    pub fn head(line: &str) -> Result<(String, Option<String>), FormatError> {
        head(line).map(|Head { model, title, .. }| (model, title))
    }

    /// Its text.
    ///
    /// # Errors
    ///
    /// None that is known: every message is JSON.
    pub fn text(&self) -> serde_json::Result<String> {
        let Self { model, title, more, nodes, current } = self;
        let (model, title, more) = (model.clone(), title.clone(), more.clone());
        // Without messages, there is nothing that could be current.
        let current = (!nodes.is_empty()).then_some(*current);
        let head = Head { ggrun_session: VERSION, model, title, current, more };
        let mut lines = serde_json::to_string(&head)?;
        for Node { parent, message } in nodes {
            let Value::Object(fields) = serde_json::to_value(message)? else { continue };
            let mut line = Map::new();
            line.insert("parent".to_owned(), parent.map_or(Value::Null, Value::from));
            line.extend(fields);
            lines.push('\n');
            lines += &serde_json::to_string(&line)?;
        }
        lines.push('\n');
        Ok(lines)
    }

    /// The messages of the current branch.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.branch().into_iter().map(|index| self.nodes[index].message.clone()).collect()
    }

    /// Whether a message of any branch contains a text, which is in lowercase. Upper and lower case are the same.
    #[must_use]
    pub fn mentions(&self, lowercase: &str) -> bool {
        self.nodes.iter().any(|node| node.message.content.text().to_lowercase().contains(lowercase))
    }

    /// The number of messages of all branches.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it has no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Makes the branch that had these messages before the current one, with these messages now. What only that branch
    /// had is removed; other branches stay.
    pub fn replace(&mut self, before: &[Message], now: Vec<Message>) {
        let old = self.find(None, before);
        let same =
            old.iter().zip(&now).take_while(|&(&index, message)| self.nodes[index].message == *message);
        let common = same.count();
        let mut removed = vec![false; self.nodes.len()];
        for &index in old[common..].iter().rev() {
            let follows = |(other, node): (usize, &Node)| node.parent == Some(index) && !removed[other];
            if self.nodes.iter().enumerate().any(follows) {
                break;
            }
            removed[index] = true;
        }
        let last = common.checked_sub(1).map(|last| old[last]);
        let last = self.remove(&removed, last);
        let known = self.find(last, &now[common..]);
        let last = known.last().copied().or(last);
        let rest = now.into_iter().skip(common + known.len()).collect();
        self.append(last, rest);
    }

    /// The indices of the current branch, the first message first.
    fn branch(&self) -> Vec<usize> {
        let parents = std::iter::successors(self.current, |&index| self.nodes.get(index)?.parent);
        let mut branch: Vec<usize> = parents.collect();
        branch.reverse();
        branch
    }

    /// The messages after `from` that begin with these, as far as there are any; the current branch comes first.
    fn find(&self, mut from: Option<usize>, messages: &[Message]) -> Vec<usize> {
        let branch = self.branch();
        let mut found = Vec::new();
        for message in messages {
            let is_next = |index: &usize| {
                let node = &self.nodes[*index];
                node.parent == from && node.message == *message
            };
            let current = branch.iter().copied().find(is_next);
            let Some(next) = current.or_else(|| (0..self.nodes.len()).rev().find(is_next)) else { break };
            found.push(next);
            from = Some(next);
        }
        found
    }

    /// Removes messages that no other message follows, and returns the new number of `kept`.
    fn remove(&mut self, removed: &[bool], kept: Option<usize>) -> Option<usize> {
        let mut count = 0;
        let places: Vec<usize> = removed
            .iter()
            .map(|removed| {
                let place = count;
                count += usize::from(!removed);
                place
            })
            .collect();
        let place = |index: usize| places.get(index).copied();
        let nodes = std::mem::take(&mut self.nodes).into_iter().zip(removed);
        self.nodes = nodes
            .filter(|(_, removed)| !**removed)
            .map(|(node, _)| Node { parent: node.parent.and_then(place), ..node })
            .collect();
        self.current = None;
        kept.and_then(place)
    }

    /// Appends messages after one, and makes the last of them the current one: without any, the one before.
    fn append(&mut self, after: Option<usize>, messages: Vec<Message>) {
        let mut parent = after;
        for message in messages {
            self.nodes.push(Node { parent, message });
            parent = Some(self.nodes.len() - 1);
        }
        self.current = parent;
    }
}

fn head(line: &str) -> Result<Head, FormatError> {
    // An editor may have begun the file with a byte-order mark.
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    let head: Head =
        serde_json::from_str(line).map_err(|error| FormatError::Head { problem: problem(&error) })?;
    let found = head.ggrun_session;
    if (1..=VERSION).contains(&found) { Ok(head) } else { Err(FormatError::Version { found }) }
}

/// Reads the line of a message.
fn node(version: u32, line: usize, text: &str, index: usize) -> Result<Node, FormatError> {
    let refused = |error: serde_json::Error| FormatError::Line { line, problem: problem(&error) };
    let before = index.checked_sub(1);
    if version == 1 {
        return Ok(Node { parent: before, message: serde_json::from_str(text).map_err(refused)? });
    }
    let mut fields: Map<String, Value> = serde_json::from_str(text).map_err(refused)?;
    let parent = match fields.remove("parent") {
        None => before,
        Some(Value::Null) => None,
        Some(parent) => {
            let earlier = parent.as_u64().and_then(|parent| usize::try_from(parent).ok());
            let earlier = earlier.filter(|&parent| parent < index);
            Some(earlier.ok_or_else(|| FormatError::Parent { line, parent: parent.to_string() })?)
        }
    };
    let message = serde_json::from_value(Value::Object(fields)).map_err(|error| {
        // A value has no position, so the text is read for one.
        refused(serde_json::from_str::<Message>(text).err().unwrap_or(error))
    })?;
    Ok(Node { parent, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Role;
    use proptest::prelude::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn other_files_are_refused_with_the_line() {
        let head = "{\"ggrun_session\":2,\"model\":\"\"}\n";
        let user = "{\"role\":\"user\",\"content\":\"x\"}\n";
        let after = |parent: &str| format!("{head}{user}{{\"parent\":{parent},\"role\":\"user\"}}");
        for (text, words) in [
            (String::new(), "empty"),
            ("{}".to_owned(), "line 1 has no `ggrun_session`: missing or wrong field at column 2"),
            (
                "{\"ggrun_session\":3,\"model\":\"\"}".to_owned(),
                "version 3 is not supported, expected at most 2",
            ),
            ("{\"ggrun_session\":0,\"model\":\"\"}".to_owned(), "version 0"),
            (format!("{head}{{\"role\":\"nobody\"}}"), "line 2 is not a message: missing or wrong field"),
            (format!("{head}\n{user}{{\"role\""), "line 4 is not a message: incomplete JSON"),
            (after("1"), "line 3 has the parent 1, expected the number of an earlier message or null"),
            (after("-1"), "line 3 has the parent -1"),
            (after("\"0\""), "line 3 has the parent \"0\""),
            (after("0.0"), "line 3 has the parent 0.0"),
            (
                "{\"ggrun_session\":2,\"model\":\"\",\"current\":0}".to_owned(),
                "`current` is 0, but there are 0",
            ),
        ] {
            let error = Conversation::parse(&text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let many = head.to_owned() + &"{\"role\":\"user\"}\n".repeat(MOST + 1);
        assert_eq!(Conversation::parse(&many), Err(FormatError::TooMany));
    }

    #[test]
    fn a_file_of_version_1_is_one_branch_and_is_written_as_version_2() {
        let text = "{\"ggrun_session\":1,\"model\":\"m\"}\n{\"role\":\"user\",\"content\":\"a\",\"parent\":7}\n\
                    {\"role\":\"assistant\",\"content\":\"b\"}\n";
        let read = Conversation::parse(text).unwrap();
        assert_eq!(read.branch(), [0, 1]);
        assert_eq!(read.messages()[0].more["parent"], 7, "there it is a field of the message");
        let text = "{\"ggrun_session\":1,\"model\":\"m\"}\n{\"role\":\"user\",\"content\":\"a\"}\n";
        let written = Conversation::parse(text).unwrap().text().unwrap();
        let expected = "{\"ggrun_session\":2,\"model\":\"m\",\"current\":0}\n\
                        {\"parent\":null,\"role\":\"user\",\"content\":\"a\"}\n";
        let value = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        assert!(written.lines().map(value).eq(expected.lines().map(value)), "{written}");
    }

    fn said(text: &str) -> Vec<Message> {
        let role = |at| if at % 2 == 0 { Role::User } else { Role::Assistant };
        text.chars().enumerate().map(|(at, letter)| Message::new(role(at), letter)).collect()
    }

    fn all(conversation: &Conversation) -> String {
        let line = |node: &Node| {
            let parent = node.parent.map_or_else(|| "-".to_owned(), |parent| parent.to_string());
            parent + &node.message.content.text()
        };
        conversation.nodes.iter().map(line).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_current_branch_is_replaced_and_other_branches_stay() {
        let text = "{\"ggrun_session\":2,\"model\":\"m\",\"current\":3,\"title\":\"t\",\"page\":{\"x\":1}}\n\
                    {\"parent\":null,\"role\":\"user\",\"content\":\"a\"}\n\
                    {\"parent\":0,\"role\":\"assistant\",\"content\":\"b\"}\n\
                    {\"parent\":0,\"role\":\"assistant\",\"content\":\"c\"}\n\
                    {\"parent\":1,\"role\":\"user\",\"content\":\"d\"}\n";
        let read = Conversation::parse(text).unwrap();
        assert_eq!(read.messages(), said("abd"));
        let replaced = |before: &str, now: &str| {
            let mut conversation = read.clone();
            conversation.replace(&said(before), said(now));
            assert_eq!(conversation.messages(), said(now));
            assert_eq!(
                (conversation.title.as_deref(), &conversation.more["page"]["x"]),
                (Some("t"), &1.into())
            );
            all(&conversation)
        };
        assert_eq!(replaced("abd", "abdef"), "-a 0b 0c 1d 3e 4f");
        // An undone turn is gone, the other branch is not.
        assert_eq!(replaced("abd", "ae"), "-a 0c 0e");
        assert_eq!(replaced("abd", "ac"), "-a 0c");
        assert_eq!(replaced("abd", "xy"), "-a 0c -x 2y");
        assert_eq!(replaced("ac", "ae"), "-a 0b 1d 0e");
        // What was never in the file removes nothing.
        assert_eq!(replaced("zz", "abdz"), "-a 0b 0c 1d 3z");
        let mut empty = read.clone();
        empty.replace(&said("abd"), Vec::new());
        assert_eq!(all(&empty), "-a 0c");
        assert_eq!(empty.messages(), []);
        let written = empty.text().unwrap();
        assert!(written.lines().next().unwrap().contains("\"current\":null"), "{written}");
        assert_eq!(Conversation::parse(&written).unwrap(), empty);
        let last = written.replacen("\"current\":null,", "", 1);
        assert_eq!(Conversation::parse(&last).unwrap().messages(), said("ac"), "{last}");
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_first_line() {
        let text = "\u{feff}{\"ggrun_session\":1,\"model\":\"m\"}\n";
        assert_eq!(Conversation::parse(text).unwrap().model, "m");
    }

    /// The fuzz target `chat_session`, on its seeds: whole, truncated and mutated.
    #[test]
    fn any_text_is_a_conversation_or_refused() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/chat_session");
        let round = |bytes: &[u8]| {
            let Ok(read) = Conversation::parse(&String::from_utf8_lossy(bytes)) else { return false };
            assert_eq!(Conversation::parse(&read.text().unwrap()).unwrap(), read);
            assert!(read.messages().len() <= read.len());
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
        assert!(good >= 5 && mutants > 100, "{good} seeds and {mutants} mutants are conversations");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in "[\\PC\n{}\":,]{0,80}") {
            drop(Conversation::parse(&text));
        }

        #[test]
        fn reading_what_was_written_is_the_identity(
            texts in prop::collection::vec((".{0,20}", any::<bool>(), any::<prop::sample::Index>()), 0..8),
            title in prop::option::of(".{0,9}"), current in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let mut conversation = Conversation { title, model: "model".to_owned(), ..Conversation::default() };
            for (index, (text, thought, parent)) in texts.into_iter().enumerate() {
                let mut message = Message::new(Role::Assistant, text.clone());
                message.reasoning_content = thought.then_some(text);
                let parent = parent.index(index + 1).checked_sub(1);
                conversation.nodes.push(Node { parent, message });
            }
            let count = conversation.nodes.len();
            conversation.current = current.filter(|_| count > 0).map(|current| current.index(count));
            prop_assert_eq!(Conversation::parse(&conversation.text().unwrap()).unwrap(), conversation);
        }

        #[test]
        fn a_replaced_branch_is_the_current_one_and_nothing_else_is_lost(
            branches in prop::collection::vec("[ab]{0,4}", 1..6), before in "[ab]{0,4}", now in "[ab]{0,4}",
        ) {
            let mut conversation = Conversation::default();
            for branch in &branches {
                conversation.replace(&[], said(branch));
            }
            let ends = |conversation: &Conversation| {
                let is_end = |index: &usize| conversation.nodes.iter().all(|node| node.parent != Some(*index));
                let ends = (0..conversation.len()).filter(is_end).map(|end| {
                    Conversation { current: Some(end), ..conversation.clone() }.messages()
                });
                ends.collect::<Vec<_>>()
            };
            let old = ends(&conversation);
            conversation.replace(&said(&before), said(&now));
            prop_assert_eq!(conversation.messages(), said(&now));
            let written = conversation.text().unwrap();
            prop_assert_eq!(&Conversation::parse(&written).unwrap(), &conversation);
            let left = ends(&conversation);
            for branch in old.iter().filter(|branch| !said(&before).starts_with(branch)) {
                prop_assert!(left.iter().any(|left| left.starts_with(branch)), "{:?}", branch);
            }
            for (index, node) in conversation.nodes.iter().enumerate() {
                prop_assert!(node.parent.is_none_or(|parent| parent < index));
            }
        }
    }
}
