//! Schemas, matched byte by byte.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::*;

/// The cases of the JSON Schema Test Suite.
const SUITE: &str = include_str!("../../tests/golden/json-schema.jsonl");
/// Orders of properties that are tried.
const MOST_ORDERS: usize = 800;

fn matcher(schema: &str) -> Result<Matcher, Invalid> {
    Matcher::new(Source::Schema(schema), 0, Vocabulary::bytes())
}

/// With properties that the schema does not list.
fn open(schema: &str) -> Result<Matcher, Invalid> {
    Matcher::new(Source::Open(schema), 0, Vocabulary::bytes())
}

fn accepts(matcher: &mut Matcher, text: &str) -> bool {
    matcher.reset();
    text.bytes().all(|byte| matcher.accept(byte.into())) && matcher.may_end()
}

/// The texts of a value: with its properties in every order, and with integers written without a point.
fn texts(value: &Value) -> Vec<String> {
    let mut all = vec![String::new()];
    let each = |all: Vec<String>, more: Vec<String>| -> Vec<String> {
        let both = all.iter().flat_map(|a| more.iter().map(move |b| format!("{a}{b}")));
        both.take(MOST_ORDERS).collect()
    };
    match value {
        Value::Number(number) => {
            all = vec![number.to_string()];
            if let Some(float) = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e18) {
                all.push(format!("{float}"));
            }
            all.dedup();
            all
        }
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                all = each(all, texts(value).into_iter().map(|text| format!("{comma}{text}")).collect());
            }
            all.into_iter().map(|text| format!("[{text}]")).collect()
        }
        Value::Object(object) => {
            let found = orders(object).into_iter().flat_map(|order| {
                let mut all = vec![String::new()];
                for (at, key) in order.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    let begin = format!("{comma}{}:", Value::from(key.as_str()));
                    all = each(
                        all,
                        texts(&object[key]).into_iter().map(|text| format!("{begin}{text}")).collect(),
                    );
                }
                all
            });
            found.take(MOST_ORDERS).map(|text| format!("{{{text}}}")).collect()
        }
        value => vec![value.to_string()],
    }
}

fn orders(object: &Map<String, Value>) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    for key in object.keys() {
        all = all
            .into_iter()
            .flat_map(|order: Vec<String>| {
                (0..=order.len()).map(move |at| {
                    let mut order = order.clone();
                    order.insert(at, key.clone());
                    order
                })
            })
            .take(MOST_ORDERS)
            .collect();
    }
    all
}

/// Valid values of the suite that no answer has, by the file of their case: control characters, huge integers, and the
/// texts that the table of formats excludes.
const NARROWER: [(&str, usize); 9] = [
    ("optional/bignum", 2),
    ("optional/ecmascript-regex", 2),
    ("optional/float-overflow", 1),
    ("optional/format/date-time", 1),
    ("optional/format/email", 5),
    ("optional/format/hostname", 2),
    ("optional/format/ipv6", 4),
    ("optional/format/time", 4),
    ("optional/format/uri", 1),
];

#[test]
fn every_schema_of_the_suite_is_held_or_refused() {
    let (mut held, mut refused) = (0, 0);
    let mut narrower = BTreeMap::<String, usize>::new();
    for line in SUITE.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (file, schema) = (case["file"].as_str().unwrap(), case["schema"].to_string());
        let made = [open(&schema), matcher(&schema)];
        let [Ok(mut open), Ok(mut closed)] = made else {
            let reasons = made.map(|made| match made {
                Err(Invalid::Schema(reason)) => reason,
                other => panic!("{file}: {schema}: {other:?}"),
            });
            assert_eq!(reasons[0], reasons[1], "{file}: {schema}");
            assert!(reasons[0].contains('`') || reasons[0].contains("no value conforms"), "{reasons:?}");
            refused += 1;
            continue;
        };
        held += 1;
        for text in case["invalid"].as_array().unwrap().iter().flat_map(texts) {
            for matcher in [&mut open, &mut closed] {
                assert!(!accepts(matcher, &text), "{file}: {schema} allows {text}");
            }
        }
        let valid = case["valid"].as_array().unwrap().iter();
        let missing = valid.filter(|value| !texts(value).iter().any(|text| accepts(&mut open, text)));
        for value in missing {
            println!("{file}: {schema} does not allow {value}");
            *narrower.entry(file.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(narrower.iter().map(|(file, count)| (file.as_str(), *count)).collect::<Vec<_>>(), NARROWER);
    assert_eq!((held, refused), (191, 226));
}

/// A grammar holds numbers in a subset of JSON's notation, so values are tried as they are written.
#[test]
fn no_number_outside_its_bounds_is_written() {
    let bounds = [-10.0, -1.5, -1.0, -0.5, -0.05, 0.0, 0.05, 0.3, 1.0, 1.25, 9.5, 10.0, 100.5];
    let texts: Vec<String> = [0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 95, 99, 100, 101, 105, 999, 1000]
        .iter()
        .flat_map(|n| {
            [
                n.to_string(),
                format!("{n}.0"),
                format!("{n}.5"),
                format!("{n}.05"),
                format!("{n}.25"),
                format!("{n}.3"),
            ]
        })
        .flat_map(|text| [format!("-{text}"), text])
        .chain(
            ["-0", "0.04", "0.049", "0.051", "-0.04", "-0.051", "1.249", "1.2500001", "1e1", "-1e1"]
                .map(str::to_owned),
        )
        .collect();
    let holds = |schema: &Map<String, Value>, number: f64| {
        schema.iter().all(|(key, bound)| match (key.as_str(), bound.as_f64()) {
            ("minimum", Some(bound)) => number >= bound,
            ("exclusiveMinimum", Some(bound)) => number > bound,
            ("maximum", Some(bound)) => number <= bound,
            ("exclusiveMaximum", Some(bound)) => number < bound,
            _ => bound != "integer" || number.fract() == 0.0,
        })
    };
    for kind in ["number", "integer"] {
        for low in bounds {
            for high in bounds.iter().copied().filter(|high| *high >= low) {
                for (least, most) in [
                    ("minimum", "maximum"),
                    ("exclusiveMinimum", "maximum"),
                    ("minimum", "exclusiveMaximum"),
                    ("exclusiveMinimum", "exclusiveMaximum"),
                ] {
                    for bounds in [vec![(least, low)], vec![(most, high)], vec![(least, low), (most, high)]] {
                        let mut schema = Map::from_iter([("type".to_owned(), Value::from(kind))]);
                        schema.extend(bounds.into_iter().map(|(key, bound)| (key.to_owned(), bound.into())));
                        let Ok(mut matcher) = matcher(&Value::from(schema.clone()).to_string()) else {
                            continue;
                        };
                        for text in &texts {
                            let allowed = accepts(&mut matcher, text);
                            let valid = holds(&schema, text.parse().unwrap());
                            assert!(valid || !allowed, "{schema:?} allows {text}");
                            let is_plain = !text.contains('e')
                                && text != "-0"
                                && !text.ends_with('0')
                                && (kind == "number" || !text.contains('.'));
                            assert!(!valid || !is_plain || allowed, "{schema:?} does not allow {text}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn numbers_are_multiples() {
    for (factor, yes, no) in [
        ("3", &["0", "3", "-6", "12"][..], &["1", "-4", "10"][..]),
        ("0.01", &["0.5", "19.99", "-3", "7.10"], &["0.001", "19.999"]),
        ("2.5", &["2.5", "5", "-7.5"], &["2", "1.5", "0.5"]),
    ] {
        let mut matcher = matcher(&format!(r#"{{"type": "number", "multipleOf": {factor}}}"#)).unwrap();
        assert!(yes.iter().all(|text| accepts(&mut matcher, text)), "{factor}");
        assert!(no.iter().all(|text| !accepts(&mut matcher, text)), "{factor}");
    }
}

#[test]
fn a_name_has_one_spelling_so_a_property_cannot_escape_its_schema() {
    let schema =
        r#"{"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": true}"#;
    let mut matcher = matcher(schema).unwrap();
    assert!(accepts(&mut matcher, r#"{"a": 1, "b": "x"}"#));
    for text in [r#"{"a": "x"}"#, r#"{"\u0061": "x"}"#, r#"{"b": 1, "a": "x"}"#, r#"{"a": 1, "a": "x"}"#] {
        assert!(!accepts(&mut matcher, text), "{text}");
    }
}

#[test]
fn properties_that_are_not_listed_are_left_out_unless_the_schema_speaks_of_them() {
    for (schema, yes, no) in [
        (r#"{"properties": {"a": {}}}"#, r#"{"a": 1}"#, r#"{"b": 1}"#),
        (r#"{"properties": {"a": {}}, "required": ["b"]}"#, r#"{"a": 1, "b": 2}"#, r#"{"b": 1, "c": 1}"#),
        (
            r#"{"properties": {"a": {}}, "additionalProperties": {"type": "null"}}"#,
            r#"{"b": null}"#,
            r#"{"b": 1}"#,
        ),
        (r#"{"properties": {"a": {}}, "patternProperties": {"^b": true}}"#, r#"{"b": 1, "c": 2}"#, "[1"),
        (r#"{"type": "object"}"#, r#"{"b": 1}"#, "[]"),
        (r#"{"type": "object", "required": ["a"]}"#, r#"{"a": 1, "b": 1}"#, "{}"),
        (
            r#"{"type": "object", "allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}, "required": ["b"]}]}"#,
            r#"{"a": 1, "b": 2}"#,
            r#"{"b": 1, "c": 1}"#,
        ),
        (
            r##"{"$ref": "#/$defs/A", "properties": {"b": {}}, "$defs": {"A": {"type": "object", "properties": {"a": {}}}}}"##,
            r#"{"b": 2, "a": 1}"#,
            r#"{"c": 1}"#,
        ),
        (
            r##"{"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}], "$defs": {"A": {"properties": {"a": {}}}}}"##,
            r#"{"a": 1}"#,
            r#"{"c": 1}"#,
        ),
        (r#"{"items": {"properties": {"a": {}}}}"#, r#"[{"a": 1}]"#, r#"[{"c": 1}]"#),
    ] {
        let mut matcher = matcher(schema).unwrap();
        assert!(accepts(&mut matcher, yes), "{schema} {yes}");
        assert!(!accepts(&mut matcher, no), "{schema} {no}");
    }
}

#[test]
fn white_space_is_bounded() {
    let mut matcher = matcher(r#"{"type": "object", "required": ["a"]}"#).unwrap();
    assert!(accepts(&mut matcher, "{\n    \"a\": [\n        1\n    ]\n}"));
    assert!(accepts(&mut matcher, "{\"a\": [1, 2]}") && accepts(&mut matcher, "{\"a\":[1,2]}"));
    assert!(!accepts(&mut matcher, "{\"a\":  1}"));
    assert!(!accepts(&mut matcher, "{\n\n\n\"a\":1}"));
    assert!(!accepts(&mut matcher, " {\"a\":1}"));
}

#[test]
fn what_is_not_held_is_refused_by_its_name_and_place() {
    for (schema, reason) in [
        (r#"{"properties": {"a": {"not": {}}}}"#, "`not` at `#/properties/a`"),
        (r#"{"items": {"uniqueItems": true}}"#, "`uniqueItems` at `#/items`"),
        (r##"{"$ref": "#/$defs/a", "$defs": {"a": {"if": {}}}}"##, "`if` at `#/$defs/a`"),
        (r#"{"maxLenght": 3}"#, "`maxLenght` at `#`: it is not a keyword; did you mean `maxLength`?"),
        (r#"{"nullable": true}"#, "`nullable` at `#`: it is not a keyword of JSON Schema"),
        (r#"{"type": "strnig"}"#, "`type` at `#`: it is `\"strnig\"`, expected one of `null`"),
        (r#"{"format": "iri"}"#, "`format` at `#`: `iri` is not supported, expected one of `date`"),
        (r#"{"minLength": 5, "maxLength": 1}"#, "`minLength` at `#`: it is 5, above `maxLength`, which is 1"),
        (r#"{"minLength": -1}"#, "expected an integer from 0"),
        (r#"{"minItems": 1e9}"#, "expected at most 100000"),
        (r#"{"pattern": "a(?=b)"}"#, "`pattern` at `#`: `a(?=b)`: lookahead"),
        (r#"{"pattern": "\\bword"}"#, "word boundaries"),
        (r#"{"pattern": "(a)\\1"}"#, "backreferences"),
        (r#"{"pattern": "("}"#, "`(` without a `)`"),
        (r#"{"pattern": "a{3,1}"}"#, "out of order"),
        (r#"{"pattern": "a{3}{2}"}"#, "`{` has nothing to repeat"),
        (r#"{"pattern": "a+{2,}"}"#, "`{` has nothing to repeat"),
        (r#"{"pattern": "(?:{2}b)"}"#, "`{` has nothing to repeat"),
        (r#"{"pattern": "((a{99}){99}){99}"}"#, "too large"),
        (r#"{"pattern": "a^b"}"#, "`pattern`"),
        (r##"{"$ref": "#/$defs/a"}"##, "`$ref` at `#`: `#/$defs/a`: there is no such place"),
        (
            r##"{"$ref": "#a", "$defs": {"x": {"$anchor": "a"}, "y": {"$anchor": "a", "type": "null"}}}"##,
            "`$ref` at `#`: `#a`: two places of the schema have this `$anchor`",
        ),
        (r#"{"$ref": "https://example.com/s"}"#, "leads out of the schema"),
        (r##"{"$ref": "#"}"##, "leads to itself"),
        (r##"{"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/a"}}}"##, "leads to itself"),
        (r#"{"oneOf": [{"type": "integer"}, {"minimum": 2}]}"#, "`oneOf` may overlap"),
        (r#"{"maximum": 1e300}"#, "above 2^53"),
        (r#"{"const": 9007199254740993}"#, "above 2^53"),
        (r#"{"exclusiveMinimum": 0, "maximum": 0.5}"#, "cannot exclude an integer"),
        (r#"{"multipleOf": 0}"#, "above 0"),
        (r#"{"multipleOf": 123456}"#, "`multipleOf` is above 10000"),
        (r#"{"minProperties": 2}"#, "`minProperties` at `#`: it is 2"),
        (r#"{"type": ["string"], "enum": [1]}"#, "no value conforms"),
        ("false", "no value conforms"),
        ("[]", "expected an object or a boolean"),
        (r#"{"type": "#, "incomplete JSON, it ends at column "),
        (r#"{"properties": {"a": 1}}"#, "the schema at `#/properties/a`: expected an object or a boolean"),
    ] {
        let Err(Invalid::Schema(error)) = matcher(schema) else { panic!("{schema} is not refused") };
        assert!(error.contains(reason), "{schema}: {error}");
    }
}

#[test]
fn a_schema_that_would_take_too_long_is_refused() {
    let properties = |count: usize| {
        let each = (0..count).map(|n| (format!("p{n}"), serde_json::json!({"type": "integer"})));
        each.collect::<Value>()
    };
    let doubled = |keyword: &str, last: &str| {
        let each = (0..30).map(|n| {
            let next = serde_json::json!({"$ref": format!("#/$defs/a{}", n + 1)});
            (format!("a{n}"), serde_json::json!({keyword: [next, next]}))
        });
        let mut all: Map<String, Value> = each.collect();
        all.insert("a30".to_owned(), serde_json::from_str(last).unwrap());
        serde_json::json!({"$ref": "#/$defs/a0", "$defs": all})
    };
    let cases: Vec<_> = (0..2000).map(|n| serde_json::json!({"properties": {"k": {"const": n}}})).collect();
    for (schema, reason) in [
        (serde_json::json!({"properties": properties(5000)}), "an object has 5000 properties"),
        (serde_json::json!({"properties": properties(40), "minProperties": 1}), "beside 40 properties"),
        (doubled("allOf", r#"{"type": "string"}"#), "too large"),
        (doubled("anyOf", r#"{"type": "string"}"#), "too large"),
        (doubled("oneOf", "true"), ""),
        (serde_json::json!({"properties": properties(900), "anyOf": cases}), "too large"),
    ] {
        let refused = matcher(&schema.to_string());
        let Err(Invalid::Schema(error)) = refused else { panic!("{schema} is not refused") };
        assert!(error.contains(reason), "{error}");
    }
    assert!(matcher(&serde_json::json!({"properties": properties(1000)}).to_string()).is_ok());
    let deep = format!("{}{{}}{}", r#"{"items":"#.repeat(200), "}".repeat(200));
    assert!(matcher(&deep).is_err());
    let nested = format!("{}true{}", r#"{"items":"#.repeat(100), "}".repeat(100));
    assert!(matcher(&nested).is_ok());
}

#[test]
fn alternatives_that_exclude_each_other_only_without_unlisted_properties_are_refused() {
    let a = r#"{"type": "object", "properties": {"a": {"type": "integer"}}}"#;
    let b = r#"{"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]}"#;
    let one_of = format!(r#"{{"oneOf": [{a}, {b}]}}"#);
    let nested = format!(
        r#"{{"oneOf": [{{"properties": {{"x": {a}}}, "required": ["x"]}}, {{"properties": {{"x": {b}}}, "required": ["x"]}}]}}"#
    );
    let referred = format!(r##"{{"items": {{"$ref": "#/$defs/u"}}, "$defs": {{"u": {one_of}}}}}"##);
    for schema in [&one_of, &nested, &referred] {
        let Err(Invalid::Schema(error)) = matcher(schema) else { panic!("{schema} is not refused") };
        assert!(error.contains("`oneOf` may overlap"), "{schema}: {error}");
        assert!(matcher(&schema.replace("oneOf", "anyOf")).is_ok(), "{schema}");
    }
    let schemas = [("value".to_owned(), one_of)];
    let source = Source::Composed { lark: "start: @value", schemas: &schemas, tags: &[] };
    assert!(matches!(Matcher::new(source, 0, Vocabulary::bytes()), Err(Invalid::Schema(_))));
    let told_apart = r#"{"oneOf": [{"type": "object", "properties": {"a": {"type": "integer"}}},
        {"type": "array", "items": {"type": "integer"}}]}"#;
    assert!(accepts(&mut matcher(told_apart).unwrap(), r#"{"a": 1}"#));
}

#[test]
fn a_format_of_a_value_that_is_not_a_text_has_no_effect() {
    let schema = r#"{"properties": {"a": {"type": "integer", "format": "uint32", "minimum": 0},
        "b": {"type": ["number", "null"], "format": "double"}}, "required": ["a", "b"]}"#;
    let mut of_numbers = matcher(schema).unwrap();
    assert!(
        accepts(&mut of_numbers, r#"{"a": 5, "b": null}"#)
            && accepts(&mut of_numbers, r#"{"a": 0, "b": 0.5}"#)
    );
    assert!(!accepts(&mut of_numbers, r#"{"a": -1, "b": null}"#));
    for schema in [r#"{"type": ["integer", "string"], "format": "int64"}"#, r#"{"format": "int64"}"#] {
        let Err(Invalid::Schema(error)) = matcher(schema) else { panic!("{schema} is not refused") };
        assert!(error.contains("`format` at `#`: `int64` is not supported"), "{error}");
    }
}

#[test]
fn a_union_by_a_constant_is_one_of_its_alternatives() {
    let schema = r##"{"oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}], "$defs": {
        "A": {"type": "object", "properties": {"kind": {"const": "a"}, "x": {"type": "integer"}}, "required": ["kind"]},
        "B": {"type": "object", "properties": {"kind": {"const": "b"}, "y": {"type": "string"}, "inner": {"$ref": "#"}},
              "required": ["kind"]}}}"##;
    let mut matcher = matcher(schema).unwrap();
    assert!(accepts(&mut matcher, r#"{"kind": "b", "y": "t", "inner": {"kind": "a", "x": 1}}"#));
    assert!(!accepts(&mut matcher, r#"{"kind": "a", "x": "t"}"#));
    assert!(!accepts(&mut matcher, r#"{"y": true}"#));
}

#[test]
fn a_brace_that_is_not_a_quantifier_is_a_character() {
    let mut matcher = matcher(r#"{"type": "string", "pattern": "^{a}{b{2}$"}"#).unwrap();
    assert!(accepts(&mut matcher, r#""{a}{bb""#) && !accepts(&mut matcher, r#""{a}{b""#));
}

#[test]
fn patterns_and_lengths_hold_together() {
    let mut matcher =
        matcher(r#"{"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 3}"#).unwrap();
    for (text, allowed) in
        [("\"a\"", false), ("\"ab\"", true), ("\"abc\"", true), ("\"abcd\"", false), ("\"AB\"", false)]
    {
        assert_eq!(accepts(&mut matcher, text), allowed, "{text}");
    }
}

#[test]
fn an_answer_may_begin_with_line_breaks_after_a_block() {
    let mut matcher = Matcher::new(Source::Schema(r#"{"type": "integer"}"#), 4, Vocabulary::bytes()).unwrap();
    assert!(accepts(&mut matcher, "\n\n1") && accepts(&mut matcher, "1"));
    assert!(!accepts(&mut matcher, "\n\n\n\n\n1") && !accepts(&mut matcher, "\n"));
}

#[test]
fn a_tag_is_its_control_token_or_its_text() {
    let words = |tag: Word| {
        let bytes = (0..=u8::MAX).map(|byte| Word::Text(vec![byte]));
        Vocabulary::new(bytes.chain([tag, Word::Control("<|im_end|>".to_owned())]).collect()).unwrap()
    };
    let tags = [("open".to_owned(), "<call>".to_owned())];
    let schemas = [("value".to_owned(), r#"{"type": "string"}"#.to_owned())];
    let source = Source::Composed { lark: "start: open \"\\n\" @value", schemas: &schemas, tags: &tags };
    for tag in [Word::Control("<call>".to_owned()), Word::Text(b"<call>".to_vec())] {
        let mut matcher = Matcher::new(source, 0, &words(tag)).unwrap();
        assert!(matcher.allows(256) && matcher.allows(u32::from(b'<')));
        assert!(matcher.accept(256) && matcher.accept(u32::from(b'\n')) && matcher.accept(u32::from(b'"')));
        assert!(!matcher.allows(257), "a control token is no text of a string");
        let mut allowed = Vec::new();
        matcher.allowed(|token| allowed.push(token));
        assert!(allowed.contains(&u32::from(b'x')) && !allowed.contains(&257));
        assert!(matcher.accept(u32::from(b'"')) && matcher.may_end());
    }
}

#[test]
fn a_failure_of_the_matcher_is_not_taken_for_a_rule() {
    let vocabulary = Vocabulary::new((0..=u8::MAX).map(|byte| Word::Text(vec![byte])).collect()).unwrap();
    let mut matcher = Matcher::new(Source::Schema(r#"{"type": "string"}"#), 0, &vocabulary).unwrap();
    assert_eq!(matcher.failure(), None);
    assert!(!matcher.accept(u32::from(b'x')) && matcher.accept(u32::from(b'"')));
    assert_eq!(matcher.failure(), None, "a forbidden token is not a failure");
    matcher.fail();
    let mut count = 0;
    matcher.allowed(|_| count += 1);
    assert_eq!(count, 0);
    assert!(matcher.failure().is_some_and(|reason| !reason.is_empty()));
}
