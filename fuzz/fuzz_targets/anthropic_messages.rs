//! Reads any bytes as the body of a request to `/v1/messages`. It must be a request or a refusal that names a field.

#![no_main]

#[path = "../messages.rs"]
mod messages;
// The modules instead of their crate, which depends on llama.cpp.
#[path = "../../src/anthropic/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the reader")]
mod anthropic;
#[path = "../../src/chat/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the reader")]
mod chat;
#[path = "../../src/engine/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the reader")]
mod engine;
#[path = "../../src/grammar/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only the names of keywords are used")]
mod grammar;
#[path = "../../src/json.rs"]
#[allow(dead_code, reason = "the target uses only a part")]
mod json;
#[path = "../../src/openai/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the reader")]
mod openai;
#[path = "../../src/session/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the reader")]
mod session;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    messages::anthropic_messages(data);
});
