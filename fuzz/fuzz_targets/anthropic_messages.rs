//! Reads any bytes as the body of a request. It must be a request or an error that names its field.

#![no_main]

#[path = "../body.rs"]
#[allow(dead_code, reason = "the other targets are in it too")]
mod body;
// The modules instead of their crate, which depends on llama.cpp.
#[path = "../../src/anthropic/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the reader of bodies")]
mod anthropic;
#[path = "../../src/chat/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the reader of bodies")]
mod chat;
#[path = "../../src/engine/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the reader of bodies")]
mod engine;
#[path = "../../src/grammar/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only the names of keywords are used")]
mod grammar;
#[path = "../../src/json.rs"]
#[allow(dead_code, reason = "the target uses only a part")]
mod json;
#[path = "../../src/openai/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the reader of bodies")]
mod openai;
#[path = "../../src/session/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the reader of bodies")]
mod session;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    body::anthropic_messages(data);
});
