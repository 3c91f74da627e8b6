//! The fuzz target `reasoning_stream`; `tests/chat/corpus.rs` runs it on the seeds.
//!
//! The first byte selects the start of the answer and the format of tool calls, the second the pieces of the stream; the
//! rest is text.

use serde_json::{Value, json};

use super::chat::{AnswerParser, Delta, Start, Tags, ToolFormat};

/// Parses an answer. It must have the same parts however it is split, and invalid calls must remain in the content.
/// Returns true if the answer has calls or reasoning.
pub(crate) fn reasoning_stream(data: &[u8]) -> bool {
    let [kind, seed, text @ ..] = data else { return false };
    let number = usize::from(kind / 3) % (1 + ToolFormat::ALL.len());
    let format = number.checked_sub(1).map(|index| ToolFormat::ALL[index]);
    let is_harmony = format == Some(ToolFormat::Harmony);
    let tags = if is_harmony { Tags::HARMONY } else { Tags::THINK };
    let start = [Start::Reasoning, Start::Content, Start::Unopened][usize::from(kind % 3)](tags);
    let text = String::from_utf8_lossy(text);

    let whole = parse(start, format, [&*text]);
    assert_eq!(parse(start, format, text.split_inclusive(|_| true)), whole, "character by character");
    assert_eq!(parse(start, format, pieces(&text, *seed)), whole, "in pieces");

    let (mut reasoning, mut content, mut calls) = (String::new(), String::new(), 0);
    for part in &whole {
        match part {
            Delta::Reasoning(text) => reasoning += text,
            Delta::Content(text) => content += text,
            Delta::Between(text) => content += text,
            Delta::ToolCall(_) => calls += 1,
        }
    }
    // Headers of messages are no text.
    if calls == 0 && !is_harmony {
        let bare = |text: &str| text.split_whitespace().collect::<String>();
        let (reasoning, content, Tags { open, close }) = (bare(&reasoning), bare(&content), Tags::THINK);
        let tags = [("", ""), (open, ""), ("", close), (open, close)];
        let texts = tags.map(|(open, close)| format!("{open}{reasoning}{close}{content}"));
        assert!(texts.contains(&bare(&text)), "text of {text:?} is missing: {whole:?}");
    }
    calls > 0 || !reasoning.is_empty()
}

fn tools() -> [Value; 1] {
    let properties = json!({"n": {"type": "integer"}, "l": {"anyOf": [{"type": "array"}, {"type": "null"}]}});
    [json!({"type": "function", "function": {"name": "f", "parameters": {"properties": properties}}})]
}

/// Parses an answer in pieces, and joins consecutive deltas of the same kind.
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

/// Splits a text into pieces of at most 16 bytes, or of one character.
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
