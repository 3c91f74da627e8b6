//! Any bytes as a line of a batch. It is a request or a failure, and has a name.

#![no_main]

#[path = "../row.rs"]
mod row;
// The modules and not their crate, which would bring llama.cpp along.
#[path = "../../src/batch/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only rows are read")]
mod batch;
#[path = "../../src/chat/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only rows are read")]
mod chat;
#[path = "../../src/engine/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only rows are read")]
mod engine;
#[path = "../../src/openai/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only rows are read")]
mod openai;
#[path = "../../src/session/mod.rs"]
#[allow(dead_code, unused_imports, reason = "only rows are read")]
mod session;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    row::batch_row(data);
});
