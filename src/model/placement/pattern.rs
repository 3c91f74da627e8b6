//! The pattern of tensor names in an override.

/// A regular expression in the dialect that llama.cpp's overrides have.
#[derive(Debug, Clone)]
pub(super) struct Pattern(fancy_regex::Regex);

impl Pattern {
    /// Parses a pattern; the error is the reason why it is invalid.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if repetitions(text) > MOST_REPETITIONS {
            return Err(format!("it repeats a part more than {MOST_REPETITIONS} times"));
        }
        fancy_regex::Regex::new(text).map(Self).map_err(|error| match error {
            fancy_regex::Error::ParseError(at, _) => format!("syntax error at byte {at}"),
            _ => "it uses an unsupported feature or is too large".to_owned(),
        })
    }

    /// Whether the pattern matches a tensor's name. A pattern that takes too long does not match.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.is_match(name).unwrap_or(false)
    }
}

/// The limit on nested repetitions, whose sizes the library multiplies without a check.
const MOST_REPETITIONS: u64 = 1_000_000;

/// The product of all counts in braces: at least the repetitions of any part.
fn repetitions(text: &str) -> u64 {
    let largest = |count: &str| {
        let numbers = count.split(|c: char| !c.is_ascii_digit()).take(2).filter(|digits| !digits.is_empty());
        numbers.map(|digits| digits.parse().unwrap_or(u64::MAX)).max().unwrap_or(1).max(1)
    };
    text.split('{').skip(1).map(largest).fold(1, u64::saturating_mul)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_without_end_are_refused() {
        for text in
            ["(a{99999999999999})", "((a{1000}){1000}){20}", "(<{999999999999991000}){20}", "a{1,9999999}"]
        {
            assert_eq!(
                Pattern::parse(text).unwrap_err(),
                "it repeats a part more than 1000000 times",
                "{text}"
            );
        }
        assert!(Pattern::parse(r"blk\.[0-9]{1,3}\.ffn_(up|down){1}").unwrap().matches("blk.12.ffn_up"));
    }
}
