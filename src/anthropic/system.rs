//! Removes the lines with metadata that clients write into the instructions.

use std::borrow::Cow;

/// What such a line begins with.
const PREFIX: &str = "x-anthropic-";

/// A text without the lines `x-anthropic-…: key=value; …`. They differ from request to request, so that no prompt
/// would begin like an earlier one. What follows the pairs on the same line stays.
pub(super) fn without_metadata(text: &str) -> Cow<'_, str> {
    if !text.contains(PREFIX) {
        return Cow::Borrowed(text);
    }
    let kept = text.split_inclusive('\n').map(|mut line| {
        while is_metadata(line) {
            line = after_pairs(line);
        }
        line
    });
    Cow::Owned(kept.collect())
}

fn is_metadata(line: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    line.strip_prefix(PREFIX).is_some_and(|rest| rest.trim_start_matches(is_part).starts_with(':'))
}

/// What follows the pairs of a line; nothing if it has none.
fn after_pairs(line: &str) -> &str {
    let Some((_, mut rest)) = line.split_once(':') else { return line };
    let mut pairs = 0;
    while let Some(after) = pair(rest) {
        rest = after;
        pairs += 1;
    }
    if pairs == 0 || rest.trim().is_empty() { "" } else { rest.trim_start() }
}

/// The text after a pair such as ` cch=a5145;`, whose semicolon may be missing.
fn pair(text: &str) -> Option<&str> {
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let text = text.trim_start_matches([' ', '\t']);
    let after_key = text.trim_start_matches(is_key);
    let value = after_key.strip_prefix('=').filter(|_| after_key.len() < text.len())?;
    let rest = value.trim_start_matches(|c: char| c != ';' && !c.is_whitespace());
    Some(rest.strip_prefix(';').unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_metadata_are_removed_and_nothing_else_is() {
        let billing = "x-anthropic-billing-header: cc_version=2.1.37.0d9; cc_entrypoint=cli; cch=fa690;";
        for (text, kept) in [
            (String::new(), String::new()),
            ("Be kind.".to_owned(), "Be kind.".to_owned()),
            (billing.to_owned(), String::new()),
            (format!("{billing}\n"), String::new()),
            (format!("{billing}\r\nBe kind."), "Be kind.".to_owned()),
            (format!("{billing}\nBe kind.\n"), "Be kind.\n".to_owned()),
            (format!("Be kind.\n{billing}\nAnd brief."), "Be kind.\nAnd brief.".to_owned()),
            (format!("{billing}You are an agent.\nBe kind."), "You are an agent.\nBe kind.".to_owned()),
            ("x-anthropic-later: some words\nBe kind.".to_owned(), "Be kind.".to_owned()),
            ("x-anthropic-a: k=v w=x y=z".to_owned(), String::new()),
            ("x-anthropic-a: k=v;x-anthropic-b: w=x; Be kind.".to_owned(), "Be kind.".to_owned()),
        ] {
            assert_eq!(without_metadata(&text), kept, "{text:?}");
        }
        for text in [
            " x-anthropic-billing-header: cch=1;",
            "See x-anthropic-billing-header: cch=1;",
            "x-anthropic-billing-header",
            "x-anthropic-billing header: cch=1;",
            "anthropic-version: 2023-06-01",
        ] {
            assert_eq!(without_metadata(text), text);
        }
    }

    #[test]
    fn two_requests_have_the_same_instructions() {
        let system = |cch: &str| {
            format!("x-anthropic-billing-header: cc_version=2.1.37; cch={cch}; You are an agent.")
        };
        assert_eq!(without_metadata(&system("00000")), without_metadata(&system("fa690")));
        assert_eq!(without_metadata(&system("fa690")), "You are an agent.");
    }
}
