//! The pattern of tensor names in an override.

/// A regular expression in the dialect that llama.cpp's overrides have.
#[derive(Debug, Clone)]
pub(super) struct Pattern(fancy_regex::Regex);

impl Pattern {
    /// Parses a pattern; the error is the reason why it is invalid.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
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
