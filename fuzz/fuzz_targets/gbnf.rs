//! Checks any bytes as a grammar in GBNF.

#![no_main]

// The modules instead of their crate, which depends on llama.cpp.
#[path = "../../src/grammar/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the target uses only a part")]
mod grammar;
#[path = "../../src/json.rs"]
#[allow(dead_code, reason = "the target uses only a part")]
mod json;
#[path = "../rules.rs"]
#[allow(dead_code, reason = "the other target is in it too")]
mod rules;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    rules::gbnf(data);
});
