//! Reads any text as a saved conversation. Messages that were read must be written and read again.

#![no_main]

// The modules instead of their crate, which depends on llama.cpp.
#[path = "../../src/chat/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only messages")]
mod chat;
#[path = "../../src/conversations/format.rs"]
#[allow(dead_code, reason = "the target reads and writes")]
mod format;
#[path = "../../src/grammar/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only the names of keywords are used")]
mod grammar;
#[path = "../../src/json.rs"]
#[allow(dead_code, reason = "the target uses only a part")]
mod json;

use format::Conversation;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(read) = Conversation::parse(text) else { return };
    let written = read.text().expect("a message is JSON");
    assert_eq!(Conversation::parse(&written).expect("what was written is a conversation"), read);
});
