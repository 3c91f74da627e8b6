//! Calls in content, well formed and not.

use super::*;
use serde_json::json;

fn tools() -> Vec<Value> {
    let properties = json!({
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "sure": {"type": "boolean"},
        "list": {"type": "array"},
        "map": {"type": "object"},
        "maybe": {"type": ["string", "null"]},
        "either": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]},
        "level": {"enum": [1, 2, "high"]},
        "digit": {"enum": [1, 2]},
        "stop": {"$ref": "#/$defs/Stop"},
        "loop": {"$ref": "#/properties/loop"},
        "any": {},
    });
    let parameters =
        json!({"type": "object", "properties": properties, "$defs": {"Stop": {"type": "object"}}});
    vec![
        json!({"type": "function", "function": {"name": "f", "parameters": parameters}}),
        json!({"name": "bare"}),
    ]
}

/// The content, and the calls as `name{arguments}`.
fn parse(format: ToolFormat, pieces: &[&str]) -> (String, Vec<String>) {
    let mut parser = ToolParser::new(format, &tools());
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
            Delta::Reasoning(text) => panic!("{text}"),
        }
    }
    (content, calls)
}

fn check(format: ToolFormat, text: &str, content: &str, calls: &[&str]) {
    let expected = (content.to_owned(), calls.iter().map(|&call| call.to_owned()).collect::<Vec<_>>());
    assert_eq!(parse(format, &[text]), expected, "{text}");
    for cut in (0..=text.len()).filter(|&cut| text.is_char_boundary(cut)) {
        assert_eq!(parse(format, &[&text[..cut], &text[cut..]]), expected, "{text} cut at {cut}");
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
        let mut parser = ToolParser::new(ToolFormat::Hermes, &tools());
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
fn text_waits_only_while_it_may_be_a_tag() {
    let mut parser = ToolParser::new(ToolFormat::Hermes, &[]);
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
