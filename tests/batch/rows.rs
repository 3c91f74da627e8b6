//! Requests and answers; an invalid row fails alone.

use std::fs;

use serde_json::{Value, json};

use super::{Ran, Work, code, content, sum};
use crate::support::data;

#[test]
fn an_invalid_row_fails_alone() {
    let work = Work::new(&[]);
    let good = sum("good", 17, 25, json!({}));
    let mut text: Vec<u8> = Vec::new();
    for line in [
        good.as_bytes(),
        b"{",
        b"[1]",
        b"\xff\xfe",
        br#"{"method":"POST","url":"/v1/chat/completions","body":{"messages":[]}}"#,
        good.as_bytes(),
        br#"{"custom_id":"url","method":"POST","url":"/v1/embeddings","body":{"input":"x"}}"#,
        br#"{"custom_id":"method","method":"GET","url":"/v1/completions","body":{"prompt":"x"}}"#,
        br#"{"custom_id":"body","method":"POST","url":"/v1/completions"}"#,
        sum("hot", 1, 2, json!({"temperature": "hot"})).as_bytes(),
        sum("range", 1, 2, json!({"top_p": 7})).as_bytes(),
        sum("grammar", 1, 2, json!({"grammar": "root ::= ("})).as_bytes(),
        sum("schema", 1, 2, json!({"json_schema": {"type": 7}})).as_bytes(),
        sum("long", 1, 2, json!({"messages": [{"role": "user", "content": "why ".repeat(1500)}]})).as_bytes(),
        sum("role", 1, 2, json!({"messages": [{"role": "unknown", "content": "x"}]})).as_bytes(),
        sum("tools", 1, 2, json!({"tool_choice": "required"})).as_bytes(),
        br#"{"messages":[{"role":"user","content":"What is 1 + 1?"}],"max_tokens":3}"#,
    ] {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend(vec![b'x'; 100 << 20]);
    text.extend_from_slice(b"\n");
    text.extend_from_slice(sum("last", 3, 4, json!({"max_tokens": 3})).as_bytes());
    fs::write(work.path("in.jsonl"), text).unwrap();
    let ran = work.run(&["-c", "1024", "-np", "1"]);
    ran.ended(5, "3 answered, 16 failed");
    let rows = work.by_id("out.jsonl");
    assert_eq!(content(&rows["good"]), "17 + 25 = 42");
    for (id, expected) in [
        ("line-2", "invalid_json"),
        ("line-3", "invalid_json"),
        ("line-4", "not_utf8"),
        ("line-5", "missing_custom_id"),
        ("line-6", "duplicate_custom_id"),
        ("url", "invalid_endpoint"),
        ("method", "invalid_endpoint"),
        ("body", "invalid_request"),
        ("hot", "invalid_request"),
        ("range", "invalid_sampling"),
        ("grammar", "invalid_grammar"),
        ("schema", "invalid_grammar"),
        ("long", "context_length_exceeded"),
        ("role", "invalid_request"),
        ("tools", "invalid_request"),
        ("line-17", "none"),
        ("line-18", "line_too_long"),
        ("last", "none"),
    ] {
        assert_eq!(code(&rows[id]), expected, "{id}: {}", rows[id]);
        assert_eq!(rows[id]["response"]["status_code"], if expected == "none" { 200 } else { 400 }, "{id}");
    }
    assert_eq!(rows["hot"]["response"]["body"]["error"]["param"], "temperature");

    // A dry run finds the same errors without answering.
    let dry = Ran::of(&mut work.command(&["in.jsonl", "--dry-run", "--json", "-c", "1024", "-np", "1"]));
    assert_eq!(dry.code, Some(5), "{dry:?}");
    let dry: Value = serde_json::from_str(&dry.out).unwrap();
    let causes: u64 = dry["causes"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!((dry["rows"].as_u64(), causes), (Some(19), 16), "{dry}");
    // The valid rows have at most 200, 3 and 3 tokens, and the estimate uses the measured rate.
    let number = |what: &str, part: &str| dry[what][part].as_f64().unwrap();
    let seconds = number("seconds", "answers") * number("tokens_per_second", "written");
    assert!((seconds - 206.0).abs() < 0.01, "{dry}");
    let seconds = number("seconds", "prompts") * number("tokens_per_second", "read");
    assert!((seconds - dry["prompt_tokens"].as_f64().unwrap()).abs() < 0.01, "{dry}");
}

#[test]
fn a_dry_run_finds_what_only_the_template_or_the_engine_refuses() {
    let tool = |parameters: Value| json!([{"type": "function", "function": {"name": "f", "parameters": parameters}}]);
    let work = Work::new(&[
        sum("ending", 1, 2, json!({"reasoning_budget_message": "So </think>"})),
        sum("stops", 1, 2, json!({"stop": vec!["x"; 100_000]})),
        sum("call", 1, 2, json!({"tools": tool(json!({"type": 7})), "tool_choice": "required"})),
    ]);
    let dry = Ran::of(&mut work.command(&["in.jsonl", "--dry-run", "--json"]));
    assert_eq!(dry.code, Some(5), "{dry:?}");
    let dry: Value = serde_json::from_str(&dry.out).unwrap();
    work.run(&[]).ended(5, "0 answered, 3 failed");
    let rows = work.by_id("out.jsonl");
    for (index, id) in ["ending", "stops", "call"].into_iter().enumerate() {
        let found = &dry["first_failures"][index];
        assert_eq!((&found["custom_id"], &found["code"]), (&json!(id), &rows[id]["error"]["code"]), "{dry}");
        assert_eq!(found["message"], rows[id]["error"]["message"]);
    }
}

#[test]
fn an_answer_has_openais_fields_and_the_reasoning() {
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
    let work = Work::new(&[
        sum("plain", 17, 25, json!({"seed": 5, "tools": [tool], "tool_choice": "none"})),
        sum("three", 17, 25, json!({"n": 3, "seed": 5, "temperature": 1.5, "max_tokens": 20})),
        sum("likely", 17, 25, json!({"logprobs": true, "top_logprobs": 2})),
        sum("answer", 17, 25, json!({"reasoning_budget": 0, "grammar": "root ::= \"yes\""})),
        json!({"custom_id": "text", "method": "POST", "url": "/v1/completions",
            "body": {"prompt": "What is", "max_tokens": 4, "temperature": 0, "logprobs": 1}})
        .to_string(),
        json!({"id": "bare", "prompt": "x", "max_tokens": 2, "wishes": 1, "verbosity": "low"}).to_string(),
    ]);
    let ran = work.run(&[]);
    ran.ended(0, "6 answered");
    assert_eq!(ran.err.matches("unknown field `wishes` ignored").count(), 1, "{ran:?}");
    let note = "warning: `verbosity` is `low`, expected medium; ignored";
    assert_eq!(ran.err.matches(note).count(), 1, "{ran:?}");
    let rows = work.by_id("out.jsonl");
    let body = |id: &str| &rows[id]["response"]["body"];
    let plain = body("plain");
    let message = &plain["choices"][0]["message"];
    assert_eq!(message["content"], "17 + 25 = 42");
    assert!(message["reasoning_content"].as_str().unwrap().contains("carry 1"), "{plain}");
    assert_eq!((&plain["choices"][0]["finish_reason"], &plain["seed"]), (&json!("stop"), &json!(5)));
    let (usage, reasoning) =
        (&plain["usage"], &plain["usage"]["completion_tokens_details"]["reasoning_tokens"]);
    assert!(
        reasoning.as_u64().unwrap() > 0 && reasoning.as_u64() < usage["completion_tokens"].as_u64(),
        "{usage}"
    );
    assert!(plain["timings"]["predicted_ms"].as_f64().unwrap() > 0.0);

    let three = body("three")["choices"].as_array().unwrap();
    assert_eq!(three.iter().map(|c| c["index"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(body("three")["usage"]["prompt_tokens"], plain["usage"]["prompt_tokens"]);

    let likely = &body("likely")["choices"][0]["logprobs"]["content"];
    assert_eq!(likely.as_array().unwrap().len() as u64, body("likely")["usage"]["completion_tokens"]);
    for token in likely.as_array().unwrap() {
        assert_eq!(token["top_logprobs"].as_array().unwrap().len(), 2);
        assert_eq!(token["top_logprobs"][0]["token"], token["token"], "greedy");
    }
    assert_eq!(content(&rows["answer"]), "yes");
    let text = &body("text")["choices"][0];
    assert_eq!(text["logprobs"]["tokens"].as_array().unwrap().len(), 4);
    assert!(!text["text"].as_str().unwrap().is_empty());
    assert_eq!(body("bare")["usage"]["completion_tokens"], 2);

    work.run(&["--strict"]).ended(0, "6 kept from an earlier run");
    fs::remove_file(work.path("out.jsonl")).unwrap();
    work.run(&["--strict"]).ended(5, "1 failed (1 unknown_field)");
}

#[test]
fn a_deterministic_answer_depends_only_on_its_row() {
    let hot = json!({"temperature": 1.2, "seed": 9, "max_tokens": 40});
    let row = |n: u32| sum(&format!("r{n}"), n, 25, hot.clone());
    let work = Work::new(&(0..5).map(row).collect::<Vec<_>>());
    work.run(&["--deterministic"]).ended(0, "5 answered");
    let all = work.by_id("out.jsonl");
    fs::remove_file(work.path("out.jsonl")).unwrap();
    work.input(&[row(3), row(1)]);
    work.run(&["--deterministic"]).ended(0, "2 answered");
    for (id, row) in work.by_id("out.jsonl") {
        let choices = |row: &Value| row["response"]["body"]["choices"].clone();
        assert_eq!(choices(&row), choices(&all[&id]));
    }
}

#[test]
fn batched_sums_are_right_as_often_as_sequential_ones() {
    let lines: Vec<String> =
        fs::read_to_string(data("arithmetic.jsonl")).unwrap().lines().map(str::to_owned).collect();
    let work = Work::new(&lines);
    let right = |arguments: &[&str]| {
        work.run(arguments).ended(0, "300 answered");
        let rows = work.by_id("out.jsonl");
        fs::remove_file(work.path("out.jsonl")).unwrap();
        let asked = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        asked.filter(|line| line["answer"] == content(&rows[line["custom_id"].as_str().unwrap()])).count()
    };
    let (together, alone) = (right(&["-np", "8"]), right(&["--deterministic"]));
    println!("{together} of 300 right together, {alone} one by one");
    assert_eq!(together, alone);
    assert!(alone > 290);
}
