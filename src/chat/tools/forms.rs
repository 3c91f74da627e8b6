//! Calls as the templates of each syntax write them, and what goes through the same tests for all of them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::format::{Placement, Syntax};
use crate::chat::cuts::cuts;
use crate::chat::{AnswerParser, Delta, Start, Tags, Template, ToolFormat};

/// A call in a syntax, or several.
pub(in crate::chat) fn written(format: ToolFormat, calls: &[(&str, Value)]) -> String {
    let each = |one: &dyn Fn(&str, &Value) -> String, between: &str| {
        calls.iter().map(|(name, arguments)| one(name, arguments)).collect::<Vec<_>>().join(between)
    };
    let fields = |arguments: &Value, one: &dyn Fn(&str, String) -> String| {
        let fields = arguments.as_object().unwrap().iter();
        fields.map(|(key, value)| one(key, text(value))).collect::<String>()
    };
    match format {
        ToolFormat::Hermes => each(
            &|name, arguments| {
                format!("<tool_call>\n{{\"name\": \"{name}\", \"arguments\": {arguments}}}\n</tool_call>")
            },
            "\n",
        ),
        ToolFormat::Xml => each(
            &|name, arguments| {
                let fields =
                    fields(arguments, &|key, value| format!("<parameter={key}>\n{value}\n</parameter>\n"));
                format!("<tool_call>\n<function={name}>\n{fields}</function>\n</tool_call>")
            },
            "\n",
        ),
        ToolFormat::Glm => each(
            &|name, arguments| {
                let fields = fields(arguments, &|key, value| {
                    format!("<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n")
                });
                format!("<tool_call>{name}\n{fields}</tool_call>")
            },
            "\n",
        ),
        ToolFormat::Harmony => each(
            &|name, arguments| {
                format!(
                    "<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{arguments}<|call|>"
                )
            },
            "<|start|>assistant",
        ),
        ToolFormat::Mistral => each(&|name, arguments| format!("[TOOL_CALLS]{name}[ARGS]{arguments}"), ""),
        ToolFormat::MistralList => {
            let object = |name: &str, arguments: &Value| {
                format!("{{\"name\": \"{name}\", \"arguments\": {arguments}, \"id\": \"abcdefghi\"}}")
            };
            format!("[TOOL_CALLS][{}]", each(&object, ", "))
        }
        ToolFormat::Llama => {
            each(&|name, arguments| format!("{{\"name\": \"{name}\", \"parameters\": {arguments}}}"), "; ")
        }
        ToolFormat::DeepSeek => {
            let one = |name: &str, arguments: &Value| {
                format!("<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{arguments}<｜tool▁call▁end｜>")
            };
            format!("<｜tool▁calls▁begin｜>{}<｜tool▁calls▁end｜>", each(&one, ""))
        }
        ToolFormat::DeepSeekFenced => {
            let one = |name: &str, arguments: &Value| {
                format!(
                    "<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{arguments}\n```<｜tool▁call▁end｜>"
                )
            };
            format!("<｜tool▁calls▁begin｜>{}<｜tool▁calls▁end｜>", each(&one, "\n"))
        }
        ToolFormat::MiniMax => {
            let one = |name: &str, arguments: &Value| {
                let fields = fields(arguments, &|key, value| {
                    format!("<parameter name=\"{key}\">{value}</parameter>\n")
                });
                format!("<invoke name=\"{name}\">\n{fields}</invoke>\n")
            };
            format!("<minimax:tool_call>\n{}</minimax:tool_call>", each(&one, ""))
        }
        ToolFormat::Gemma => each(
            &|name, arguments| {
                let arguments = gemma(arguments);
                format!("<|tool_call>call:{name}{arguments}<tool_call|>")
            },
            "",
        ),
        ToolFormat::Kimi => {
            let one = |name: &str, arguments: &Value| {
                format!(
                    "<|tool_call_begin|>functions.{name}:0<|tool_call_argument_begin|>{arguments}<|tool_call_end|>"
                )
            };
            format!("<|tool_calls_section_begin|>{}<|tool_calls_section_end|>", each(&one, ""))
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn gemma(value: &Value) -> String {
    match value {
        Value::String(text) => format!("<|\"|>{text}<|\"|>"),
        Value::Array(items) => format!("[{}]", items.iter().map(gemma).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{key}:{}", gemma(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// Functions whose parameters have every kind of type.
pub(in crate::chat) fn tools() -> Vec<Value> {
    let properties = json!({
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "sure": {"type": "boolean"},
        "list": {"type": "array"},
        "map": {"type": "object"},
        "none": {"type": "null"},
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
        json!({"name": "get-time_2"}),
    ]
}

/// The content and the calls as `name{arguments}`, in the order of the answer, and the number of unread calls.
fn parse(format: ToolFormat, pieces: &[&str]) -> (Vec<String>, usize) {
    let tags = if format == ToolFormat::Harmony { Tags::HARMONY } else { Tags::THINK };
    let mut parser = AnswerParser::new(Start::Content(tags), Some(format), &tools());
    let mut deltas: Vec<Delta> = pieces.iter().flat_map(|piece| parser.push(piece)).collect();
    deltas.extend(parser.finish());
    let (mut parts, mut is_text): (Vec<String>, bool) = (Vec::new(), false);
    for delta in deltas {
        let delta = match delta {
            Delta::Between(text) => Delta::Content(text.to_owned()),
            delta => delta,
        };
        match delta {
            Delta::Content(text) if is_text => *parts.last_mut().unwrap() += &text,
            Delta::Content(text) => {
                parts.push(text);
                is_text = true;
            }
            Delta::ToolCall(call) => {
                parts.push(shown(&call.name, &call.arguments));
                is_text = false;
            }
            delta => panic!("{delta:?}"),
        }
    }
    (parts, parser.unread_calls())
}

fn shown(name: &str, arguments: &Value) -> String {
    format!("call {name}{arguments}")
}

fn check(format: ToolFormat, text: &str, parts: &[String], unread: usize) {
    let expected = (parts.to_vec(), unread);
    for pieces in cuts(text) {
        assert_eq!(parse(format, &pieces), expected, "{format:?} {pieces:?}");
    }
}

#[test]
fn arguments_of_every_type_come_back() {
    for format in ToolFormat::ALL {
        for arguments in [
            json!({}),
            json!({"text": "Oslo"}),
            json!({"text": " é \"q\" {x: [1]} \\n <b> ", "count": -7, "share": 0.25, "sure": false}),
            json!({"text": "7", "none": null}),
            json!({"list": [1, "a", {"b": null}], "map": {"k": {"l": []}, "m": true}}),
            json!({"new": "unlisted"}),
        ] {
            check(format, &written(format, &[("f", arguments.clone())]), &[shown("f", &arguments)], 0);
        }
    }
}

#[test]
fn several_calls_come_back_in_their_order() {
    let calls = [
        ("f", json!({"text": "a"})),
        ("get-time_2", json!({})),
        ("f", json!({"count": 3, "text": ""})),
        ("f", json!({})),
    ];
    for format in ToolFormat::ALL {
        let parts = calls.iter().map(|(name, arguments)| shown(name, arguments)).collect::<Vec<_>>();
        check(format, &written(format, &calls), &parts, 0);
    }
}

#[test]
fn text_around_calls_stays_content() {
    for format in ToolFormat::ALL {
        let call = written(format, &[("f", json!({"text": "a"}))]);
        let part = shown("f", &json!({"text": "a"}));
        let (before, after, between) = match format {
            ToolFormat::Harmony => (
                "<|channel|>commentary<|message|>Let me look.<|end|><|start|>assistant",
                "<|start|>assistant<|channel|>final<|message|>Done.",
                "\n\n",
            ),
            _ => ("Let me look.\n\n", "\nDone.", ""),
        };
        let parts = ["Let me look.".to_owned(), part.clone(), format!("{between}Done.")];
        if format == ToolFormat::Llama {
            // Without a tag, a call is only at the beginning.
            check(format, &format!("{before}{call}"), &[format!("{before}{call}")], 0);
            check(format, &format!("\n{call}{after}"), &[part.clone(), "Done.".to_owned()], 0);
            check(format, &format!("{before}<|python_tag|>{call}{after}"), &parts, 0);
        } else {
            check(format, &format!("{before}{call}{after}"), &parts, 0);
        }
    }
}

#[test]
fn a_call_of_an_unknown_function_is_a_call_where_tags_say_so() {
    for format in ToolFormat::ALL {
        let arguments = json!({"a": "1"});
        let call = written(format, &[("new.one", arguments.clone())]);
        match format {
            ToolFormat::Llama => check(format, &call, std::slice::from_ref(&call), 0),
            _ => check(format, &call, &[shown("new.one", &arguments)], 0),
        }
    }
    let name_only = "<tool_call>maybe</tool_call>";
    check(ToolFormat::Glm, name_only, &[name_only.to_owned()], 1);
    check(ToolFormat::Glm, "<tool_call>f</tool_call>", &[shown("f", &json!({}))], 0);
}

#[test]
fn a_string_may_have_the_tags_of_its_call() {
    for format in ToolFormat::ALL {
        let written_in = |value: &str| written(format, &[("f", json!({"text": value}))]);
        let whole = written_in("x");
        let tags: Vec<&str> = whole.split(['x', '{', '}']).filter(|tag| tag.len() > 3).collect();
        let is_json = !matches!(format, ToolFormat::Xml | ToolFormat::Glm | ToolFormat::MiniMax);
        for tag in tags.iter().filter(|tag| is_json && !tag.contains("<|\"|>")) {
            let value = format!("a{tag}b");
            check(format, &written_in(&value), &[shown("f", &json!({"text": value}))], 0);
        }
    }
}

#[test]
fn a_truncated_call_is_content_to_the_letter() {
    let calls = [("f", json!({"text": "aé", "count": 12}))];
    for format in ToolFormat::ALL {
        let text = written(format, &calls);
        let begin = match format {
            // Up to here, it may be a message without text.
            ToolFormat::Harmony => text.find("to=").unwrap() + "to=f".len(),
            _ => 1,
        };
        let end = match format {
            // The rest only ends the section.
            ToolFormat::DeepSeek | ToolFormat::DeepSeekFenced => text.find("<｜tool▁call▁end｜>").unwrap(),
            ToolFormat::MiniMax => text.find("</invoke>").unwrap(),
            ToolFormat::Kimi => text.find("<|tool_call_end|>").unwrap(),
            // The end of the answer ends a call too.
            ToolFormat::Harmony => text.find("}<|call|>").unwrap() + 1,
            _ => text.len() - 1,
        };
        for cut in (begin..end).filter(|&cut| text.is_char_boundary(cut)) {
            let (parts, unread) = parse(format, &[&text[..cut]]);
            assert_eq!(parts.concat(), text[..cut], "{format:?} cut at {cut}");
            assert!(unread > 0 || format != ToolFormat::Harmony, "cut at {cut}");
        }
        assert!(parse(format, &[&text]).0[0].starts_with("call f"), "{format:?}");
    }
}

#[test]
fn a_malformed_call_does_not_hide_the_next() {
    let good = |format| written(format, &[("f", json!({"text": "g"}))]);
    for (format, bad) in [
        (ToolFormat::Xml, "<tool_call>\n<function=f>x</function>\n</tool_call>"),
        (ToolFormat::Glm, "<tool_call>f\n<arg_key>a</arg_key>x</tool_call>"),
        (ToolFormat::Mistral, "[TOOL_CALLS]f[ARGS]{\"a\": }"),
        (ToolFormat::MistralList, "[TOOL_CALLS][{\"name\": 7}]"),
        (
            ToolFormat::DeepSeek,
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": }<｜tool▁call▁end｜>",
        ),
        (ToolFormat::MiniMax, "<minimax:tool_call>\n<invoke name=\"f\">\nx</invoke>"),
        (ToolFormat::Gemma, "<|tool_call>call:f{a:x}<tool_call|>"),
        (
            ToolFormat::Kimi,
            "<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>[1]<|tool_call_end|>",
        ),
    ] {
        let text = format!("{bad}{}", good(format));
        check(format, &text, &[bad.to_owned(), shown("f", &json!({"text": "g"}))], 1);
    }
}

#[test]
fn a_malformed_call_does_not_hide_the_next_of_its_section() {
    let call = shown("f", &json!({"text": "g"}));
    for (format, bad) in [
        (ToolFormat::DeepSeek, "<｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": }<｜tool▁call▁end｜>"),
        (
            ToolFormat::DeepSeekFenced,
            "<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n[]```<｜tool▁call▁end｜>",
        ),
        (ToolFormat::MiniMax, "<invoke name=\"f\">\nx</invoke>"),
        (ToolFormat::Kimi, "<|tool_call_begin|>f:0<|tool_call_argument_begin|>[1]<|tool_call_end|>"),
    ] {
        let Syntax { section, placement, .. } = format.syntax().unwrap();
        let (begin, end) = section.unwrap();
        let good = written(format, &[("f", json!({"text": "g"}))]);
        let (bad, good) = (format!("{begin}{bad}"), good.strip_prefix(begin).unwrap());
        for between in ["", "\n", " and ", "\n\n"] {
            let kept = bad.clone() + between.trim_end_matches('\n');
            check(format, &format!("{bad}{between}{good}x"), &[kept, call.clone(), "x".to_owned()], 1);
        }
        if placement == Placement::InSection {
            let ended = format!("{bad}\n{end}\n{good}");
            check(format, &ended, std::slice::from_ref(&ended), 1);
        }
    }
}

#[test]
fn the_syntax_of_a_template_is_that_of_the_calls_it_writes() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for (name, format) in [
        ("tiny-thinker/chat_template", ToolFormat::Hermes),
        ("templates/switch", ToolFormat::Hermes),
        ("templates/xml_tools", ToolFormat::Xml),
        ("templates/glm", ToolFormat::Glm),
        ("templates/harmony", ToolFormat::Harmony),
        ("templates/mistral", ToolFormat::Mistral),
        ("templates/mistral_list", ToolFormat::MistralList),
        ("templates/llama", ToolFormat::Llama),
        ("templates/deepseek", ToolFormat::DeepSeek),
        ("templates/deepseek_fenced", ToolFormat::DeepSeekFenced),
        ("templates/minimax", ToolFormat::MiniMax),
        ("templates/gemma", ToolFormat::Gemma),
        ("templates/kimi", ToolFormat::Kimi),
    ] {
        let source = std::fs::read_to_string(data.join(format!("{name}.jinja"))).unwrap();
        let template = Template::parse(&source, "<s>", "</s>").unwrap();
        assert_eq!(template.tool_format(&tools()), Some(format), "{name}");
        assert_eq!(template.tool_format(&[]), None, "{name}");
    }
}

#[test]
fn a_template_without_calls_has_the_syntax_that_its_texts_fit() {
    let hermes = r#"<tool_call>\n{"name": ..., "arguments": ...}\n</tool_call>"#;
    let xml = "<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>";
    for (source, format) in [
        (hermes, Some(ToolFormat::Hermes)),
        (xml, Some(ToolFormat::Xml)),
        ("<tool_call>NAME\n<arg_key>k</arg_key>\n<arg_value>v</arg_value>", Some(ToolFormat::Glm)),
        ("[TOOL_CALLS]NAME[ARGS]{}", Some(ToolFormat::Mistral)),
        ("{{ messages }}", None),
        ("<|tool_call> arguments", None),
        ("<function_call>{\"name\": NAME, \"arguments\": ARGUMENTS}", None),
    ] {
        let template = Template::parse(source, "", "").unwrap();
        assert_eq!(template.tool_format(&tools()), format, "{source}");
    }
}

#[test]
fn a_syntax_that_is_like_another_is_not_taken_for_it() {
    let call = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls %}CALL{% endfor %}{% endfor %}";
    let json = r#"{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}"#;
    for (written, format) in [
        (json.to_owned(), Some(ToolFormat::Llama)),
        (format!("<function_call>{json}</function_call>"), None),
        (format!("<tool_call>{json}</tool_call>"), Some(ToolFormat::Hermes)),
        (format!("Call: {json}"), None),
        // Models leave the tag out, templates do not.
        ("<function={{ c.function.name }}>{% for k, v in c.function.arguments | items %}<parameter={{ k }}>\n{{ v }}\n</parameter>{% endfor %}</function>".to_owned(), None),
        ("{{ c.function.name }}({{ c.function.arguments }})".to_owned(), None),
    ] {
        // What a template writes counts, whatever it mentions.
        for mention in ["", "{# <tool_call> arguments #}", "{# [TOOL_CALLS] [ARGS] #}"] {
            let source = format!("{}{mention}", call.replace("CALL", &written));
            let template = Template::parse(&source, "", "").unwrap();
            assert_eq!(template.tool_format(&tools()), format, "{source}");
        }
    }
}

/// Pieces of texts of a syntax: those of two calls, and others.
pub(in crate::chat) fn pieces(format: ToolFormat) -> Vec<String> {
    let calls = [("f", json!({"text": "a"})), ("f", json!({"count": 1}))];
    let text = written(format, &calls);
    let mut pieces = vec![written(format, &calls[..1]), text.clone()];
    let is_end = |c: char| ">]｜}\n\"".contains(c);
    pieces.extend(text.split_inclusive(is_end).map(str::to_owned));
    pieces.extend(text.split_inclusive(|c: char| "<[{".contains(c)).map(str::to_owned));
    let others =
        ["<think>", "</think>", "\n", " ", "<", "a", "é", "{", "}", "\"", "\\", ";", "<|end|>", "<|start|>"];
    pieces.extend(others.map(str::to_owned));
    pieces
}

/// A syntax, and pieces of its texts.
pub(in crate::chat) fn texts() -> impl Strategy<Value = (ToolFormat, Vec<String>)> {
    prop::sample::select(ToolFormat::ALL.to_vec()).prop_flat_map(|format| {
        let parts = prop::collection::vec(prop::sample::select(pieces(format)), 0..14);
        (Just(format), parts)
    })
}
