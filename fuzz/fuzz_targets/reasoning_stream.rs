//! Any bytes as the answer of a model that thinks and calls functions.

#![no_main]

#[path = "../answer.rs"]
mod answer;
// The module and not its crate, which would bring llama.cpp along.
#[path = "../../src/chat/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only the parsers are fuzzed")]
mod chat;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    answer::reasoning_stream(data);
});
