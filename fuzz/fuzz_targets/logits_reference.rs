//! Any bytes as the reference that a quality is compared with.

#![no_main]

// The module and not its crate, which would bring llama.cpp along.
#[path = "../../src/bench/reference.rs"]
#[allow(dead_code, reason = "nothing is written")]
mod reference;

/// What the module takes from the engine.
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
