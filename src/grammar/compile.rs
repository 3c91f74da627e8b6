//! From a schema, or a grammar with schemas in it, to a parser of llguidance.

use llguidance::TokenParser;
use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use serde_json::{Value, json};

use super::schema::{self, Unlisted};
use super::vocabulary::Vocabulary;

/// The stack of a compilation: llguidance recurses along properties and references. Only touched pages take memory.
const STACK: usize = 256 << 20;
/// The grammar of one schema.
const ONE: &str = "start: @schema";
/// White space between the parts of a JSON text.
const SPACE: &str = r" |\n{1,2}[ \t]{0,40}";
/// Escapes of JSON strings. Without `\u`, a name of a property has one spelling, and control characters have none.
const ESCAPES: &str = "nrbtf\\\"";

/// What an answer must conform to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    /// A JSON schema.
    Schema(&'a str),
    /// A JSON schema, with properties that it does not list.
    #[cfg(test)]
    Open(&'a str),
    /// A grammar in Lark with the rule `start`, which names schemas as `@name` and tags as rules.
    Composed {
        lark: &'a str,
        /// Names and schemas.
        schemas: &'a [(String, String)],
        /// Names and texts of tags, which may be control tokens.
        tags: &'a [(String, String)],
    },
}

/// Why there is no parser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// A schema is at fault.
    Schema(String),
    /// The grammar is at fault.
    Grammar(String),
}

/// The parser of a source, with up to `newlines` line breaks before its text.
pub(super) fn compile(
    source: Source<'_>,
    newlines: usize,
    vocabulary: &Vocabulary,
) -> Result<TokenParser, Invalid> {
    let make = || {
        let (lark, schemas) = match source {
            Source::Schema(text) => (ONE.to_owned(), vec![("schema", held(text, vocabulary)?)]),
            #[cfg(test)]
            Source::Open(text) => (ONE.to_owned(), vec![("schema", strict(text, Unlisted::Written)?)]),
            Source::Composed { lark, schemas, tags } => {
                let each = schemas
                    .iter()
                    .map(|(name, text)| held(text, vocabulary).map(|schema| (name.as_str(), schema)));
                (format!("{lark}\n{}", rules(tags, vocabulary)), each.collect::<Result<_, _>>()?)
            }
        };
        let lark = if newlines == 0 { lark } else { after_newlines(&lark, newlines) };
        parser(lark, schemas, vocabulary)
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("schema".to_owned()).stack_size(STACK);
        let compiled =
            thread.spawn_scoped(scope, make).map_err(|error| Invalid::Grammar(error.to_string()))?;
        compiled.join().unwrap_or_else(|_| Err(Invalid::Grammar("its compilation panicked".to_owned())))
    })
}

fn parser(
    lark: String,
    schemas: Vec<(&str, Value)>,
    vocabulary: &Vocabulary,
) -> Result<TokenParser, Invalid> {
    let mut grammars = vec![GrammarWithLexer { lark_grammar: Some(lark), ..GrammarWithLexer::default() }];
    grammars.extend(schemas.into_iter().map(|(name, schema)| GrammarWithLexer {
        name: Some(name.to_owned()),
        json_schema: Some(schema),
        ..GrammarWithLexer::default()
    }));
    let made = vocabulary.prepared().factory.create_parser(TopLevelGrammar { grammars, max_tokens: None });
    made.map_err(|error| Invalid::Schema(reason(&error)))
}

/// A schema without properties that it does not list. The alternatives of a `oneOf` must exclude each other with them too:
/// a value that two alternatives allow is not valid, even if only one of them would be written like that.
fn held(text: &str, vocabulary: &Vocabulary) -> Result<Value, Invalid> {
    let schema = strict(text, Unlisted::LeftOut)?;
    if has_one_of(&schema) {
        let written = strict(text, Unlisted::Written)?;
        parser(ONE.to_owned(), vec![("schema", written)], vocabulary)?;
    }
    Ok(schema)
}

fn has_one_of(schema: &Value) -> bool {
    match schema {
        Value::Object(object) => object.iter().any(|(key, value)| key == "oneOf" || has_one_of(value)),
        Value::Array(list) => list.iter().any(has_one_of),
        _ => false,
    }
}

fn strict(text: &str, unlisted: Unlisted) -> Result<Value, Invalid> {
    let mut schema = schema::strict(text, unlisted).map_err(Invalid::Schema)?;
    schema["x-guidance"] = json!({
        "whitespace_flexible": true,
        "whitespace_pattern": SPACE,
        "json_allowed_escapes": ESCAPES,
    });
    Ok(schema)
}

/// Rules for tags: their text, or the control token that stands for it.
fn rules(tags: &[(String, String)], vocabulary: &Vocabulary) -> String {
    let rule = |(name, text): &(String, String)| {
        let control = if vocabulary.has_control(text) { format!(" | {text}") } else { String::new() };
        format!("{name}: {}{control}\n", Value::from(text.as_str()))
    };
    tags.iter().map(rule).collect()
}

fn after_newlines(lark: &str, newlines: usize) -> String {
    let renamed = lark.replacen("start:", "answer:", 1);
    format!("start: NEWLINES? answer\nNEWLINES: /\\n{{1,{newlines}}}/\n{renamed}")
}

/// llguidance's reason in our words.
fn reason(error: &anyhow::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let known = [
        ("Unsatisfiable schema", "no value conforms to it"),
        (
            "oneOf constraints",
            "the alternatives of a `oneOf` may overlap: distinguish them by type, or by a constant string or boolean of a required property, or write `anyOf`",
        ),
        (
            "min/maxProperties only",
            "`minProperties` or `maxProperties` is supported only where all `properties` are required",
        ),
        ("circular references", "a `$ref` leads to itself while it is combined with other keywords"),
        ("patternProperty regexes", "two patterns of `patternProperties` may match one name"),
        ("can't determine if patternProperty", "two patterns of `patternProperties` may match one name"),
        ("lookarounds not supported", "a `pattern` has `^` or `$` inside"),
        ("Unable to determine if regex is empty", "a `pattern` is too complex"),
        ("schema too large", "it is too large with its references and alternatives"),
        ("Schema intersection stack level", "its references and alternatives are nested too deeply"),
        ("panic", "its combinations are too large"),
    ];
    let ours = known.iter().find(|(theirs, _)| text.contains(theirs)).map(|(_, ours)| (*ours).to_owned());
    ours.unwrap_or_else(|| {
        let is_limit = ["too large", "too big", "too many", "limit", "fuel", "budget"]
            .iter()
            .any(|word| first.contains(word));
        if is_limit { "it is too large".to_owned() } else { format!("llguidance refuses it: {first}") }
    })
}
