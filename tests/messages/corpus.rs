//! Runs the fuzz target `anthropic_messages` on its seeds: whole, truncated and mutated.

#[path = "../../fuzz/messages.rs"]
mod messages;

use std::fs;
use std::path::Path;

use ggrun::{anthropic, chat, openai};
use testkit::rng::Rng;

#[test]
fn any_bytes_are_a_request_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/anthropic_messages");
    let (mut seeds, mut requests, mut mutants) = (0, 0, 0);
    let mut random = Rng::named(7, "messages");
    for entry in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        seeds += 1;
        requests += u32::from(messages::anthropic_messages(&bytes));
        for end in 0..bytes.len() {
            messages::anthropic_messages(&bytes[..end]);
        }
        for _ in 0..500 {
            let mut mutant = bytes.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(mutant.len());
                mutant[at] = random.bits().to_le_bytes()[0];
            }
            mutants += u32::from(messages::anthropic_messages(&mutant));
        }
    }
    assert!(
        seeds >= 5 && requests >= 4 && mutants > 50,
        "{seeds} seeds, {requests} and {mutants} mutants are requests"
    );
}
