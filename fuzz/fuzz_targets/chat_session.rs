//! Reads any text as a saved conversation. Messages that were read must be written and read again.

#![no_main]

// The modules instead of their crates, which depend on llama.cpp.
extern crate self as ggrun;
#[path = "../../src/chat/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only messages")]
mod chat;
#[path = "../../src/grammar/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only the names of keywords are used")]
mod grammar;
#[path = "../../src/json.rs"]
#[allow(dead_code, reason = "the target uses only a part")]
mod json;
#[path = "../../src/cli/commands/chat/written.rs"]
mod written;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(messages) = written::parse(text) else { return };
    let written = written::text("model.gguf", &messages).expect("a message is JSON");
    assert_eq!(written::parse(&written).expect("what was written is a conversation"), messages);
});
