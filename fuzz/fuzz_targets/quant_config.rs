//! Any bytes as a `config.json` with its `quantization_config`.

#![no_main]

#[path = "../eat.rs"]
#[allow(dead_code, reason = "each target has one of its functions")]
mod eat;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    eat::quant_config(data);
});
