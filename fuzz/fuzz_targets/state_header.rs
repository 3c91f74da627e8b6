//! Any bytes as the front of a saved state. What was read is written the same.

#![no_main]

#[path = "../../src/state/header.rs"]
#[allow(dead_code, reason = "errors are not looked into")]
mod header;

use header::Header;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(front) = data.first_chunk::<{ Header::BYTES }>() else { return };
    if let Ok(header) = Header::parse(front, data.len() as u64) {
        assert_eq!(header.encode(), *front);
        assert_eq!(header.length(), data.len() as u128);
    }
});
