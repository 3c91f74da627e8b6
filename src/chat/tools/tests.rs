//! Calls in content, well formed and not.

use super::forms::tools;
use super::*;
use crate::chat::cuts::cuts;
use serde_json::json;

fn parser(format: ToolFormat) -> ToolParser {
    ToolParser::new(format.syntax().unwrap(), &tools())
}

/// The content, and the calls as `name{arguments}`.
fn parse(format: ToolFormat, pieces: &[&str]) -> (String, Vec<String>) {
    let mut parser = parser(format);
    let mut deltas = Vec::new();
    for piece in pieces {
        parser.push(piece, &mut deltas);
    }
    parser.finish(&mut deltas);
    let (mut content, mut calls) = (String::new(), Vec::new());
    for delta in deltas {
        match delta {
            Delta::Content(text) => content += &text,
            Delta::ToolCall(call) => calls.push(format!("{}{}", call.name, call.arguments)),
            delta => panic!("{delta:?}"),
        }
    }
    (content, calls)
}

fn check(format: ToolFormat, text: &str, content: &str, calls: &[&str]) {
    let expected = (content.to_owned(), calls.iter().map(|&call| call.to_owned()).collect::<Vec<_>>());
    for pieces in cuts(text) {
        assert_eq!(parse(format, &pieces), expected, "{pieces:?}");
    }
}

#[test]
fn calls_as_json_are_found() {
    for (text, content, calls) in [
        ("no call\n", "no call\n", &[][..]),
        (r#"<tool_call>{"name": "f", "arguments": {"a": [1, "é"]}}</tool_call>"#, "", &[r#"f{"a":[1,"é"]}"#]),
        (
            "Let me look.\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n",
            "Let me look.",
            &["f{}"],
        ),
        (
            "a<tool_call>{\"arguments\": {}, \"name\": \"f\"}</tool_call>\n<tool_call>{\"name\": \"g\"}</tool_call>\n\nb\n",
            "ab\n",
            &["f{}", "g{}"],
        ),
        (r#"<tool_call>{"name": "f", "arguments": "{\"a\": 1}"}</tool_call>"#, "", &[r#"f{"a":1}"#]),
        (r#"<tool_call>{"name": "f", "parameters": {"a": 1}}</tool_call>"#, "", &[r#"f{"a":1}"#]),
        (
            r#"<tool_call>{"type": "function", "id": "x", "name": "f", "parameters": "{\"a\": 1}"}</tool_call>"#,
            "",
            &[r#"f{"a":1}"#],
        ),
        (
            r#"<tool_call>{"name": "f", "arguments": {"a": "</tool_call><tool_call>"}}</tool_call>x"#,
            "x",
            &[r#"f{"a":"</tool_call><tool_call>"}"#],
        ),
    ] {
        check(ToolFormat::Hermes, text, content, calls);
    }
}

#[test]
fn calls_as_tags_are_found_and_their_values_have_the_types_of_the_schema() {
    let one = |parameters: &str| format!("<tool_call>\n<function=f>\n{parameters}</function>\n</tool_call>");
    for (parameters, arguments) in [
        ("", json!({})),
        ("<parameter=text>\n 7\n\n</parameter>\n", json!({"text": " 7\n"})),
        (
            "<parameter=text>true</parameter><parameter=count>-7</parameter>",
            json!({"text": "true", "count": -7}),
        ),
        ("<parameter=count>\nseven\n</parameter>\n", json!({"count": "seven"})),
        ("<parameter=share>\n1e-3\n</parameter>\n<parameter=share>\n2\n</parameter>", json!({"share": 2})),
        (
            "<parameter=sure>\nTrue\n</parameter>\n<parameter=either>false</parameter>",
            json!({"sure": true, "either": false}),
        ),
        (
            "<parameter=either>12</parameter><parameter=maybe>None</parameter>",
            json!({"either": 12, "maybe": null}),
        ),
        (
            "<parameter=maybe>12</parameter><parameter=level>1</parameter>",
            json!({"maybe": "12", "level": "1"}),
        ),
        ("<parameter=digit>1</parameter>", json!({"digit": 1})),
        (
            "<parameter=list>\n[1,\n \"a\"]\n</parameter>\n<parameter=map>{\"k\": {}}</parameter>",
            json!({"list": [1, "a"], "map": {"k": {}}}),
        ),
        (
            "<parameter=map>[1]</parameter><parameter=stop>{\"a\": 1}</parameter>",
            json!({"map": "[1]", "stop": {"a": 1}}),
        ),
        (
            "<parameter=loop>1</parameter><parameter=any>2</parameter><parameter=new>3</parameter>",
            json!({"loop": "1", "any": "2", "new": "3"}),
        ),
        (
            "<parameter=text>a</parameter>b\n</tool_call>\n</parameter>\n",
            json!({"text": "a</parameter>b\n</tool_call>"}),
        ),
        ("<parameter=text></parameter>", json!({"text": ""})),
    ] {
        check(ToolFormat::Xml, &one(parameters), "", &[&format!("f{arguments}")]);
    }
    let unknown = "<tool_call><function=bare><parameter=a>1</parameter></function></tool_call>";
    let text = format!("First.\n{}\n{unknown}\nDone.", one("<parameter=count>1</parameter>"));
    check(ToolFormat::Xml, &text, "First.Done.", &[r#"f{"count":1}"#, r#"bare{"a":"1"}"#]);
}

#[test]
fn text_that_only_looks_like_a_call_is_content_to_the_letter() {
    for text in [
        "<tool_call>",
        "a\n\n<tool_call>\n",
        "<tool_call>\n</tool_call>\n",
        "write <tool_call> and </tool_call>",
        "a\n<tool_call>{\"name\": \"f\", \"argum",
        "a\n<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_ca",
        "<tool_call>{\"name\": \"f\" \"arguments\": {}}</tool_call>\n",
        "<tool_call>{\"name\": 7}</tool_call>",
        "<tool_call>{\"name\": \"\"}</tool_call>",
        "<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>",
        "<tool_call>{\"name\": \"f\", \"arguments\": \"[1]\"}</tool_call>",
        "<tool_call>[{\"name\": \"f\"}]</tool_call>",
        "<tool_call>{\"name\": \"f\", \"args\": {\"a\": 1}}</tool_call>",
        "<tool_call>{\"name\": \"f\", \"arguments\": {}, \"parameters\": {\"a\": 1}}</tool_call>",
        "<tool_call>{\"name\": \"f\", \"type\": \"custom\", \"arguments\": {}}</tool_call>",
        "<tool_call>{\"name\": \"f\", \"arguments\": null}</tool_call>",
        "\n</tool_call>\n\n<tool_cal\n",
    ] {
        check(ToolFormat::Hermes, text, text, &[]);
    }
    for text in [
        "<tool_call>\n<function=f>\n<parameter=a>\n1\n</tool_call>\n",
        "<tool_call>\n<function=f>\n<parameter=a\n",
        "<tool_call><function=></function></tool_call>",
        "<tool_call><function=f>x</function></tool_call>",
        "<tool_call><function=f></function>x</tool_call>",
        "<tool_call>{\"name\": \"f\"}</tool_call>",
        "<tool_call><func",
    ] {
        check(ToolFormat::Xml, text, text, &[]);
    }
}

#[test]
fn texts_that_begin_like_a_call_and_are_not_one_are_counted() {
    for (text, unread) in [
        ("no call", 0),
        ("write <tool_call> and </tool_call>", 0),
        (r#"<tool_call>{"name": "f", "arguments": {}}</tool_call>"#, 0),
        (r#"<tool_call>{"name": "f", "args": {}}</tool_call>"#, 1),
        (r#"<tool_call>{"name": }</tool_call><tool_call>{"name": "f", "argum"#, 2),
    ] {
        let mut parser = parser(ToolFormat::Hermes);
        parser.push(text, &mut Vec::new());
        parser.finish(&mut Vec::new());
        assert_eq!(parser.unread(), unread, "{text}");
    }
}

#[test]
fn an_unclosed_call_does_not_hide_the_next() {
    let bad = r#"<tool_call>{"name": "f", "arguments": {</tool_call>"#;
    let good = r#"<tool_call>{"name": "g", "arguments": {}}</tool_call>"#;
    check(ToolFormat::Hermes, &format!("{bad}\n{good}\nx"), &format!("{bad}x"), &["g{}"]);
    let bad = r#"<tool_call>{"name": "f", "arguments": {"a": "\"}}</tool_call>"#;
    check(ToolFormat::Hermes, &format!("{bad}\n{good}\nx"), &format!("{bad}x"), &["g{}"]);
    check(ToolFormat::Hermes, &format!("{bad}{bad}"), &format!("{bad}{bad}"), &[]);
    let bad = "<tool_call><function=f><parameter=a>1</tool_call>";
    check(ToolFormat::Xml, &format!("{bad}{bad}"), &format!("{bad}{bad}"), &[]);
}

#[test]
fn a_call_that_never_ends_does_not_hide_the_next() {
    let good = "<tool_call>\n<function=bare>\n</function>\n</tool_call>";
    let bad = "<tool_call><function=f><parameter=text>1</tool_call>";
    check(ToolFormat::Xml, &format!("{bad}\n{good}\nx"), &format!("{bad}x"), &["bare{}"]);
    let good = r#"<tool_call>{"name": "f", "arguments": {}}</tool_call>"#;
    let bad = r#"<tool_call>{"name": "f", "arguments": {}}"#;
    check(ToolFormat::Hermes, &format!("{bad}\n{good}x"), &format!("{bad}\nx"), &["f{}"]);
    let (bad, good) = ("[TOOL_CALLS]f[ARGS]{\"a\": [", "[TOOL_CALLS]f[ARGS]{\"a\": [1]}");
    check(ToolFormat::Mistral, &format!("{bad}{good}]}}"), &format!("{bad}]}}"), &["f{\"a\":[1]}"]);
}

#[test]
fn newlines_before_a_call_are_dropped_up_to_a_number() {
    let call = r#"<tool_call>{"name": "f", "arguments": {}}</tool_call>"#;
    let lines = |count: usize| "\n".repeat(count);
    check(ToolFormat::Hermes, &format!("a{}{call}", lines(SPACE)), "a", &["f{}"]);
    let text = format!("a{}{call}{}b", lines(SPACE + 3), lines(SPACE + 3));
    check(ToolFormat::Hermes, &text, "a\n\n\nb", &["f{}"]);
}

#[test]
fn tags_far_apart_belong_to_no_call() {
    let call =
        |space: usize| format!("<minimax:tool_call>{}<invoke name=\"bare\">\n</invoke>", " ".repeat(space));
    check(ToolFormat::MiniMax, &call(SPACE), "", &["bare{}"]);
    check(ToolFormat::MiniMax, &call(SPACE + 1), &call(SPACE + 1), &[]);
    let bare = |space: usize| format!("{}{{\"name\": \"bare\"}}", " ".repeat(space));
    check(ToolFormat::Llama, &bare(SPACE), "", &["bare{}"]);
    check(ToolFormat::Llama, &bare(SPACE + 1), &bare(SPACE + 1), &[]);
    let ended = format!("{}</minimax:tool_call>", " ".repeat(SPACE + 1));
    check(ToolFormat::MiniMax, &format!("{}{ended}", call(0)), &ended, &["bare{}"]);
    let name = |length: usize| format!("[TOOL_CALLS]{}[ARGS]{{}}", "f".repeat(length));
    check(ToolFormat::Mistral, &name(900), "", &[&format!("{}{{}}", "f".repeat(900))]);
    check(ToolFormat::Mistral, &name(BEGINNING), &name(BEGINNING), &[]);
}

/// The content, the number of calls and that of unread ones, if only so many bytes may be read as calls.
fn parse_within(left: usize, format: ToolFormat, pieces: &[&str]) -> (String, usize, usize) {
    let mut parser = ToolParser { left, ..parser(format) };
    let mut deltas = Vec::new();
    for piece in pieces {
        parser.push(piece, &mut deltas);
    }
    parser.finish(&mut deltas);
    let is_call = |delta: &&Delta| matches!(delta, Delta::ToolCall(_));
    let calls = deltas.iter().filter(is_call).count();
    let content = deltas.into_iter().filter_map(|delta| match delta {
        Delta::Content(text) => Some(text),
        _ => None,
    });
    (content.collect(), calls, parser.unread())
}

#[test]
fn calls_are_read_again_only_so_often_and_are_content_then() {
    let closes = "</tool_call>".repeat(50);
    let long = format!("<tool_call>{{\"name\": \"f\", \"arguments\": {{\"a\": \"{closes}\"}}}}</tool_call>");
    let text = format!("{long}<tool_call>{{\"name\": \"f\"}}</tool_call>");
    for pieces in [vec![text.as_str()], text.split("").collect()] {
        assert_eq!(parse_within(READ, ToolFormat::Hermes, &pieces), (String::new(), 2, 0));
        assert_eq!(parse_within(long.len() * 10, ToolFormat::Hermes, &pieces), (text.clone(), 0, 1));
    }
}

#[test]
fn what_is_read_does_not_depend_on_the_cuts_wherever_the_limit_is_reached() {
    for (format, text) in [
        (
            ToolFormat::Hermes,
            "<tool_call>{\"name\": \"</tool_call>\"}</tool_call>a<tool_call>{\"name\": \"f\"}</tool_call>",
        ),
        (ToolFormat::Hermes, "<tool_call>{\"name\": }</tool_call><tool_call>{\"name\": \"f\"}"),
        (ToolFormat::Mistral, "[TOOL_CALLS]f[ARGS]{\"a\": [1]}b[TOOL_CALLS]f[ARGS]{\"a\": [2]}"),
        (ToolFormat::Mistral, "[TOOL_CALLS]f[ARGS]{\"a\": [[TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]f[ARGS]"),
        (ToolFormat::Llama, "{\"name\": \"f\", \"parameters\": {}}; {\"name\": \"f\"}"),
        (
            ToolFormat::Xml,
            "<function=f>\n</function>\n<function=f>\n<parameter=text></function>\n</function>",
        ),
    ] {
        let mut ways = std::collections::BTreeSet::new();
        for left in (1..text.len() * 3).step_by(5) {
            let whole = parse_within(left, format, &[text]);
            for pieces in cuts(text) {
                assert_eq!(parse_within(left, format, &pieces), whole, "{left} {pieces:?}");
            }
            ways.insert(whole);
        }
        // Nothing is read, or all of it.
        assert!(ways.contains(&(text.to_owned(), 0, 1)) && ways.len() > 1, "{text} {ways:?}");
    }
}

#[test]
fn a_call_without_the_tags_around_it_is_read_if_its_function_is_known() {
    let call = "<function=f>\n<parameter=count>\n7\n</parameter>\n</function>";
    let tagged = format!("<tool_call>\n{call}\n</tool_call>");
    let f = "f{\"count\":7}";
    for (text, content, calls) in [
        (call, "", &[f][..]),
        ("<function=bare></function>", "", &["bare{}"]),
        (&format!("Let me look.\n\n{call}"), "Let me look.", &[f]),
        // The tag that ends the call is often written all the same.
        (&format!("{call}\n</tool_call>"), "", &[f]),
        (&format!("{call}\n</tool_call>\nDone."), "Done.", &[f]),
        (&format!("{call}\n{call}\n</tool_call>\n{tagged}{call}"), "", &[f; 4]),
        (&format!("{tagged}\n{call}\n{tagged}x"), "x", &[f; 3]),
        (&format!("{call} </tool_call>"), " </tool_call>", &[f]),
        (&format!("{call}</tool"), "</tool", &[f]),
        (&format!("<function=f{call}"), "<function=f", &[f]),
        (&format!("<function=f><{call}"), "<function=f><", &[f]),
        (&format!("<tool_call>Calling {call}</tool_call>"), "<tool_call>Calling ", &[f]),
        (
            "<function=f><parameter=text>\na</function>\n<function=bare>\n</parameter></function>x",
            "x",
            &["f{\"text\":\"a</function>\\n<function=bare>\"}"],
        ),
        // One that never ends does not hide the next.
        (
            "<function=f><parameter=text>a</function>\n<function=bare>\n</function>",
            "<function=f><parameter=text>a</function>",
            &["bare{}"],
        ),
        (
            "<function=f><parameter=text>a<function=bare></function>",
            "<function=f><parameter=text>a",
            &["bare{}"],
        ),
    ] {
        check(ToolFormat::Xml, text, content, calls);
    }
}

#[test]
fn the_tag_after_the_json_of_a_call_may_be_left_out() {
    let kimi = |json: &str| format!("<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{json}");
    let (begin, close, end) =
        ("<|tool_calls_section_begin|>", "<|tool_call_end|>", "<|tool_calls_section_end|>");
    let (one, two) = (kimi(r#"{"a": 1}"#), kimi(r#"{"a": "<|tool_call_end|>"}"#));
    let calls = [r#"f{"a":1}"#, r#"f{"a":"<|tool_call_end|>"}"#];
    for text in [
        format!("{one}{two}"),
        format!("{one}\n{close}{two}\n\n"),
        format!("{begin}{one}{two}{end}"),
        format!("{begin}\n{one}\n{two}{close} {end}"),
    ] {
        check(ToolFormat::Kimi, &text, "", &calls);
    }
    check(ToolFormat::Kimi, &format!("{one}<|tool_call_x"), "<|tool_call_x", &calls[..1]);
    let deepseek =
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": 1}<｜tool▁calls▁end｜>x";
    check(ToolFormat::DeepSeek, deepseek, "x", &calls[..1]);
}

#[test]
fn text_that_only_looks_like_a_call_without_tags_is_content_to_the_letter() {
    let long = format!("<function={}></function>", "f".repeat(300));
    let far = format!("<function=f>{}</function>", " ".repeat(SPACE + 1));
    for text in [
        "<function=unknown>\n<parameter=count>\n7\n</parameter>\n</function>",
        "<function=>\n</function>",
        "<function= f></function>",
        "<function=F></function>",
        "<function=f",
        "<function=f>",
        "<function=f>\n<parameter=count>\n7\n</parameter>\n</funct",
        "write <function=f> and </function>",
        "<function=f> <function=f>x",
        "<func",
        &long,
        &far,
    ] {
        check(ToolFormat::Xml, text, text, &[]);
    }
    check(ToolFormat::Hermes, "<function=f></function>", "<function=f></function>", &[]);
    let mut parser = parser(ToolFormat::Xml);
    for (piece, said) in [("a <function=", "a "), ("f", ""), ("> is", "<function=f> is"), (" it", " it")] {
        let mut deltas = Vec::new();
        parser.push(piece, &mut deltas);
        let text = deltas.into_iter().map(|delta| match delta {
            Delta::Content(text) => text,
            other => panic!("{other:?}"),
        });
        assert_eq!(text.collect::<String>(), said, "{piece:?}");
    }
}

#[test]
fn text_waits_only_while_it_may_be_a_tag() {
    let mut parser = parser(ToolFormat::Hermes);
    for (piece, said) in
        [("a", "a"), (" <", " "), ("b\n", "<b"), ("c", "\nc"), ("<tool_call>", ""), ("\nx", "<tool_call>\nx")]
    {
        let mut deltas = Vec::new();
        parser.push(piece, &mut deltas);
        let text: String = deltas
            .into_iter()
            .map(|d| if let Delta::Content(text) = d { text } else { panic!("{d:?}") })
            .collect();
        assert_eq!(text, said, "{piece:?}");
    }
}
