//! Reads any text as the value of `--logit-bias`.

#![no_main]

#[allow(dead_code, reason = "each target uses one of its functions")]
#[path = "../pairs.rs"]
mod check;
// The module instead of its crate, which depends on llama.cpp.
#[allow(dead_code, reason = "each target uses one of its functions")]
#[path = "../../src/cli/options/pairs.rs"]
mod pairs;

libfuzzer_sys::fuzz_target!(|text: &str| {
    check::token_bias(text, pairs::token_bias);
});
