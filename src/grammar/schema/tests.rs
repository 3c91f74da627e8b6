//! The document for users has the tables of this module.

use super::format::FORMATS;
use super::keywords::{KEYWORDS, Support};

/// The document for users.
const DOCUMENT: &str = include_str!("../../../docs/json-schema.md");

fn tables() -> String {
    let mut out = String::from("| keyword | what becomes of it |\n| --- | --- |\n");
    for (name, support) in KEYWORDS {
        let text = match support {
            Support::Held("") => "held".to_owned(),
            Support::Held(limits) => format!("held: {limits}"),
            Support::Annotation => "describes only".to_owned(),
            Support::Refused(reason) => format!("refused: {reason}"),
        };
        out += &format!("| `{name}` | {text} |\n");
    }
    out += "\n| format | valid texts that are not written |\n| --- | --- |\n";
    for (name, narrower) in FORMATS {
        out += &format!("| `{name}` | {} |\n", if narrower.is_empty() { "–" } else { narrower });
    }
    out
}

#[test]
fn the_document_lists_every_keyword_and_format() {
    let tables = tables();
    for part in tables.split("\n\n") {
        assert!(DOCUMENT.contains(part.trim_end()), "docs/json-schema.md should have:\n{part}");
    }
}
