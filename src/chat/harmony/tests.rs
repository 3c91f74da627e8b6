//! Messages in channels, well formed and not.

use serde_json::json;

use super::*;
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
    assert_eq!(parse(start, format, &[text]), expected, "{text}");
    let letters: Vec<String> = text.chars().map(String::from).collect();
    let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
    assert_eq!(parse(start, format, &letters), expected, "{text} letter by letter");
    for cut in (0..=text.len()).filter(|&cut| text.is_char_boundary(cut)) {
        assert_eq!(parse(start, format, &[&text[..cut], &text[cut..]]), expected, "{text} cut at {cut}");
    }
}

#[test]
fn each_channel_is_a_part_of_the_answer() {
    let analysis = "<|channel|>analysis<|message|>hm\n<|end|>";
    for (text, reasoning, content, calls) in [
        ("<|channel|>final<|message|>42", "", "42", &[][..]),
        (&*format!("{analysis}<|start|>assistant<|channel|>final<|message|>42<|return|>"), "hm\n", "42", &[]),
        (&format!("{analysis}<|channel|>final<|message|>4 < 5"), "hm\n", "4 < 5", &[]),
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
        ("<|channel|>analysis<|message|>hm", "hm", "", &[]),
        ("<|channel|>analysis<|mess", "", "", &[]),
        ("<|channel|>final<|message|>a <|en", "", "a <|en", &[]),
        ("", "", "", &[]),
        ("plain <text", "", "plain <text", &[]),
        ("to", "", "to", &[]),
        ("tomorrow<|end|>", "", "tomorrow", &[]),
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
