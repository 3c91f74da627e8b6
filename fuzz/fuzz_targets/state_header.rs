//! Reads any bytes as the header of a saved state. Encoding it must give the same bytes.

#![no_main]

#[path = "../../src/state/header.rs"]
#[allow(dead_code, reason = "the target does not inspect errors")]
mod header;

use header::Header;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(bytes) = data.first_chunk::<{ Header::BYTES }>() else { return };
    if let Ok(header) = Header::parse(bytes, data.len() as u64) {
        assert_eq!(header.encode(), *bytes);
        assert_eq!(header.length(), data.len() as u128);
    }
});
