//! Reads any bytes as the reference file of a quality measurement.

#![no_main]

// The module instead of its crate, which depends on llama.cpp.
#[path = "../../src/bench/reference.rs"]
#[allow(dead_code, reason = "the target does not write")]
mod reference;

/// The item of the engine that the module uses.
mod engine {
    #[derive(Debug, Clone, Copy)]
    pub struct Token(pub i32);
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let shape = reference::Shape { vocab: 2, context: 8, chunks: 1 };
    let text: Vec<engine::Token> = (0..8).map(|n| engine::Token(n % 2)).collect();
    let Ok(mut reference) = reference::Reference::open(data, data.len() as u64, shape, &text) else { return };
    while let Ok(row) = reference.next() {
        assert_eq!(row.count(), 2);
    }
});
