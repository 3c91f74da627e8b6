//! Rows with grammars and schemas: answers conform, and what cannot be compiled in time fails alone.

use serde_json::{Map, Value, json};

use super::{Work, code, content, sum};

/// Schemas that refer to the next one twice.
fn doubled() -> Value {
    let next = |n: usize| json!({"$ref": format!("#/$defs/a{}", n + 1)});
    let each = (0..30).map(|n| (format!("a{n}"), json!({"allOf": [next(n), next(n)]})));
    let mut all = Map::from_iter(each);
    all.insert("a30".to_owned(), json!({"type": "string"}));
    json!({"$ref": "#/$defs/a0", "$defs": all})
}

#[test]
fn a_row_whose_rules_would_take_too_long_fails_alone() {
    let many = |count: usize| -> Value {
        (0..count).map(|n| (format!("p{n}"), json!({"type": "integer"}))).collect::<Map<_, _>>().into()
    };
    let alternatives: Vec<_> = (0..50_000).map(|n| format!("\"{n}\"")).collect();
    let bad = [
        ("counts", json!({"grammar": "root ::= \"a\"{5,1}"}), "the counts of `{5,1}` are out of order"),
        ("class", json!({"grammar": "root ::= [a]{2,1}"}), "the counts of `{2,1}` are out of order"),
        (
            "alternatives",
            json!({"grammar": format!("root ::= {}", alternatives.join(" | "))}),
            "more than 200000",
        ),
        (
            "lengths",
            json!({"json_schema": {"type": "string", "minLength": 5, "maxLength": 1}}),
            "`minLength`",
        ),
        ("optional", json!({"json_schema": {"type": "object", "properties": many(5000)}}), "5000 properties"),
        ("doubled", json!({"json_schema": doubled()}), "too large"),
        (
            "unique",
            json!({"response_format": {"type": "json_schema", "json_schema": {
            "name": "x", "schema": {"type": "array", "uniqueItems": true}}}}),
            "`uniqueItems` at `#`",
        ),
    ];
    let mut lines = vec![sum("first", 17, 25, json!({}))];
    lines.extend(bad.iter().map(|(id, more, _)| sum(id, 1, 2, more.clone())));
    lines.push(sum("last", 17, 25, json!({})));
    let work = Work::new(&lines);
    work.run(&["-np", "2"]).ended(5, "2 answered, 7 failed");
    let rows = work.by_id("out.jsonl");
    for (id, _, reason) in bad {
        assert_eq!(code(&rows[id]), "invalid_grammar", "{}", rows[id]);
        let message = rows[id]["error"]["message"].as_str().unwrap();
        assert!(message.contains(reason), "{id}: {message}");
    }
    for good in ["first", "last"] {
        assert_eq!(content(&rows[good]), "17 + 25 = 42");
    }
}

#[test]
fn every_keyword_holds_for_an_answer() {
    let row = |id: &str, schema: Value| sum(id, 17, 25, json!({"json_schema": schema, "max_tokens": 400}));
    let work = Work::new(&[
        row(
            "union",
            json!({"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"],
                "additionalProperties": false,
                "oneOf": [{"properties": {"x": {"const": "42"}}}, {"properties": {"x": {"const": "43"}}}]}),
        ),
        row("text", json!({"type": "string", "pattern": "^[0-9+ ]+$", "minLength": 3, "maxLength": 5})),
        row("range", json!({"type": "integer", "minimum": 40, "maximum": 44})),
    ]);
    work.run(&[]).ended(0, "3 answered");
    let rows = work.by_id("out.jsonl");
    let value = |id: &str| -> Value { serde_json::from_str(content(&rows[id])).unwrap() };
    assert!(["42", "43"].contains(&value("union")["x"].as_str().unwrap()), "{}", rows["union"]);
    let text = value("text");
    assert!((3..=5).contains(&text.as_str().unwrap().len()), "{text}");
    assert!((40..=44).contains(&value("range").as_i64().unwrap()), "{}", rows["range"]);
}
