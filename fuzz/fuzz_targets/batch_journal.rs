//! Reads any bytes as the answers of an earlier batch. A torn last row must not change the others.

#![no_main]

#[path = "../journal.rs"]
mod journal;
// The modules instead of their crate, which depends on llama.cpp.
#[path = "../../src/atomic.rs"]
#[allow(dead_code, reason = "the target writes nothing")]
mod atomic;
#[path = "../../src/batch/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the journal")]
mod batch;
#[path = "../../src/chat/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the journal")]
mod chat;
#[path = "../../src/engine/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the journal")]
mod engine;
#[path = "../../src/grammar/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only the names of keywords are used")]
mod grammar;
#[path = "../../src/json.rs"]
#[allow(dead_code, reason = "the target uses only a part")]
mod json;
#[path = "../../src/openai/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the journal")]
mod openai;
#[path = "../../src/session/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the journal")]
mod session;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    journal::batch_journal(data);
});
