//! Any bytes as a GGUF.

#![no_main]

#[path = "../eat.rs"]
#[allow(dead_code, reason = "each target has one of its functions")]
mod eat;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    eat::gguf_header(data);
});
