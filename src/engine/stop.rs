//! Finds stop strings in text that arrives in pieces.

/// Holds text back while it may be the beginning of a stop string.
///
/// The stop string that is complete first wins; if several end together, the longest wins. The result therefore does
/// not depend on how the text was split.
#[derive(Debug, Clone)]
pub struct StopMatcher {
    stops: Vec<String>,
    held: String,
}

/// The result of a piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// Text that is certain to be part of the answer.
    pub text: String,
    /// The stop string that ended it, by index; nothing may be pushed after that.
    pub stop: Option<usize>,
}

impl StopMatcher {
    /// Creates a finder of these strings; empty ones are ignored.
    #[must_use]
    pub fn new(stops: Vec<String>) -> Self {
        Self { stops, held: String::new() }
    }

    /// Takes more text.
    pub fn push(&mut self, text: &str) -> Scanned {
        if self.stops.is_empty() {
            return Scanned { text: text.to_owned(), stop: None };
        }
        for character in text.chars() {
            self.held.push(character);
            if let Some((index, length)) = self.complete() {
                let mut text = std::mem::take(&mut self.held);
                text.truncate(text.len() - length);
                return Scanned { text, stop: Some(index) };
            }
        }
        let keep = self.unfinished();
        let tail = self.held.split_off(self.held.len() - keep);
        Scanned { text: std::mem::replace(&mut self.held, tail), stop: None }
    }

    /// Returns the held text when no more text comes.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    fn complete(&self) -> Option<(usize, usize)> {
        let ending =
            self.stops.iter().enumerate().filter(|(_, s)| !s.is_empty() && self.held.ends_with(s.as_str()));
        ending.map(|(i, s)| (i, s.len())).rev().max_by_key(|&(_, length)| length)
    }

    /// The longest end of the held text that begins a stop string.
    fn unfinished(&self) -> usize {
        let begins = |length: &usize| {
            let Some(tail) = self.held.get(self.held.len() - length..) else { return false };
            self.stops.iter().any(|s| s.len() > *length && s.starts_with(tail))
        };
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0).min(self.held.len());
        (1..=longest).rev().find(begins).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(stops: &[&str], pieces: &[&str]) -> (String, Option<usize>) {
        let mut matcher = StopMatcher::new(stops.iter().map(ToString::to_string).collect());
        let mut out = String::new();
        for piece in pieces {
            let scanned = matcher.push(piece);
            out += &scanned.text;
            if scanned.stop.is_some() {
                return (out, scanned.stop);
            }
        }
        (out + &matcher.finish(), None)
    }

    /// The obvious search: every end, every stop string.
    fn naive(stops: &[String], text: &str) -> (String, Option<usize>) {
        for (start, character) in text.char_indices() {
            let seen = &text[..start + character.len_utf8()];
            let mut best: Option<(usize, usize)> = None;
            for (index, stop) in stops.iter().enumerate() {
                if !stop.is_empty()
                    && seen.ends_with(stop.as_str())
                    && best.is_none_or(|(_, l)| stop.len() > l)
                {
                    best = Some((index, stop.len()));
                }
            }
            if let Some((index, length)) = best {
                return (seen[..seen.len() - length].to_owned(), Some(index));
            }
        }
        (text.to_owned(), None)
    }

    #[test]
    fn a_stop_string_over_three_pieces_is_found_and_cut_off() {
        assert_eq!(scan(&["STOP"], &["one S", "TO", "P two"]), ("one ".into(), Some(0)));
    }

    #[test]
    fn an_incomplete_stop_string_is_returned() {
        assert_eq!(scan(&["STOP"], &["a ST", "ONE"]), ("a STONE".into(), None));
        assert_eq!(scan(&["STOP"], &["a ST"]), ("a ST".into(), None));
    }

    #[test]
    fn only_the_possible_beginning_is_held() {
        let mut matcher = StopMatcher::new(vec!["\n\n".into()]);
        assert_eq!(matcher.push("a\nb\n").text, "a\nb");
        assert_eq!(matcher.push("\n"), Scanned { text: String::new(), stop: Some(0) });
    }

    proptest! {
        #[test]
        fn any_cut_gives_what_the_obvious_search_gives(
            stops in prop::collection::vec("[abé]{0,4}", 0..4),
            text in "[abcé]{0,24}",
            cuts in prop::collection::vec(0usize..30, 0..8),
        ) {
            let mut bounds: Vec<usize> = cuts.into_iter().filter(|c| text.is_char_boundary(*c)).collect();
            bounds.extend([0, text.len()]);
            bounds.sort_unstable();
            let pieces: Vec<&str> = bounds.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            let borrowed: Vec<&str> = stops.iter().map(String::as_str).collect();
            prop_assert_eq!(scan(&borrowed, &pieces), naive(&stops, &text));
        }
    }
}
