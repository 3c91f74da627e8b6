//! Messages in channels, well formed and not.

use serde_json::json;

use super::*;
use crate::chat::cuts::cuts;
use crate::chat::{AnswerParser, Tags, ToolFormat};

const START_OF: Start = Start::Content(Tags::HARMONY);
const CALL: &str = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}";

fn tools() -> Vec<Value> {
    vec![json!({"function": {"name": "f"}}), json!({"name": "g"})]
}

/// The reasoning, the content, the calls as `name{arguments}`, and the number of unread calls.
fn parse(start: Start, format: Option<ToolFormat>, pieces: &[&str]) -> (String, String, Vec<String>, usize) {
    let mut parser = AnswerParser::new(start, format, &tools());
    let mut deltas: Vec<Delta> = pieces.iter().flat_map(|piece| parser.push(piece)).collect();
    deltas.extend(parser.finish());
    let (mut reasoning, mut content, mut calls) = (String::new(), String::new(), Vec::new());
    for delta in deltas {
        match delta {
            Delta::Content(text) => content += &text,
            Delta::Between(text) => content += text,
            Delta::Reasoning(text) => reasoning += &text,
            Delta::ToolCall(call) => calls.push(format!("{}{}", call.name, call.arguments)),
        }
    }
    (reasoning, content, calls, parser.unread_calls())
}

fn check(start: Start, text: &str, reasoning: &str, content: &str, calls: &[&str], unread: usize) {
    let calls = calls.iter().map(|&call| call.to_owned()).collect::<Vec<_>>();
    let expected = (reasoning.to_owned(), content.to_owned(), calls, unread);
    let format = Some(ToolFormat::Harmony);
    for pieces in cuts(text) {
        assert_eq!(parse(start, format, &pieces), expected, "{pieces:?}");
    }
}

#[test]
fn each_channel_is_a_part_of_the_answer() {
    let analysis = "<|channel|>analysis<|message|>hm\n<|end|>";
    for (text, reasoning, content, calls) in [
        ("<|channel|>final<|message|>42", "", "42", &[][..]),
        (&*format!("{analysis}<|start|>assistant<|channel|>final<|message|>42<|return|>"), "hm\n", "42", &[]),
        (&format!("{analysis}<|channel|>final<|message|>4 < 5"), "hm\n", "4 < 5", &[]),
        // A tokenizer may write a space after each control token.
        (
            "<|channel|> analysis<|message|> hm<|end|><|start|> assistant<|channel|> final<|message|> 42",
            " hm",
            " 42",
            &[],
        ),
        (&format!("{analysis}<|start|>assistant{CALL}<|call|>"), "hm\n", "", &["f{\"a\":1}"]),
        // The tag that ends a call ends the answer too, and has no text.
        (&format!("{analysis}<|start|>assistant{CALL}"), "hm\n", "", &["f{\"a\":1}"]),
        (" to=functions.f<|channel|>commentary json<|message|>{\"a\": 1}<|call|>", "", "", &["f{\"a\":1}"]),
        ("<|channel|>commentary to=g<|message|>{}<|call|>", "", "", &["g{}"]),
        ("<|channel|>analysis to=functions.new<|message|>{}<|call|>", "", "", &["new{}"]),
        (
            &format!(
                "<|channel|>commentary<|message|>Let me look.<|end|><|start|>assistant{CALL}<|call|><|start|>assistant{CALL}"
            ),
            "",
            "Let me look.",
            &["f{\"a\":1}", "f{\"a\":1}"],
        ),
        (
            "<|channel|>commentary<|message|>One.<|end|><|start|>assistant<|channel|>final<|message|>Two.",
            "",
            "One.\n\nTwo.",
            &[],
        ),
        (&format!("{analysis}{analysis}"), "hm\n\n\nhm\n", "", &[]),
        (
            "<|channel|>commentary to=functions.f<|message|>{\"a\": \"<|end|>\\\"<|call|>\"}<|call|>",
            "",
            "",
            &["f{\"a\":\"<|end|>\\\"<|call|>\"}"],
        ),
        ("<|channel|>commentary to=assistant<|message|>x", "", "x", &[]),
        ("<|channel|>commentary<|channel|>analysis<|message|>hm", "hm", "", &[]),
        ("<|channel|>commentary to=assistant<|channel|>final<|message|>x", "", "x", &[]),
        ("<|channel|>analysis<|message|>hm", "hm", "", &[]),
        ("<|channel|>analysis<|mess", "", "", &[]),
        ("<|channel|>final<|message|>a <|en", "", "a <|en", &[]),
        ("", "", "", &[]),
        ("plain <text", "", "plain <text", &[]),
        ("to", "", "to", &[]),
        ("tomorrow<|end|>", "", "tomorrow", &[]),
        ("to=5 is the answer", "", "to=5 is the answer", &[]),
        (" to=", "", " to=", &[]),
        ("<|start|>assist", "", "", &[]),
        ("<|channel|>commentary<|end|>", "", "", &[]),
    ] {
        check(START_OF, text, reasoning, content, calls, 0);
    }
}

#[test]
fn text_that_only_looks_like_a_call_is_content_to_the_letter() {
    for text in [
        "<|channel|>commentary to=functions.f<|message|>{\"a\": 1",
        "<|channel|>commentary to=functions.f<|message|>",
        "<|channel|>commentary to=functions.f<|message|>[1]",
        "<|channel|>commentary to=functions.<|message|>{}",
        "<|channel|>commentary to=python<|message|>print(1)",
        " to=browser.open<|channel|>commentary<|message|>{}",
        "<|channel|>commentary to=functions.f <|constr",
        "<|channel|>commentary to=functions.f",
        "<|channel|>commentary to=func",
        "<|start|>assistant to=g<|chan",
        " to=functions.f",
        " to=browser.open<|channel|>comm",
    ] {
        check(START_OF, text, "", text, &[], 1);
    }
    let next = "<|start|>assistant<|channel|>final<|message|>hi";
    let cut = "<|channel|>commentary to=functions.f<|message|>{\"a\": 1";
    check(START_OF, &format!("{cut}<|end|>{next}"), "", &format!("{cut}\n\nhi"), &[], 1);
    check(START_OF, &format!("{cut}<|end|><|start|>assistant{CALL}"), "", cut, &["f{\"a\":1}"], 1);
}

#[test]
fn a_header_without_an_end_is_content() {
    let long = format!("<|channel|>{}", "é".repeat(HEADER));
    check(START_OF, &long, "", &long, &[], 0);
    let text = format!("{long}<|message|>x<|end|>");
    check(START_OF, &text, "", &format!("{long}<|message|>x"), &[], 0);
}

#[test]
fn whitespace_before_a_header_is_limited() {
    let header = "<|channel|>final<|message|>x";
    check(START_OF, &format!("{}{header}", " ".repeat(HEADER / 2)), "", "x", &[], 0);
    let far = format!("{}{header}", " ".repeat(HEADER + 1));
    let content = far.replace("<|channel|>final<|message|>x", "");
    check(START_OF, &far, "", &format!("{content}\n\nx"), &[], 0);
}

#[test]
fn arguments_are_read_again_only_so_often_and_are_content_then() {
    let tags = "<|call|>".repeat(50);
    let long = format!("<|channel|>commentary to=functions.f<|message|>{{\"a\": \"{tags}\"}}<|call|>");
    let rest = format!("<|start|>assistant{CALL}");
    let parse = |left: usize, letters: bool| {
        let new = HarmonyParser::new(START_OF, Some(vec!["f".to_owned()]));
        let mut parser = HarmonyParser { left, ..new };
        let text = format!("{long}{rest}");
        let mut deltas = Vec::new();
        let pieces: Vec<&str> = if letters { text.split("").collect() } else { vec![&text] };
        for piece in pieces {
            deltas.extend(parser.push(piece));
        }
        deltas.extend(parser.finish());
        let calls = deltas.iter().filter(|delta| matches!(delta, Delta::ToolCall(_))).count();
        (calls, parser.unread())
    };
    for letters in [false, true] {
        assert_eq!(parse(READ, letters), (2, 0));
        assert_eq!(parse(long.len() * 10, letters), (0, 1));
    }
}

#[test]
fn without_tools_a_call_is_text() {
    let (_, content, calls, unread) = parse(START_OF, None, &[CALL]);
    assert_eq!((content.as_str(), calls.len(), unread), (CALL, 0, 0));
}

#[test]
fn an_answer_may_begin_in_the_middle_of_a_message() {
    let rest = "a<|end|><|start|>assistant<|channel|>final<|message|>b";
    check(Start::MidReasoning(Tags::HARMONY), rest, "a", "b", &[], 0);
    check(Start::Reasoning(Tags::HARMONY), rest, "a", "b", &[], 0);
    check(Start::MidContent(Tags::HARMONY), rest, "", "a\n\nb", &[], 0);
}

#[test]
fn the_place_is_that_of_the_channel() {
    let mut parser = AnswerParser::new(START_OF, None, &[]);
    let content = |reasoned| Place::Content { reasoned };
    for (text, place) in [
        ("<|channel|>analysis", Place::Unknown),
        ("<|message|>", Place::Reasoning),
        ("hm", Place::Reasoning),
        ("<|end|>", content(true)),
        ("<|start|>assistant<|channel|>final<|message|>", content(true)),
        ("x", content(true)),
    ] {
        parser.push(text);
        assert_eq!(parser.place(), place, "{text}");
    }
    let mut parser = AnswerParser::new(START_OF, None, &[]);
    parser.push("<|channel|>final<|message|>x");
    assert_eq!(parser.place(), content(false));
}
