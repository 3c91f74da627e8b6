//! The fuzz targets `gbnf` and `json_schema`; `src/grammar/corpus.rs` runs them on the seeds.

use std::time::{Duration, Instant};

use super::grammar::{Gbnf, Matcher, Source, Vocabulary};

/// Far more than a grammar or a schema of a few KiB takes; only work without a limit reaches it.
const LONGEST: Duration = Duration::from_mins(1);
/// Bytes of a generated text.
const MOST_BYTES: usize = 400;

/// Checks a grammar. Returns true if it is valid.
pub(crate) fn gbnf(data: &[u8]) -> bool {
    let begin = Instant::now();
    let checked = Gbnf::check(&String::from_utf8_lossy(data));
    assert!(begin.elapsed() < LONGEST, "the check took {:?}", begin.elapsed());
    assert!(checked.as_ref().err().is_none_or(|reason| !reason.is_empty()));
    checked.is_ok()
}

/// Compiles a schema and writes a text by it, chosen by the first byte. A text that ends must be JSON. Returns true if the
/// schema is valid.
pub(crate) fn json_schema(data: &[u8]) -> bool {
    let [seed, schema @ ..] = data else { return false };
    let begin = Instant::now();
    let made = Matcher::new(Source::Schema(&String::from_utf8_lossy(schema)), 0, Vocabulary::bytes());
    assert!(begin.elapsed() < LONGEST, "the compilation took {:?}", begin.elapsed());
    let Ok(mut matcher) = made else { return false };
    let (mut text, mut state) = (Vec::new(), u32::from(*seed));
    while text.len() < MOST_BYTES && !(matcher.may_end() && state.is_multiple_of(3)) {
        let mut allowed = Vec::new();
        matcher.allowed(|token| allowed.push(token));
        if allowed.is_empty() {
            break;
        }
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let token = allowed[(state >> 16) as usize % allowed.len()];
        assert!(matcher.allows(token) && matcher.accept(token), "an allowed token is not accepted");
        text.push(u8::try_from(token).expect("tokens are bytes"));
    }
    if matcher.may_end() {
        let read: Result<serde_json::Value, _> = serde_json::from_slice(&text);
        // serde_json has a limit for the nesting, and none for the size of a number.
        let is_deep = text.iter().filter(|byte| b"[{".contains(byte)).count() > 100;
        let is_huge = read.as_ref().is_err_and(|error| error.to_string().contains("number out of range"));
        assert!(read.is_ok() || is_deep || is_huge, "{:?} is not JSON", String::from_utf8_lossy(&text));
    }
    true
}
