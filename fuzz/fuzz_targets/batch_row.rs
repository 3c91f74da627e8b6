//! Reads any bytes as a row of a batch. It must be a request or an error, and have an id.

#![no_main]

#[path = "../row.rs"]
mod row;
// The modules instead of their crate, which depends on llama.cpp.
#[path = "../../src/atomic.rs"]
#[allow(dead_code, reason = "the target writes nothing")]
mod atomic;
#[path = "../../src/batch/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the row parser")]
mod batch;
#[path = "../../src/chat/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the row parser")]
mod chat;
#[path = "../../src/engine/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the row parser")]
mod engine;
#[path = "../../src/grammar/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only the names of keywords are used")]
mod grammar;
#[path = "../../src/json.rs"]
#[allow(dead_code, reason = "the target uses only a part")]
mod json;
#[path = "../../src/openai/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the row parser")]
mod openai;
#[path = "../../src/session/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only the row parser")]
mod session;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    row::batch_row(data);
});
