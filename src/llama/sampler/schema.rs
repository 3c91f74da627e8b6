//! JSON schemas as rules of a grammar, by llama.cpp's converter.

use llama_cpp_2::json_schema_to_grammar;

use super::limits;
use crate::engine::SamplingError;
use crate::llama::log;

/// The stack of a conversion. llama.cpp's converter recurses along references, properties and patterns, all of which
/// [`limits`] bounds; only the pages that are touched take memory.
const STACK: usize = 256 << 20;

/// The rules of a schema, beginning with `root`.
pub(super) fn convert(schema: &str) -> Result<String, SamplingError> {
    let refused = |reason: String| SamplingError::Schema { reason };
    limits::check(schema).map_err(refused)?;
    let convert = || {
        let (made, log) = log::capture(|| json_schema_to_grammar(schema));
        made.map_err(|_| {
            refused(if log.is_empty() { "llama.cpp cannot convert it".to_owned() } else { log.join("; ") })
        })
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("schema".to_owned()).stack_size(STACK);
        let converted = thread.spawn_scoped(scope, convert).map_err(|error| refused(error.to_string()))?;
        converted.join().unwrap_or_else(|_| Err(refused("the converter panicked".to_owned())))
    })
}

/// Rules, and those of schemas under their names.
pub(super) fn compose(gbnf: &str, schemas: &[(String, String)]) -> Result<String, SamplingError> {
    let mut rules = gbnf.to_owned();
    for (name, schema) in schemas {
        rules.push('\n');
        rules.push_str(&renamed(&convert(schema)?, name));
    }
    Ok(rules)
}

/// Rules with a name instead of `root`, and in front of all other names.
fn renamed(rules: &str, name: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(rules.len() * 2), rules);
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => closing(rest, '"'),
            '[' => closing(rest, ']'),
            // Repetition counts are not names.
            '{' => rest.find('}').map_or(rest.len(), |at| at + 1),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            c if is_word(c) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                out.push_str(name);
                if &rest[..end] != "root" {
                    out.push('-');
                    out.push_str(&rest[..end]);
                }
                rest = &rest[end..];
                continue;
            }
            c => c.len_utf8(),
        };
        out.push_str(&rest[..end]);
        rest = &rest[end..];
    }
    out
}

/// The length of a quoted text or a class of characters.
fn closing(text: &str, close: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == close => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_schema_is_refused_with_the_position() {
        let error = convert("{\"type\": ").unwrap_err().to_string();
        assert!(error.contains("incomplete JSON, it ends at column "), "{error}");
        assert!(convert("[]").is_err());
        assert!(convert(&"[".repeat(100_000)).is_err());
        assert!(convert("{\"type\": \"integer\"}").unwrap().contains("root ::="));
    }

    #[test]
    fn chains_of_references_and_nested_patterns_are_converted_or_refused() {
        let each: Vec<String> = (0..3000)
            .map(|n| format!("\"a{n}\": {{\"properties\": {{\"x\": {{\"$ref\": \"#/$defs/a{}\"}}}}}}", n + 1))
            .collect();
        let chain =
            format!("{{\"$ref\": \"#/$defs/a0\", \"$defs\": {{{}, \"a3000\": {{}}}}}}", each.join(", "));
        assert!(convert(&chain).unwrap().contains("root ::="));
        let pattern = format!("^{}x{}$", "(".repeat(2000), ")".repeat(2000));
        let refused = convert(&format!("{{\"type\": \"string\", \"pattern\": \"{pattern}\"}}"));
        assert!(matches!(refused, Err(SamplingError::Schema { .. })), "{refused:?}");
    }

    #[test]
    fn rules_of_several_schemas_have_names_of_their_own() {
        assert_eq!(
            renamed(
                "root ::= \"root \\\" x\" b-1? [^\"\\]root]{0,4} | (b-1){2}\nb-1 ::= root # root\n",
                "a0"
            ),
            "a0 ::= \"root \\\" x\" a0-b-1? [^\"\\]root]{0,4} | (a0-b-1){2}\na0-b-1 ::= a0 # root\n"
        );
        let schema = |kind: &str| {
            format!("{{\"type\": \"object\", \"properties\": {{\"a\": {{\"type\": \"{kind}\"}}}}}}")
        };
        let both = [("s0".to_owned(), schema("string")), ("s1".to_owned(), schema("integer"))];
        let rules = compose("root ::= s0 s1", &both).unwrap();
        assert!(
            rules.contains("\ns0 ::=") && rules.contains("\ns1 ::=") && !rules.contains("\nroot ::="),
            "{rules}"
        );
    }
}
