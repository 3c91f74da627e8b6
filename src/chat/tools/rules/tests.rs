//! Forced calls in every syntax: they are what the parser reads.

use super::*;
use crate::chat::tools::forms::written;
use crate::chat::{AnswerParser, Delta, Start, Tags};
use crate::grammar::{Matcher, Source, Vocabulary};

fn tools() -> Vec<Value> {
    let parameters = json!({
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "count": {"type": "integer"},
            "unit": {"enum": ["m", "\"ft\""]},
            "stop": {"$ref": "#/$defs/Stop"},
        },
        "required": ["text", "stop"],
        "$defs": {"Stop": {"type": "object"}},
    });
    vec![
        json!({"type": "function", "function": {"name": "f", "parameters": parameters}}),
        json!({"name": "g\""}),
    ]
}

#[test]
fn a_forced_call_as_json_has_the_schema_of_its_function() {
    let rules = CallRules::new(ToolFormat::Hermes, &tools(), Calls::Any).unwrap().unwrap();
    assert_eq!(
        rules.lark,
        "start: call (\"\\n\" call)*\n\
         call: open \"\\n\" (\"{\\\"name\\\": \\\"f\\\", \\\"arguments\\\": \" @arguments0 \"}\" \
         | \"{\\\"name\\\": \\\"g\\\\\\\"\\\", \\\"arguments\\\": \" @arguments1 \"}\") \"\\n\" close\n"
    );
    assert_eq!(rules.schemas[1], ("arguments1".to_owned(), r#"{"type":"object"}"#.to_owned()));
    assert!(rules.schemas[0].1.contains("\"$defs\""));
    let once = CallRules::new(ToolFormat::Hermes, &tools(), Calls::AnyOnce).unwrap().unwrap();
    assert_eq!(once.lark, rules.lark.replace("start: call (\"\\n\" call)*", "start: call"));
}

#[test]
fn a_forced_call_of_one_function_is_one_call_of_it() {
    let rules = CallRules::new(ToolFormat::Xml, &tools(), Calls::One("f")).unwrap().unwrap();
    let lines: Vec<_> = rules.lark.lines().collect();
    assert_eq!(lines[0], "start: call");
    assert_eq!(
        lines[1],
        "call: open \"\\n\" (\"<function=f>\\n\" (\"<parameter=text>\\n\" TEXT \"\\n\") \
         (\"<parameter=count>\\n\" @value0x1 \"\\n</parameter>\" \"\\n\")? \
         (\"<parameter=unit>\\n\" (\"m\" | \"\\\"ft\\\"\") \"\\n</parameter>\" \"\\n\")? \
         (\"<parameter=stop>\\n\" @value0x3 \"\\n</parameter>\" \"\\n\") \"</function>\") \"\\n\" close"
    );
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(rules.schemas.len(), 2);
    let stop = serde_json::from_str::<Value>(&rules.schemas[1].1).unwrap();
    assert_eq!(stop["$ref"], "#/$defs/parameters/$defs/Stop");
    assert_eq!(stop.pointer("/$defs/parameters/$defs/Stop"), Some(&json!({"type": "object"})));
    assert_eq!(CallRules::new(ToolFormat::Xml, &tools(), Calls::One("h")), Ok(None));
    assert_eq!(CallRules::new(ToolFormat::Xml, &[], Calls::Any), Ok(None));
    let dated =
        json!({"name": "f", "parameters": {"properties": {"day": {"type": "string", "format": "date"}}}});
    let unheld = CallRules::new(ToolFormat::Xml, std::slice::from_ref(&dated), Calls::Any).unwrap_err();
    assert_eq!(unheld, Unheld::keyword("f", Some("day"), "format"));
    assert!(CallRules::new(ToolFormat::Hermes, &[dated], Calls::Any).is_ok());
}

fn typed() -> Vec<Value> {
    let properties = json!({
        "text": {"type": "string"},
        "count": {"type": "integer", "minimum": 0},
        "unit": {"enum": ["m", "\"ft\""]},
        "sure": {"type": "boolean"},
        "sizes": {"type": "array", "items": {"type": "number"}},
    });
    let parameters = json!({"type": "object", "properties": properties, "required": ["count", "sure"]});
    vec![
        json!({"type": "function", "function": {"name": "f", "parameters": parameters}}),
        json!({"name": "get-time_2"}),
    ]
}

fn matcher(format: ToolFormat, calls: Calls<'_>) -> Matcher {
    compiled(format, &CallRules::new(format, &typed(), calls).unwrap().unwrap())
}

fn compiled(format: ToolFormat, rules: &CallRules) -> Matcher {
    let source = Source::Composed { lark: &rules.lark, schemas: &rules.schemas, tags: &rules.tags };
    let compiled = Matcher::new(source, 0, Vocabulary::bytes());
    compiled.unwrap_or_else(|error| panic!("{format:?}: {error:?}\n{}", rules.lark))
}

fn accepts(matcher: &mut Matcher, text: &str) -> bool {
    matcher.reset();
    text.bytes().all(|byte| matcher.accept(u32::from(byte))) && matcher.may_end()
}

/// A text of calls as an answer that is forced to have them: without the tag that ends it.
fn answer(format: ToolFormat, calls: &[(&str, Value)]) -> String {
    let text = written(format, calls);
    text.strip_suffix("<|call|>").unwrap_or(&text).to_owned()
}

fn has_many(format: ToolFormat) -> bool {
    Layout::of(format).between.is_some()
}

#[test]
fn forced_calls_are_written_as_templates_write_them_and_read_as_calls() {
    let calls = [
        ("f", json!({"count": 7, "sure": true})),
        ("get-time_2", json!({})),
        ("f", json!({"text": "a <b> é", "count": 0, "unit": "m", "sure": false, "sizes": [1, 2.5]})),
        ("f", json!({"text": "", "count": 12, "sure": true, "sizes": []})),
    ];
    for format in ToolFormat::ALL {
        let mut any = matcher(format, Calls::Any);
        for call in &calls {
            let text = answer(format, std::slice::from_ref(call));
            assert!(accepts(&mut any, &text), "{format:?} {text}");
            assert_eq!(read(format, &text, &typed()), [(call.0.to_owned(), call.1.clone())], "{format:?}");
        }
        let text = answer(format, &calls);
        assert_eq!(accepts(&mut any, &text), has_many(format), "{format:?} {text}");
        let mut once = matcher(format, Calls::AnyOnce);
        assert!(accepts(&mut once, &answer(format, &calls[..1])) && !accepts(&mut once, &text), "{format:?}");
        let mut named = matcher(format, Calls::One("get-time_2"));
        assert!(accepts(&mut named, &answer(format, &calls[1..2])), "{format:?}");
        assert!(!accepts(&mut named, &answer(format, &calls[..1])), "{format:?}");
    }
}

#[test]
fn a_forced_call_is_nothing_else() {
    for format in ToolFormat::ALL {
        let mut any = matcher(format, Calls::Any);
        for (name, arguments) in [
            ("g", json!({})),
            ("f", json!({"sure": true})),
            ("f", json!({"count": -1, "sure": true})),
            ("f", json!({"count": "many", "sure": true})),
            ("f", json!({"count": 1, "unit": "yd", "sure": true})),
            ("f", json!({"count": 1, "sure": true, "new": 1})),
        ] {
            let text = answer(format, &[(name, arguments)]);
            assert!(!accepts(&mut any, &text), "{format:?} {text}");
        }
        let text = answer(format, &[("f", json!({"count": 7, "sure": true}))]);
        for text in ["", "x", &text[..text.len() - 1], &format!("{text}x"), &format!("x{text}")] {
            assert!(!accepts(&mut any, text), "{format:?} {text}");
        }
    }
}

#[test]
fn beside_a_schema_an_answer_conforms_to_it_or_is_calls_of_known_functions() {
    // Where a call has no tag, content of this schema begins like one.
    let schema = json!({
        "type": "object",
        "properties": {"name": {"type": "string"}, "arguments": {"type": "integer"}, "parameters": {"type": "integer"}},
        "required": ["name"],
    });
    let schema = schema.to_string();
    for format in ToolFormat::ALL {
        let rules = |calls, has_header| {
            let rules = CallRules::or_content(format, &typed(), calls, &schema, has_header);
            compiled(format, &rules.unwrap().unwrap())
        };
        let headers =
            if format == ToolFormat::Harmony { Tags::HARMONY.headers() } else { vec![String::new()] };
        let mut any = rules(Calls::Any, false);
        for header in &headers {
            for (content, conforms) in [
                (r#"{"name": "f"}"#, true),
                (r#"{"name": "f", "parameters": 7}"#, true),
                (r#"{"name": "f", "arguments": 7}"#, true),
                (r#"{"name": "get-time_2", "parameters": "x"}"#, false),
                (r#"{"name": 7}"#, false),
                ("{}", false),
                ("hi", false),
                ("", false),
            ] {
                let text = format!("{header}{content}");
                assert_eq!(accepts(&mut any, &text), conforms, "{format:?} {text}");
            }
        }
        assert_eq!(accepts(&mut any, r#"{"name": "f"}"#), format != ToolFormat::Harmony);
        assert!(accepts(&mut rules(Calls::Any, true), r#"{"name": "f"}"#), "{format:?}");
        let calls = [
            ("f", json!({"count": 7, "sure": true})),
            ("get-time_2", json!({})),
            // Not held to the schema of the function.
            ("f", json!({"text": "a <b> é", "new": "x", "sizes": [1, -2.5e3]})),
        ];
        for call in &calls {
            let text = answer(format, std::slice::from_ref(call));
            assert!(accepts(&mut any, &text), "{format:?} {text}");
            assert_eq!(read(format, &text, &typed()), [(call.0.to_owned(), call.1.clone())], "{format:?}");
            assert!(!accepts(&mut any, &format!("{text}{{}}")), "{format:?} {text}");
            assert!(!accepts(&mut any, &format!(r#"{{"name": "f"}}{text}"#)), "{format:?} {text}");
        }
        let text = answer(format, &calls);
        assert_eq!(accepts(&mut any, &text), has_many(format), "{format:?} {text}");
        let mut once = rules(Calls::AnyOnce, false);
        assert!(accepts(&mut once, &answer(format, &calls[..1])) && !accepts(&mut once, &text), "{format:?}");
        let unknown = answer(format, &[("other", json!({}))]);
        assert!(!accepts(&mut any, &unknown), "{format:?} {unknown}");
    }
}

#[test]
fn beside_a_schema_the_schemas_of_functions_do_not_matter_and_their_names_do() {
    let unheld =
        json!({"not": {}, "properties": {"p": {"type": "string", "pattern": "a"}}, "minProperties": 1});
    for format in ToolFormat::ALL {
        let new = |name: &str| {
            let tool = json!({"name": name, "parameters": unheld});
            CallRules::or_content(format, &[tool.clone(), tool], Calls::Any, "true", false)
        };
        let mut any = compiled(format, &new("f").unwrap().unwrap());
        assert!(accepts(&mut any, &answer(format, &[("f", json!({"p": "x"}))])), "{format:?}");
        let name = "n".repeat(300);
        let is_json = matches!(format, ToolFormat::Hermes | ToolFormat::MistralList | ToolFormat::Llama);
        assert_eq!(new(&name).err(), (!is_json).then_some(Unheld::Function { name }), "{format:?}");
        assert_eq!(CallRules::or_content(format, &[], Calls::Any, "true", false), Ok(None));
    }
    let nested = json!({"a": {"b": [[], {"d": "{x}"}, null]}, "e": true});
    let rules = CallRules::or_content(ToolFormat::Gemma, &typed(), Calls::Any, "{}", false);
    let mut any = compiled(ToolFormat::Gemma, &rules.unwrap().unwrap());
    let text = answer(ToolFormat::Gemma, &[("f", nested)]);
    assert!(accepts(&mut any, &text), "{text}");
}

#[test]
fn an_id_is_optional_where_templates_differ() {
    let mut named = matcher(ToolFormat::Mistral, Calls::Any);
    let call = "[TOOL_CALLS]f[CALL_ID]abcDEF123[ARGS]{\"count\": 1, \"sure\": true}";
    assert!(accepts(&mut named, &call.repeat(2)));
    assert!(!accepts(&mut named, &call.replace("123", "12")));
    let mut list = matcher(ToolFormat::MistralList, Calls::Any);
    let call = "[TOOL_CALLS] [{\"name\": \"get-time_2\", \"arguments\": {}}]";
    assert!(accepts(&mut list, call));
    let mut harmony = matcher(ToolFormat::Harmony, Calls::Any);
    let call =
        "<|start|>assistant<|channel|>commentary to=functions.get-time_2 <|constrain|>json<|message|>{}";
    assert!(accepts(&mut harmony, call));
}

#[test]
fn what_a_notation_cannot_be_held_to_is_refused() {
    let unheld = |format, schema: Value| {
        let tool = json!({"name": "f", "parameters": {"properties": {"p": schema}}});
        CallRules::new(format, &[tool], Calls::Any).err()
    };
    for schema in [
        json!({"type": "object"}),
        json!({"type": "array"}),
        json!({"type": "array", "items": {"type": "string"}}),
        json!({"type": ["integer", "object"]}),
    ] {
        let expected = Some(Unheld::keyword("f", Some("p"), "type"));
        assert_eq!(unheld(ToolFormat::Gemma, schema.clone()), expected, "{schema}");
        assert_eq!(unheld(ToolFormat::MiniMax, schema), None);
    }
    let dated = json!({"type": "string", "format": "date"});
    for format in ToolFormat::ALL {
        let is_text =
            matches!(format, ToolFormat::Xml | ToolFormat::Glm | ToolFormat::MiniMax | ToolFormat::Gemma);
        assert_eq!(unheld(format, dated.clone()).is_some(), is_text, "{format:?}");
    }
    let open = json!({"name": "f", "parameters": {"properties": {}, "additionalProperties": true}});
    assert!(CallRules::new(ToolFormat::Gemma, std::slice::from_ref(&open), Calls::Any).is_err());
    let rules = CallRules::new(ToolFormat::Glm, &[open], Calls::Any).unwrap().unwrap();
    let mut matcher = compiled(ToolFormat::Glm, &rules);
    let text = written(ToolFormat::Glm, &[("f", json!({"any": "x", "other": "y"}))]);
    assert!(accepts(&mut matcher, &text), "{text}\n{}", rules.lark);
}

#[test]
fn texts_to_choose_from_may_look_like_rules() {
    let properties = json!({"kind": {"enum": ["TEXT:", "\nTEXT: /x/\n"]}, "text": {"type": "string"}});
    let tools = [json!({"name": "f", "parameters": {"properties": properties, "required": ["kind"]}})];
    let arguments = json!({"kind": "TEXT:", "text": "a"});
    for format in ToolFormat::ALL {
        let rules = CallRules::new(format, &tools, Calls::Any).unwrap().unwrap();
        let mut matcher = compiled(format, &rules);
        let text = answer(format, &[("f", arguments.clone())]);
        assert!(accepts(&mut matcher, &text), "{format:?} {text}\n{}", rules.lark);
    }
}

/// The calls that are read in a text.
fn read(format: ToolFormat, text: &str, tools: &[Value]) -> Vec<(String, Value)> {
    let tags = if format == ToolFormat::Harmony { Tags::HARMONY } else { Tags::THINK };
    let mut parser = AnswerParser::new(Start::Content(tags), Some(format), tools);
    let deltas = [parser.push(text), parser.finish()].concat();
    let calls = deltas.into_iter().filter_map(|delta| match delta {
        Delta::ToolCall(call) => Some((call.name, call.arguments)),
        Delta::Content(_) | Delta::Between(_) | Delta::Reasoning(_) => None,
    });
    calls.collect()
}

#[test]
fn a_name_is_read_back_or_refused() {
    let long = "n".repeat(300);
    let names = [
        "get_time",
        "a.b/c:d-e",
        "b:1",
        "functions.f",
        "\u{fc}ber",
        "two words",
        " f",
        "f ",
        "f\n",
        "a>b",
        "a<b",
        "a\"b",
        "f[ARGS]",
        "f{",
        "a|b",
        "a,b",
        "}",
        "<|\"|>k",
        "end</arg_key>",
        "",
        &long,
    ];
    for format in ToolFormat::ALL {
        let mut counts = [0; 2];
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            let tools = [json!({"name": name})];
            let rules = CallRules::new(format, &tools, Calls::Any);
            counts[usize::from(rules.is_ok())] += 1;
            match rules {
                Ok(rules) => {
                    let text = answer(format, &[(&escaped(format, name), json!({}))]);
                    assert!(accepts(&mut compiled(format, &rules.unwrap()), &text), "{format:?} {text}");
                    assert_eq!(read(format, &text, &tools), [(name.to_owned(), json!({}))], "{format:?}");
                }
                Err(error) => {
                    assert_eq!(error, Unheld::Function { name: name.to_owned() }, "{format:?}");
                    assert!(error.to_string().contains(name), "{error}");
                }
            }
        }
        let is_json = matches!(format, ToolFormat::Hermes | ToolFormat::MistralList | ToolFormat::Llama);
        assert!(counts[1] >= 5 && (counts[0] == 0) == is_json, "{format:?} {counts:?}");
        let mut counts = [0; 2];
        for name in names {
            let parameters = json!({"properties": {name: {"enum": ["x"]}}, "required": [name]});
            let tools = [json!({"name": "f", "parameters": parameters})];
            let rules = CallRules::new(format, &tools, Calls::Any);
            counts[usize::from(rules.is_ok())] += 1;
            match rules {
                Ok(rules) => {
                    let arguments = json!({name: "x"});
                    let text = answer(format, &[("f", arguments.clone())]);
                    assert!(accepts(&mut compiled(format, &rules.unwrap()), &text), "{format:?} {text}");
                    assert_eq!(read(format, &text, &tools), [("f".to_owned(), arguments)], "{format:?}");
                }
                Err(error) => {
                    let (name, function) = (name.to_owned(), "f".to_owned());
                    assert_eq!(error, Unheld::Parameter { name, function }, "{format:?}");
                }
            }
        }
        let has_text =
            matches!(format, ToolFormat::Xml | ToolFormat::Glm | ToolFormat::MiniMax | ToolFormat::Gemma);
        assert!(counts[1] >= 5 && (counts[0] > 0) == has_text, "{format:?} {counts:?}");
    }
}

/// A name as it is within a string of JSON, where names are strings.
fn escaped(format: ToolFormat, name: &str) -> String {
    match format {
        ToolFormat::Hermes | ToolFormat::MistralList | ToolFormat::Llama => {
            let quoted = Value::from(name).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }
        _ => name.to_owned(),
    }
}

#[test]
fn a_text_to_choose_from_with_the_tag_behind_it_is_refused() {
    let unheld = |format, text: &str| {
        let tool = json!({"name": "f", "parameters": {"properties": {"p": {"enum": ["a", text]}}}});
        CallRules::new(format, &[tool], Calls::Any).err()
    };
    for (format, end) in [
        (ToolFormat::Xml, "</parameter>"),
        (ToolFormat::MiniMax, "</parameter>"),
        (ToolFormat::Glm, "</arg_value>"),
        (ToolFormat::Gemma, "<|\"|>"),
    ] {
        let expected = Some(Unheld::keyword("f", Some("p"), "enum"));
        assert_eq!(unheld(format, &format!("x{end}y")), expected, "{format:?}");
        assert_eq!(unheld(format, "x<y>\"|"), None, "{format:?}");
    }
}
