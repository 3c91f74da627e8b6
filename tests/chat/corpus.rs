//! Runs the fuzz targets for answers and templates on their seeds: whole, truncated and mutated.

#[path = "../../fuzz/answer.rs"]
mod answer;
#[path = "../../fuzz/template.rs"]
mod template;

use std::fs;
use std::path::Path;

use ggrun::chat;
use testkit::rng::Rng;

/// Mutants of each seed, besides its truncations.
const MUTANTS: usize = 300;

/// Mutants of each template, some of which take many steps.
const MUTATED: usize = 20;

const PIECES: [&str; 20] = [
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<parameter=n>",
    "</parameter>",
    "</function>",
    "<arg_value>",
    "<|end|>",
    "<|channel|>",
    "[TOOL_CALLS]",
    "[ARGS]",
    "<｜tool▁call▁begin｜>",
    "</invoke>",
    "<|\"|>",
    "\n",
    "\"",
    "}",
    "é",
    "\u{0}",
];

fn mutate(bytes: &mut Vec<u8>, random: &mut Rng) {
    let at = random.below(bytes.len());
    let end = bytes.len().min(at + random.below(24));
    match random.below(4) {
        0 => bytes[at] = random.bits().to_le_bytes()[0],
        1 => drop(bytes.drain(at..end)),
        2 => {
            let copy = bytes[at..end].to_vec();
            let to = random.below(bytes.len());
            drop(bytes.splice(to..to, copy));
        }
        _ => drop(bytes.splice(at..at, PIECES[random.below(PIECES.len())].bytes())),
    }
}

#[test]
fn any_answer_parses_the_same_however_it_is_split() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/reasoning_stream");
    let (mut seeds, mut split, mut mutants) = (0, 0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let seed = fs::read(entry.path()).unwrap();
        seeds += 1;
        split += usize::from(answer::reasoning_stream(&seed));
        for len in 0..seed.len() {
            answer::reasoning_stream(&seed[..len]);
        }
        let mut random = Rng::named(0, &entry.file_name().to_string_lossy());
        for _ in 0..MUTANTS {
            let mut bytes = seed.clone();
            for _ in 0..=random.below(3) {
                if !bytes.is_empty() {
                    mutate(&mut bytes, &mut random);
                }
            }
            mutants += usize::from(answer::reasoning_stream(&bytes));
        }
    }
    // Most seeds contain reasoning or tool calls, and so do many of their mutants.
    assert!(
        seeds >= 24 && split >= 19 && mutants > 2000,
        "{seeds} seeds, {split} and {mutants} mutants split"
    );
}

const TAGS: [&str; 14] = [
    "{% for m in messages %}",
    "{% endfor %}",
    "{% if m %}",
    "{% endif %}",
    "{% set x = ",
    "{% set ns.x = [ns.x] %}",
    "{{ ",
    " }}",
    " ~ x",
    " * 1000000",
    " | tojson",
    " | join(x)",
    ".replace('a', x)",
    "[0:]",
];

#[test]
fn any_text_is_a_template_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/chat_template");
    let (mut seeds, mut whole, mut mutants) = (0, 0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let seed = fs::read(entry.path()).unwrap();
        seeds += 1;
        whole += usize::from(template::chat_template(&seed));
        let mut random = Rng::named(0, &entry.file_name().to_string_lossy());
        for _ in 0..MUTATED {
            let mut bytes = seed.clone();
            for _ in 0..=random.below(3) {
                if !bytes.is_empty() {
                    let at = random.below(bytes.len());
                    match random.below(3) {
                        0 => drop(bytes.splice(at..at, TAGS[random.below(TAGS.len())].bytes())),
                        _ => mutate(&mut bytes, &mut random),
                    }
                }
            }
            mutants += usize::from(template::chat_template(&bytes));
        }
    }
    assert!(
        seeds >= 11 && whole >= 3 && mutants >= 9,
        "{seeds} seeds, {whole} and {mutants} mutants rendered"
    );
}
