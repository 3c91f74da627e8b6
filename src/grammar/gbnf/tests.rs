//! Grammars that are read, and those that are refused.

use super::*;

#[test]
fn valid_grammars_are_read() {
    for (text, names_tokens) in [
        ("root ::= \"a\"", false),
        (
            "# c\nroot ::= a | b # <x>\na ::= [^<\\]\\n]* \"\\\"<\" .\nb ::= (\n \"x\" |\n \"y\"\n){2,3} a?\n",
            false,
        ),
        ("root ::= <think> (!</think>)* </think> \"x\"", true),
        ("root ::= <[12]> a{0,} a{3}\na ::= \"\\x41\\u00e9\\U0001F600\"", true),
        ("root ::= \"\" | a\r\na ::= \"b\"{2,5000}", false),
        ("root ::= [a-zA-Z-]+ \"é\"", false),
    ] {
        assert_eq!(Gbnf::check(text), Ok(Gbnf { names_tokens }), "{text}");
    }
}

#[test]
fn invalid_grammars_are_refused_with_the_place() {
    for (text, reason) in [
        ("", "it is empty"),
        ("junk", "expected `::=` at line 1, column 5"),
        ("root ::= (", "expected `)` at line 1, column 11"),
        ("root ::= \"a", "does not end"),
        ("root ::= [a", "does not end"),
        ("root ::= \"\\q\"", "unknown escape at line 1, column 11"),
        ("root ::= \"\\x4\"", "expected 2 digits"),
        ("root ::= missing", "there is no rule `missing`"),
        ("other ::= \"a\"", "there is no rule `root`"),
        ("root ::= \"a\"\nb ::= <x\n", "the name of a token does not end at line 2"),
        ("root ::= \"a\" }", "expected the end of the line"),
        ("root ::= *", "nothing to repeat"),
        ("root ::= \"\"*", "nothing to repeat"),
        ("root ::= \"a\"{5,1}", "the counts of `{5,1}` are out of order"),
        ("root ::= [a]{2,1}", "out of order"),
        ("root ::= \"a\"{99999999}", "more than 2000 times"),
        ("root ::= \"a\"{99999999999999999999999}", "too large"),
        ("root ::= root \"a\"", "left recursion: rule `root` begins with itself"),
        ("root ::= a? b\na ::= \"x\"\nb ::= a? root", "left recursion"),
    ] {
        let error = Gbnf::check(text).unwrap_err();
        assert!(error.contains(reason), "{text:?}: {error}");
    }
}

#[test]
fn a_grammar_that_would_exhaust_llama_cpp_is_refused() {
    let alternatives: Vec<_> = (0..50_000).map(|n| format!("\"{n}\"")).collect();
    let doubled: Vec<_> =
        (0..40).map(|n| format!("a{n} ::= a{} \"x\" | a{} \"y\"\n", n + 1, n + 1)).collect();
    let chain: Vec<_> = (0..5000).map(|n| format!("a{n} ::= a{}\n", n + 1)).collect();
    let (doubled, chain) = (doubled.concat(), chain.concat());
    for (text, reason) in [
        (format!("root ::= {}", alternatives.join(" | ")), "more than 200000 characters"),
        (format!("root ::= {}", alternatives[..2000].join(" | ")), "can begin in 2000 ways"),
        (
            format!("root ::= \"x\" ({})", alternatives[..2000].join(" | ")),
            "a group can begin in more than 1024 ways",
        ),
        (format!("root ::= a0\n{doubled}a40 ::= \"z\"\n"), "ways, expected at most 1024"),
        (format!("root ::= a0\n{chain}a5000 ::= \"z\"\n"), "each begin with the next"),
        (format!("root ::= {}", "(".repeat(100_000)), "nested more than 256 deep"),
        (format!("root ::= \"a\"{}", "?".repeat(100_000)), "quantifiers in a row"),
        (format!("root ::= {}", "\"abc\"{2000} ".repeat(100)), "more than 200000 characters"),
        (" ".repeat(LONGEST + 1), "it is empty"),
        ("x".repeat(LONGEST + 1), "expected at most 1048576"),
        ("root ::= ((\"a\"?){2000}){2000}".to_owned(), "ways"),
    ] {
        let error = Gbnf::check(&text).unwrap_err();
        assert!(error.contains(reason), "{}: {error}", &text[..text.len().min(80)]);
    }
    assert!(Gbnf::check(&format!("root ::= {}", alternatives[..1000].join(" | "))).is_ok());
}
