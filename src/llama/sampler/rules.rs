//! Checks of grammars and schemas that do not need a model.
#![expect(unsafe_code, reason = "the binding compiles grammars only with a model")]

use std::ffi::CString;
use std::ptr;

use llama_cpp_sys_2 as sys;

use super::grammar;
use crate::engine::{Rules, SamplingError};
use crate::llama::log;

/// Refuses rules that are invalid for every model. Rules that name tokens are left to the model's own check.
///
/// # Errors
///
/// When a schema or a grammar is not valid.
pub fn check_rules(rules: &Rules) -> Result<(), SamplingError> {
    let text = grammar::text(rules)?;
    let refused = |reason: String| SamplingError::Grammar { reason };
    let c_text = CString::new(text.as_str()).map_err(|_| refused("it contains a zero byte".to_owned()))?;
    let (made, log) = log::capture(|| {
        // SAFETY: both texts end with a zero and live until after the call, which copies them. The vocabulary is read
        // only for names of tokens, and b11434 checks it there (`parse_token` in llama-grammar.cpp).
        let made = unsafe { sys::llama_sampler_init_grammar(ptr::null(), c_text.as_ptr(), c"root".as_ptr()) };
        if !made.is_null() {
            // SAFETY: it was made above, and nothing else has it.
            unsafe { sys::llama_sampler_free(made) };
        }
        if made.is_null() { Err(()) } else { Ok(()) }
    });
    if made.is_ok() || text.contains('<') { Ok(()) } else { Err(refused(log.join("; "))) }
}
