//! The ways in which a text may arrive, for tests.

/// A text as a whole, letter by letter, and cut once at each place.
pub(super) fn cuts(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let bounds = |at: &usize| text.is_char_boundary(*at);
    let ends = (1..=text.len()).filter(bounds);
    let letters = ends.scan(0, |begin, end| Some(&text[std::mem::replace(begin, end)..end])).collect();
    let halves = (0..=text.len()).filter(bounds).map(|at| vec![&text[..at], &text[at..]]);
    [vec![text], letters].into_iter().chain(halves)
}
