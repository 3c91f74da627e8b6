//! Checks of grammars and schemas that do not need a model.
#![expect(unsafe_code, reason = "the binding compiles grammars only with a model")]

use std::ffi::CString;
use std::ptr;

use llama_cpp_sys_2 as sys;

use super::matching;
use crate::engine::{Rules, SamplingError};
use crate::grammar::{Gbnf, Vocabulary};
use crate::llama::log;

/// Refuses rules that are invalid for every model. A grammar that names tokens is compiled only with a model.
///
/// # Errors
///
/// When a schema or a grammar is not valid.
pub fn check_rules(rules: &Rules) -> Result<(), SamplingError> {
    let Rules::Gbnf(text) = rules else {
        return matching::matcher(rules, 0, Vocabulary::bytes()).map(drop);
    };
    let refused = |reason: String| SamplingError::Grammar { reason };
    if Gbnf::check(text).map_err(refused)?.names_tokens {
        return Ok(());
    }
    let c_text = CString::new(text.as_str()).map_err(|_| refused("it contains a zero byte".to_owned()))?;
    let (made, lines) = log::capture(|| {
        // SAFETY: both texts end with a zero and live until after the call, which copies them. The vocabulary is read
        // only for names of tokens, of which the text has none, and b11434 checks it there (`parse_token` in
        // llama-grammar.cpp).
        let made = unsafe { sys::llama_sampler_init_grammar(ptr::null(), c_text.as_ptr(), c"root".as_ptr()) };
        if !made.is_null() {
            // SAFETY: it was made above, and nothing else has it.
            unsafe { sys::llama_sampler_free(made) };
        }
        if made.is_null() { Err(()) } else { Ok(()) }
    });
    made.map_err(|()| refused(log::reason(&lines, "llama.cpp cannot compile it")))
}
