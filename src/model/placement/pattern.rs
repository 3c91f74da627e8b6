//! The pattern of tensor names in an override.

use fancy_regex::{Error, Expr, Regex};

/// A regular expression in the dialect that llama.cpp's overrides have.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Parses a pattern; the error is the reason why it is invalid.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let tree = Expr::parse_tree(text).map_err(reason)?;
        if has_large_number(text) || repetitions(&tree.expr) > MOST_REPETITIONS {
            return Err(format!("it repeats a part more than {MOST_REPETITIONS} times"));
        }
        Regex::new(text).map(Self).map_err(reason)
    }

    /// Whether the pattern matches a tensor's name. A pattern that takes too long does not match.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.is_match(name).unwrap_or(false)
    }
}

/// The limit on nested repetitions, whose sizes the library multiplies without a check.
const MOST_REPETITIONS: u64 = 1_000_000;

/// The sum of the counts in braces, each multiplied by those of what it repeats.
fn repetitions(expr: &Expr) -> u64 {
    match expr {
        Expr::Concat(parts) | Expr::Alt(parts) => parts.iter().map(repetitions).fold(0, u64::saturating_add),
        Expr::Group(part) | Expr::LookAround(part, _) | Expr::AtomicGroup(part) => repetitions(part),
        Expr::Repeat { child, lo, hi, .. } => {
            let most = if *hi == usize::MAX { *lo } else { (*hi).max(*lo) };
            repetitions(child).max(1).saturating_mul(most.max(1) as u64)
        }
        Expr::Conditional { condition, true_branch, false_branch } => [condition, true_branch, false_branch]
            .into_iter()
            .map(|part| repetitions(part))
            .fold(0, u64::saturating_add),
        _ => 0,
    }
}

/// Whether a number is so large that the library reads its braces as text.
fn has_large_number(text: &str) -> bool {
    let braces = text.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let mut numbers = braces.flat_map(|within| within.split(','));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.any(|number| is_number(number) && number.parse::<usize>().is_err())
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn reason(error: Error) -> String {
    match error {
        Error::ParseError(at, _) => format!("syntax error at byte {at}"),
        _ => "it uses an unsupported feature or is too large".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_without_end_are_refused() {
        for text in
            ["(a{99999999999999})", "((a{1000}){1000}){20}", "(<{999999999999991000}){20}", "a{1,9999999}"]
                .into_iter()
                .chain([
                    "a{99999999999999999999}",
                    "(?:a{1000}|b){1001}",
                    "a{600000}b{600000}",
                    "(a{1001,}){1000}",
                ])
        {
            assert_eq!(
                Pattern::parse(text).unwrap_err(),
                "it repeats a part more than 1000000 times",
                "{text}"
            );
        }
        assert!(Pattern::parse(r"blk\.[0-9]{1,3}\.ffn_(up|down){1}").unwrap().matches("blk.12.ffn_up"));
    }

    #[test]
    fn only_nested_repetitions_multiply_and_braces_may_be_text() {
        for (text, name) in [
            ("^a{1,100}b{1,100}c{1,100}d{1,100}$", "aabbccd"),
            ("^(a{1,100}b{1,100}){1,100}$", "abab"),
            (r"^a\{9999999}$", "a{9999999}"),
            ("^[a{9999999}]+$", "a{9}"),
        ] {
            assert!(Pattern::parse(text).unwrap().matches(name), "{text}");
        }
        assert_eq!(Pattern::parse("a(b").unwrap_err(), "syntax error at byte 3");
    }
}
