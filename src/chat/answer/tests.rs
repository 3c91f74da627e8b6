//! Reasoning, content and calls in one answer.

use super::*;
use crate::chat::cuts::cuts;
use crate::chat::tools::forms;
use crate::chat::{FunctionCall, Tags};
use proptest::prelude::*;
use serde_json::json;

fn tools() -> Vec<Value> {
    vec![json!({"function": {"name": "f", "parameters": {"properties": {"a": {"type": "integer"}}}}})]
}

/// Adjacent deltas of one kind are joined.
fn parse(start: Start, format: Option<ToolFormat>, pieces: &[&str]) -> Vec<Delta> {
    let mut parser = AnswerParser::new(start, format, &tools());
    let mut all: Vec<Delta> = pieces.iter().flat_map(|piece| parser.push(piece)).collect();
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

#[test]
fn a_call_counts_only_after_the_reasoning() {
    let call = r#"<tool_call>{"name": "f", "arguments": {}}</tool_call>"#;
    let whole = FunctionCall { name: "f".into(), arguments: json!({}) };
    let text = format!("I might {call}\n</think>\n\n{call}\nDone.");
    assert_eq!(
        parse(Start::Reasoning(Tags::THINK), Some(ToolFormat::Hermes), &[&text]),
        [Delta::Reasoning(format!("I might {call}")), Delta::ToolCall(whole), Delta::Content("Done.".into())]
    );
}

#[test]
fn a_call_at_the_end_of_reasoning_that_is_never_closed_is_a_call() {
    let tags = |text: &str| format!("<tool_call>\n<function={text}\n</function>\n</tool_call>");
    let (good, other) = (tags("f>\n<parameter=a>\n7\n</parameter>"), tags("g>"));
    let bare = "<function=f>\n<parameter=a>\n7\n</parameter>\n</function>";
    let call = FunctionCall { name: "f".into(), arguments: json!({"a": 7}) };
    for (text, reasoning, calls) in [
        (good.clone(), String::new(), 1),
        (format!("I look.\n\n{good}\n"), "I look.".to_owned(), 1),
        (format!("I look. {good}\n{good}\n{bare}"), "I look. ".to_owned(), 3),
        // Only what ends the answer is a call.
        (format!("I might {good} or {good}"), format!("I might {good} or "), 1),
        (format!("I might {good}."), format!("I might {good}."), 0),
        (format!("I might {good}\n{other}"), format!("I might {good}\n{other}"), 0),
        (format!("Write <tool_call>{good}"), "Write <tool_call>".to_owned(), 1),
        (format!("Write {}", &good[..good.len() - 1]), format!("Write {}", &good[..good.len() - 1]), 0),
        (format!("{}{good}", "<tool_call>.".repeat(64)), format!("{}{good}", "<tool_call>.".repeat(64)), 0),
    ] {
        let reasoning = Some(reasoning).filter(|text| !text.is_empty()).map(Delta::Reasoning);
        let expected: Vec<_> =
            reasoning.into_iter().chain(vec![Delta::ToolCall(call.clone()); calls]).collect();
        for pieces in cuts(&text) {
            assert_eq!(
                parse(Start::Reasoning(Tags::THINK), Some(ToolFormat::Xml), &pieces),
                expected,
                "{pieces:?}"
            );
        }
        let closed = format!("{text}\n</think>\n\nDone.");
        let text = text.trim_end().to_owned();
        assert_eq!(
            parse(Start::Reasoning(Tags::THINK), Some(ToolFormat::Xml), &[&closed]),
            [Delta::Reasoning(text), Delta::Content("Done.".into())]
        );
    }
}

#[test]
fn without_tools_a_call_is_text() {
    let call = r#"<tool_call>{"name": "f", "arguments": {}}</tool_call>"#;
    assert_eq!(parse(Start::Content(Tags::THINK), None, &[call]), [Delta::Content(call.into())]);
    let template = Template::parse("<tool_call> arguments", "", "").unwrap();
    let mut parser = AnswerParser::of(&template, "", &[]);
    assert_eq!(parser.push(call), [Delta::Content(call.into())]);
    let mut parser = AnswerParser::of(&template, "", &tools());
    assert!(matches!(parser.push(call)[..], [Delta::ToolCall(_)]));
}

/// The parts of a text, however it is cut.
fn assert_any_cut(start: Start, format: Option<ToolFormat>, text: &str) -> Result<(), TestCaseError> {
    let whole = parse(start, format, &[text]);
    for pieces in cuts(text) {
        prop_assert_eq!(&parse(start, format, &pieces), &whole);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_parts_and_calls(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "<think>", "</think>", "\n", "<tool_call>", "</tool_call>", "{\"name\": \"f\"", ", \"arguments\": {", "}}",
                "\"", "<function=f>", "<parameter=a>", "1", "</parameter>", "</function>", "</tool", "<", " é",
                "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>",
                "<tool_call><function=f><parameter=a>\n7\n</parameter></function></tool_call>",
                "<function=f>\n<parameter=a>\n7\n</parameter>\n</function>", "<function=g>", "<function=", "f>",
            ]),
            0..14,
        ),
        start in prop::sample::select(vec![
            Start::Reasoning(Tags::THINK), Start::Content(Tags::THINK), Start::Unopened(Tags::THINK),
        ]),
        format in prop::sample::select(vec![None, Some(ToolFormat::Hermes), Some(ToolFormat::Xml)]),
    ) {
        assert_any_cut(start, format, &parts.concat())?;
    }

    #[test]
    fn any_cut_gives_the_same_parts_and_calls_in_every_syntax(
        (format, parts) in forms::texts(),
        begin in prop::sample::select(vec![Start::Reasoning, Start::Content, Start::Unopened, Start::MidContent]),
    ) {
        let tags = if format == ToolFormat::Harmony { Tags::HARMONY } else { Tags::THINK };
        assert_any_cut(begin(tags), Some(format), &parts.concat())?;
    }
}
