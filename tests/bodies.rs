//! Runs the fuzz targets of request bodies on their seeds: whole, truncated and mutated.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

#[path = "../fuzz/body.rs"]
mod body;

use std::fs;
use std::path::Path;

use ggrun::openai;
use testkit::rng::Rng;

/// Runs a target on its seeds. Returns the number of seeds and of mutants that are requests.
fn run(target: fn(&[u8]) -> bool, seeds: &str) -> (u32, u32) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(seeds);
    let mut random = Rng::named(7, seeds);
    let (mut requests, mut mutants) = (0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        requests += u32::from(target(&bytes));
        for end in 0..bytes.len() {
            target(&bytes[..end]);
        }
        for _ in 0..500 {
            let mut mutant = bytes.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(mutant.len());
                mutant[at] = random.bits().to_le_bytes()[0];
            }
            mutants += u32::from(target(&mutant));
        }
    }
    (requests, mutants)
}

#[test]
fn any_bytes_are_a_request_for_a_response_or_an_error() {
    let (requests, mutants) = run(body::responses_body, "responses_body");
    assert!(requests >= 4 && mutants > 100, "{requests} seeds and {mutants} mutants are requests");
}

#[test]
fn any_bytes_are_a_request_for_a_completion_or_an_error() {
    let (requests, mutants) = run(body::completion_body, "completion_body");
    assert!(requests >= 3 && mutants > 100, "{requests} seeds and {mutants} mutants are requests");
}
