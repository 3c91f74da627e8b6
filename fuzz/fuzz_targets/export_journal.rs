//! Reads any bytes as the journal of an export.

#![no_main]

#[path = "../parse.rs"]
#[allow(dead_code, reason = "each target uses one of its functions")]
mod parse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    parse::export_journal(data);
});
