//! What `reasoning_stream` does with its bytes; `tests/chat/corpus.rs` does the same with the seeds.
//!
//! The first byte chooses how the answer begins and how calls are written, the second how it is cut, the rest is text.

use serde_json::{Value, json};

use super::chat::{AnswerParser, Delta, Start, Tags, ToolFormat};

/// Any bytes as an answer. Cut or whole it has the same parts, and what is no call is not lost. Tells whether there
/// is more in it than content.
pub(crate) fn reasoning_stream(data: &[u8]) -> bool {
    let [how, cut, text @ ..] = data else { return false };
    let start = [Start::Reasoning, Start::Content, Start::Unopened][usize::from(how % 3)](Tags::THINK);
    let format = [None, Some(ToolFormat::Hermes), Some(ToolFormat::Xml)][usize::from(how / 3 % 3)];
    let text = String::from_utf8_lossy(text);

    let whole = parse(start, format, [&*text]);
    assert_eq!(parse(start, format, text.split_inclusive(|_| true)), whole, "letter by letter");
    assert_eq!(parse(start, format, pieces(&text, *cut)), whole, "in pieces");

    let (mut reasoning, mut content, mut calls) = (String::new(), String::new(), 0);
    for part in &whole {
        match part {
            Delta::Reasoning(text) => reasoning += text,
            Delta::Content(text) => content += text,
            Delta::ToolCall(_) => calls += 1,
        }
    }
    if calls == 0 {
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        let (thought, said, Tags { open, close }) = (bare(&reasoning), bare(&content), Tags::THINK);
        let ways = [("", ""), (open, ""), ("", close), (open, close)];
        let ways = ways.map(|(open, close)| format!("{open}{thought}{close}{said}"));
        assert!(ways.contains(&bare(&text)), "{text:?} lost something: {whole:?}");
    }
    calls > 0 || !reasoning.is_empty()
}

fn tools() -> [Value; 1] {
    let properties = json!({"n": {"type": "integer"}, "l": {"anyOf": [{"type": "array"}, {"type": "null"}]}});
    [json!({"type": "function", "function": {"name": "f", "parameters": {"properties": properties}}})]
}

/// Neighbours of one kind are joined.
fn parse<'a>(
    start: Start,
    format: Option<ToolFormat>,
    pieces: impl IntoIterator<Item = &'a str>,
) -> Vec<Delta> {
    let mut parser = AnswerParser::new(start, format, &tools());
    let mut all: Vec<Delta> = pieces.into_iter().flat_map(|piece| parser.push(piece)).collect();
    all.extend(parser.finish());
    let mut joined: Vec<Delta> = Vec::new();
    for delta in all {
        match (joined.last_mut(), delta) {
            (Some(Delta::Content(text)), Delta::Content(more))
            | (Some(Delta::Reasoning(text)), Delta::Reasoning(more)) => *text += &more,
            (_, delta) => joined.push(delta),
        }
    }
    joined
}

/// A text in pieces of at most 16 bytes or one letter.
fn pieces(text: &str, seed: u8) -> Vec<&str> {
    let (mut pieces, mut rest, mut state) = (Vec::new(), text, usize::from(seed));
    while !rest.is_empty() {
        state = state.wrapping_mul(5).wrapping_add(3);
        let mut end = (1 + state % 16).min(rest.len());
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after;
    }
    pieces
}
