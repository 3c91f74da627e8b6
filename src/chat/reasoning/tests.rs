//! Where the reasoning ends, in every form of an answer.

use super::*;
use crate::chat::cuts::cuts;
use crate::chat::{Tags, Template};
use proptest::prelude::*;

const REASONING: Start = Start::Reasoning(Tags::THINK);
const CONTENT: Start = Start::Content(Tags::THINK);
const UNOPENED: Start = Start::Unopened(Tags::THINK);

fn parse(start: Start, pieces: &[&str]) -> (String, String) {
    let mut parser = ReasoningParser::new(start);
    let mut parts = (String::new(), String::new());
    let mut all: Vec<Delta> = pieces.iter().flat_map(|p| parser.push(p)).collect();
    all.extend(parser.finish());
    for delta in all {
        match delta {
            Delta::Reasoning(text) => parts.0 += &text,
            Delta::Content(text) => parts.1 += &text,
            other => panic!("{other:?}"),
        }
    }
    parts
}

#[test]
fn each_form_of_an_answer_is_split() {
    for (start, text, reasoning, answer) in [
        (REASONING, "\nhm\nyes\n</think>\n\n42", "hm\nyes", "42"),
        (REASONING, "hm</think>42", "hm", "42"),
        (REASONING, "<think>\nhm\n</think>\n\n42", "hm", "42"),
        (REASONING, "hm, and so on\n", "hm, and so on", ""),
        (REASONING, "\n\n</think>\n\n42", "", "42"),
        (REASONING, "</think>42", "", "42"),
        (REASONING, "hm</think>\n\n", "hm", ""),
        (REASONING, "  if a < b </thin", "  if a < b </thin", ""),
        (REASONING, "a\n\n</thing>\n</think>b\n", "a\n\n</thing>", "b\n"),
        (REASONING, "a</think>b</think>c", "a", "b</think>c"),
        (CONTENT, "42", "", "42"),
        (CONTENT, " \n<think>hm</think>\n42", "hm", "42"),
        (CONTENT, "\n\n4 < 5", "", "\n\n4 < 5"),
        (CONTENT, "<thin", "", "<thin"),
        (CONTENT, "say <think>", "", "say <think>"),
        (CONTENT, "<think>\nhm", "hm", ""),
        (CONTENT, "hm</think>42", "", "hm</think>42"),
        (UNOPENED, "hm\n</think>\n\n42", "hm", "42"),
        (UNOPENED, "\n\nhm </thin\n\n</think>42</think>", "hm </thin", "42</think>"),
        (UNOPENED, "<think>hm</think>42", "hm", "42"),
        (UNOPENED, "<think>hm", "hm", ""),
        (UNOPENED, "</think>42", "", "42"),
        (UNOPENED, "\n42 </thin", "", "\n42 </thin"),
        (UNOPENED, "hé</think>", "hé", ""),
        (CONTENT, "", "", ""),
        (REASONING, "", "", ""),
        (REASONING, "a\n\nb\n\n\n</think>c", "a\n\nb", "c"),
        (REASONING, "a\n\n</\n</think>c", "a\n\n</", "c"),
        (UNOPENED, "", "", ""),
    ] {
        assert_eq!(parse(start, &[text]), (reasoning.to_owned(), answer.to_owned()), "{start:?} {text:?}");
    }
}

#[test]
fn every_model_has_its_own_tags() {
    for tags in Tags::KNOWN {
        let closed = format!("hm{}42", tags.close);
        for text in [closed.clone(), format!("{}{closed}", tags.open)] {
            for start in [Start::Reasoning(tags), Start::Unopened(tags)] {
                assert_eq!(parse(start, &[&text]), ("hm".to_owned(), "42".to_owned()), "{start:?} {text:?}");
            }
        }
    }
}

#[test]
fn an_answer_begins_where_template_and_prompt_say() {
    const SEED: Tags = Tags { open: "<seed:think>", close: "</seed:think>" };
    let thinking = "{{ m.content.split('</think>')[-1] }}";
    let switched = "{{ m.content.split('</think>')[-1] }}{% if enable_thinking is false %}x{% endif %}";
    let named = "{% set thinking = 'is only a name </think>' %}{{ thinking }}";
    let seed = "{% set end = '</seed:think>' %}";
    let plain = "{{ messages[0].content }}";
    for (template, prompt, start) in [
        (thinking, "<|im_start|>assistant\n<think>\n", REASONING),
        (plain, "<|im_start|>assistant\n<think>", REASONING),
        (plain, "<seed:bos>assistant\n<seed:think>", Start::Reasoning(SEED)),
        (switched, "<|im_start|>assistant\n<think>\n\n</think>\n\n", CONTENT),
        (thinking, "<|im_start|>assistant\n<think>\n\n</think>\n\n", CONTENT),
        (switched, "<|im_start|>assistant\n", CONTENT),
        (thinking, "<|im_start|>assistant\n", UNOPENED),
        (thinking, "user: what is <think>?\nassistant: ", UNOPENED),
        (named, "assistant: ", UNOPENED),
        (seed, "assistant\n", Start::Unopened(SEED)),
        (plain, "user: what is <think>?\nassistant: ", CONTENT),
        (plain, "", CONTENT),
    ] {
        let template = Template::parse(template, "", "").unwrap();
        assert_eq!(template.start(prompt), start, "{template:?} {prompt:?}");
    }
}

#[test]
fn certain_text_is_given_out_at_once() {
    let mut parser = ReasoningParser::new(REASONING);
    assert_eq!(parser.push("hm <"), vec![Delta::Reasoning("hm ".into())]);
    assert_eq!(parser.push("b\n"), vec![Delta::Reasoning("<b".into())]);
    assert_eq!(parser.push("</think>x"), vec![Delta::Content("x".into())]);
    let mut parser = ReasoningParser::new(CONTENT);
    assert_eq!(parser.push("4"), vec![Delta::Content("4".into())]);
    assert_eq!(parser.push("2<think"), vec![Delta::Content("2<think".into())]);
}

#[test]
fn the_place_is_known_as_soon_as_it_can_be() {
    let unknown = Place::Unknown;
    let answer = |reasoned| Place::Content { reasoned };
    for (start, pieces) in [
        (
            REASONING,
            [
                ("", Place::Reasoning),
                ("a", Place::Reasoning),
                ("</think>", answer(true)),
                ("b", answer(true)),
            ],
        ),
        (CONTENT, [("", unknown), ("<thi", unknown), ("nk>", Place::Reasoning), ("</think>", answer(true))]),
        (CONTENT, [("\n", unknown), ("a", answer(false)), ("<think>", answer(false)), ("b", answer(false))]),
        (UNOPENED, [("a", unknown), ("b</thi", unknown), ("nk>", answer(true)), ("c", answer(true))]),
    ] {
        let mut parser = ReasoningParser::new(start);
        for (text, place) in pieces {
            parser.push(text);
            assert_eq!(parser.place(), place, "{start:?} {text:?}");
        }
    }
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_parts(
        parts in prop::collection::vec(
            prop_oneof![Just("<think>"), Just("</think>"), Just("\n"), Just("</thi"), Just("<"), Just(" a"), Just("é")],
            0..12,
        ),
        start in prop_oneof![Just(REASONING), Just(CONTENT), Just(UNOPENED)],
    ) {
        let text = parts.concat();
        let whole = parse(start, &[&text]);
        for pieces in cuts(&text) {
            prop_assert_eq!(&parse(start, &pieces), &whole);
        }
    }
}
