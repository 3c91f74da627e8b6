//! Runs the fuzz targets for grammars and schemas on their seeds: whole, truncated and mutated.

#[path = "../../fuzz/rules.rs"]
mod rules;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use testkit::rng::Rng;

use super::super::grammar;

/// Mutants of each seed.
const MUTANTS: usize = 120;
const PIECES: [&str; 16] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "(",
    ")",
    "*",
    "{2,1}",
    "|",
    "9",
    ",",
    ":",
    "\"allOf\":[",
    "\"$ref\":\"#\"",
    "\\",
];

#[track_caller]
fn run(target: fn(&[u8]) -> bool, name: &str) -> (usize, usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let (mut seeds, mut mutants) = (0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let seed = fs::read(entry.path()).unwrap();
        seeds += usize::from(target(&seed));
        for len in (0..seed.len()).step_by(7) {
            target(&seed[..len]);
        }
        let mut random = Rng::named(0, &entry.file_name().to_string_lossy());
        for _ in 0..MUTANTS {
            let mut bytes = seed.clone();
            mutate(&mut bytes, &mut random);
            mutants += usize::from(target(&bytes));
        }
    }
    (seeds, mutants)
}

/// A schema with some values exchanged, or a text with some bytes exchanged.
fn mutate(bytes: &mut Vec<u8>, random: &mut Rng) {
    let parsed = bytes.get(1..).and_then(|text| serde_json::from_slice::<Value>(text).ok());
    if let Some(mut schema) = parsed.filter(|_| random.below(4) > 0) {
        for _ in 0..=random.below(2) {
            let from = random.below(values(&mut schema).len());
            let with = match random.below(3) {
                0 => json!([true, 3, -0.25, "a", {}, {"type": "string"}, {"minimum": 2}])[random.below(7)]
                    .clone(),
                _ => values(&mut schema).swap_remove(from).clone(),
            };
            let to = random.below(values(&mut schema).len());
            *values(&mut schema).swap_remove(to) = with;
        }
        bytes.truncate(1);
        return bytes.extend(schema.to_string().bytes());
    }
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        let end = bytes.len().min(at + random.below(12));
        match random.below(4) {
            0 => bytes[at] = random.bits().to_le_bytes()[0],
            1 if end - at < bytes.len() => drop(bytes.drain(at..end)),
            2 => {
                let copy = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, copy));
            }
            _ => drop(bytes.splice(at..at, PIECES[random.below(PIECES.len())].bytes())),
        }
    }
}

/// The values below a value that have none themselves, and objects one level above.
fn values(value: &mut Value) -> Vec<&mut Value> {
    let (mut found, mut rest) = (Vec::new(), vec![value]);
    while let Some(value) = rest.pop() {
        let is_inner = match value {
            Value::Object(object) => object.values().any(|value| value.is_object() || value.is_array()),
            Value::Array(_) => true,
            _ => false,
        };
        if !is_inner {
            found.push(value);
            continue;
        }
        match value {
            Value::Object(object) => rest.extend(object.values_mut()),
            Value::Array(list) => rest.extend(list),
            _ => {}
        }
    }
    found
}

#[test]
fn any_text_is_a_grammar_or_refused_in_time() {
    let (seeds, mutants) = run(rules::gbnf, "gbnf");
    assert!(seeds >= 3 && mutants > 50, "{seeds} seeds and {mutants} mutants are valid");
}

#[test]
fn any_text_is_a_schema_or_refused_in_time_and_what_is_written_by_it_is_json() {
    let (seeds, mutants) = run(rules::json_schema, "json_schema");
    assert!(seeds >= 4 && mutants > 50, "{seeds} seeds and {mutants} mutants are valid");
}
