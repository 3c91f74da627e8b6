//! Every keyword of JSON Schema, and what becomes of it: the one list that the reader follows and `docs/json-schema.md`
//! shows.

/// What becomes of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// Every answer conforms to it. The text has the limits, if there are any.
    Held(&'static str),
    /// It describes, and does not restrict.
    Annotation,
    /// A schema that has it is refused. The text says why, or what to write instead.
    Refused(&'static str),
}

use Support::{Annotation, Held, Refused};

/// Needs the rest of the answer: a grammar has forgotten it.
const COUNTS: &str = "a grammar cannot compare values";
const EVALUATED: &str = "write `additionalProperties` or `items` beside the properties or items";
const CONDITION: &str = "write the cases as `anyOf`";

/// All keywords, by the vocabularies of 2020-12.
pub(super) const KEYWORDS: &[(&str, Support)] = &[
    (
        "$schema",
        Held(
            "2020-12; schemas of draft 4 to 2019-09 are read as 2020-12, with array `items` and `additionalItems`",
        ),
    ),
    ("$id", Held("at the root; elsewhere it is refused")),
    ("$anchor", Held("")),
    ("$defs", Held("")),
    ("definitions", Held("as `$defs`")),
    ("$ref", Held("within the schema; recursion leads through properties or items")),
    ("$comment", Annotation),
    ("$dynamicRef", Refused("write `$ref`")),
    ("$dynamicAnchor", Refused("write `$anchor`")),
    ("$recursiveRef", Refused("write `$ref`")),
    ("$recursiveAnchor", Refused("write `$anchor`")),
    ("$vocabulary", Refused("it is for meta-schemas")),
    ("allOf", Held("")),
    ("anyOf", Held("")),
    (
        "oneOf",
        Held(
            "of alternatives that exclude each other by a type, or by a constant text or boolean of a required property; others are refused",
        ),
    ),
    ("not", Refused("a grammar lists what is allowed")),
    ("if", Refused(CONDITION)),
    ("then", Refused(CONDITION)),
    ("else", Refused(CONDITION)),
    ("dependentSchemas", Refused(CONDITION)),
    ("dependentRequired", Refused(CONDITION)),
    ("dependencies", Refused(CONDITION)),
    ("prefixItems", Held("")),
    ("items", Held("")),
    ("additionalItems", Held("beside an array `items`")),
    ("contains", Refused(COUNTS)),
    ("properties", Held("written in the schema's order")),
    ("patternProperties", Held("of patterns that no name matches together")),
    ("additionalProperties", Held("written last")),
    ("propertyNames", Refused("write `patternProperties` and `additionalProperties: false`")),
    ("unevaluatedItems", Refused(EVALUATED)),
    ("unevaluatedProperties", Refused(EVALUATED)),
    ("type", Held("")),
    ("enum", Held("")),
    ("const", Held("")),
    (
        "multipleOf",
        Held(
            "up to 10,000 in units of the last digit, with at most six decimals; written without an exponent",
        ),
    ),
    ("maximum", Held("up to 2^53 with at most 15 decimals; written without an exponent")),
    ("exclusiveMaximum", Held("as `maximum`")),
    ("minimum", Held("as `maximum`")),
    ("exclusiveMinimum", Held("as `maximum`")),
    ("maxLength", Held("in characters")),
    ("minLength", Held("in characters")),
    ("pattern", Held("in ECMAScript's syntax, without lookaround, word boundaries or backreferences")),
    ("maxItems", Held("")),
    ("minItems", Held("")),
    ("uniqueItems", Refused(COUNTS)),
    ("maxContains", Refused(COUNTS)),
    ("minContains", Refused(COUNTS)),
    (
        "maxProperties",
        Held(
            "of an object whose `properties` are all required, or that has no others; `1` of any without others",
        ),
    ),
    ("minProperties", Held("as `maxProperties`, and at most one more than `required` has")),
    ("required", Held("")),
    ("format", Held("of the names below, for strings; others are refused unless `type` excludes strings")),
    ("contentEncoding", Annotation),
    ("contentMediaType", Annotation),
    ("contentSchema", Annotation),
    ("title", Annotation),
    ("description", Annotation),
    ("default", Annotation),
    ("deprecated", Annotation),
    ("readOnly", Annotation),
    ("writeOnly", Annotation),
    ("examples", Annotation),
];

/// Annotations outside the standard that editors, generators and `OpenAPI` write. `x-…` is one too.
pub(super) const OTHER_ANNOTATIONS: &[&str] = &[
    "example",
    "discriminator",
    "externalDocs",
    "xml",
    "markdownDescription",
    "enumDescriptions",
    "deprecationMessage",
];

/// What becomes of a keyword; `None` if it is unknown.
pub(super) fn support(name: &str) -> Option<Support> {
    if name.starts_with("x-") || OTHER_ANNOTATIONS.contains(&name) {
        return Some(Annotation);
    }
    KEYWORDS.iter().find(|(keyword, _)| *keyword == name).map(|(_, support)| *support)
}

/// Whether a keyword describes, and does not restrict.
pub(crate) fn describes(name: &str) -> bool {
    support(name) == Some(Annotation)
}

/// The reason to refuse a keyword that is not in the list.
pub(super) fn unknown(name: &str) -> String {
    let distance = |known: &str| strsim::damerau_levenshtein(name, known);
    let near = KEYWORDS.iter().map(|(known, _)| *known).min_by_key(|known| distance(known));
    match near.filter(|known| distance(known) <= 2) {
        Some(known) => format!("it is not a keyword; did you mean `{known}`?"),
        None => "it is not a keyword of JSON Schema; remove it, or begin its name with `x-`".to_owned(),
    }
}
