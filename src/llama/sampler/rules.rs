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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::corpus;

    #[test]
    fn any_text_is_compiled_or_refused_with_a_reason() {
        let (mut compiled, mut refused) = (0, 0);
        corpus::each("gbnf", |text, _| {
            match check_rules(&Rules::Gbnf(String::from_utf8_lossy(text).into_owned())) {
                Ok(()) => compiled += 1,
                Err(SamplingError::Grammar { reason }) => {
                    assert!(!reason.is_empty());
                    refused += 1;
                }
                Err(other) => panic!("{other:?}"),
            }
        });
        assert!(compiled > 50 && refused > 50, "{compiled} compiled, {refused} refused");
    }

    #[test]
    fn what_is_read_here_is_compiled_by_llama_cpp() {
        for text in [
            "root ::= \"a\"",
            "# c\nroot ::= a | b # <x>\na ::= [^<\\]\\n]* \"\\\"<\" .\nb ::= (\n \"x\" |\n \"y\"\n){2,3} a?\n",
            "root ::= \"\" | a\r\na ::= \"b\"{2,5000}",
            "root ::= [a-zA-Z-]+ \"\u{e9}\" \"\\x41\\u00e9\\U0001F600\"",
            "root ::= a\na ::= \"x\"{0,} \"y\"{3} (\"z\"?){2}",
        ] {
            assert_eq!(check_rules(&Rules::Gbnf(text.to_owned())), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_sign_in_a_literal_a_class_or_a_comment_is_no_token() {
        for (text, is_valid) in [
            ("root ::= \"<\" (", false),
            ("root ::= [<] ( # <x>", false),
            ("root ::= <think> x", false),
            ("root ::= <think> \"x\"", true),
        ] {
            assert_eq!(check_rules(&Rules::Gbnf(text.to_owned())).is_ok(), is_valid, "{text}");
        }
    }
}
