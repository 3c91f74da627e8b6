//! Reads any bytes as a GGUF header.

#![no_main]

#[path = "../parse.rs"]
#[allow(dead_code, reason = "each target uses one of its functions")]
mod parse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parse::gguf_header(data);
});
