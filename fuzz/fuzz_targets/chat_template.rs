//! Parses any bytes as a chat template, and renders a conversation with it.

#![no_main]

#[path = "../template.rs"]
mod template;
// The module instead of its crate, which depends on llama.cpp.
#[path = "../../src/chat/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only templates")]
mod chat;
#[path = "../../src/grammar/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only the names of keywords are used")]
mod grammar;
#[path = "../../src/json.rs"]
#[allow(dead_code, reason = "the target uses only a part")]
mod json;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    template::chat_template(data);
});
