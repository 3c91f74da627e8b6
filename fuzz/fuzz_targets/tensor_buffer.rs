//! Reads any text as the value of `-ot`, with its pattern.

#![no_main]

#[allow(dead_code, reason = "each target uses one of its functions")]
#[path = "../pairs.rs"]
mod check;
// The modules instead of their crate, which depends on llama.cpp.
#[allow(dead_code, reason = "each target uses one of its functions")]
#[path = "../../src/cli/options/pairs.rs"]
mod pairs;
#[path = "../../src/model/placement"]
mod placement {
    mod pattern;

    /// Whether a pattern matches a name; `None` if it is invalid.
    pub(crate) fn matches(pattern: &str, name: &str) -> Option<bool> {
        pattern::Pattern::parse(pattern).ok().map(|pattern| pattern.matches(name))
    }
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    check::tensor_buffer(text, pairs::tensor_buffer, placement::matches);
});
