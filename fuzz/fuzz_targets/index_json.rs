//! Reads any bytes as the index of a checkpoint.

#![no_main]

#[path = "../parse.rs"]
#[allow(dead_code, reason = "each target uses one of its functions")]
mod parse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parse::index_json(data);
});
