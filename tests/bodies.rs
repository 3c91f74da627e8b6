//! Runs the fuzz targets of request bodies on their seeds.

#[path = "../fuzz/body.rs"]
mod body;

use ggrun::{anthropic, chat, openai};
use testkit::seeds;

#[test]
fn any_bytes_are_a_request_for_a_response_or_an_error() {
    let found = seeds::run(body::responses_body, "responses_body");
    assert!(found.whole >= 4 && found.mutants > 100, "{found:?}");
}

#[test]
fn any_bytes_are_a_request_for_a_completion_or_an_error() {
    let found = seeds::run(body::completion_body, "completion_body");
    assert!(found.whole >= 3 && found.mutants > 100, "{found:?}");
}

#[test]
fn any_bytes_are_a_request_for_a_message_or_an_error() {
    let found = seeds::run(body::anthropic_messages, "anthropic_messages");
    assert!(found.seeds >= 5 && found.whole >= 4 && found.mutants > 100, "{found:?}");
}
