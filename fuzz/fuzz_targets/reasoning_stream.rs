//! Parses any bytes as the answer of a model with reasoning and tool calls.

#![no_main]

#[path = "../answer.rs"]
mod answer;
// The module instead of its crate, which depends on llama.cpp.
#[path = "../../src/chat/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the parsers")]
mod chat;
#[path = "../../src/grammar/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only the names of keywords are used")]
mod grammar;
#[path = "../../src/json.rs"]
#[allow(dead_code, reason = "the target uses only a part")]
mod json;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    answer::reasoning_stream(data);
});
