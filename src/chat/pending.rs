//! Text that has arrived and is not passed on yet.

use std::ops::Deref;

/// A text from whose front parts are taken, at the cost of these parts alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Pending {
    text: String,
    /// Where the rest begins.
    start: usize,
}

impl Deref for Pending {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text[self.start..]
    }
}

impl Pending {
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Takes this many bytes from the front.
    pub(super) fn take(&mut self, length: usize) -> String {
        let taken = self[..length].to_owned();
        self.skip(length);
        taken
    }

    /// Drops this many bytes from the front.
    pub(super) fn skip(&mut self, length: usize) {
        self.start += length;
        // The rest moves to the front only when it is shorter than the part already taken.
        if self.start > self.text.len() / 2 {
            self.text.drain(..self.start);
            self.start = 0;
        }
    }

    pub(super) fn take_all(&mut self) -> String {
        self.take(self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_and_dropped_is_no_longer_there() {
        let mut pending = Pending::default();
        pending.push("one two ");
        pending.push("three");
        assert_eq!(pending.take(4), "one ");
        pending.skip(1);
        assert_eq!(&*pending, "wo three");
        assert_eq!(pending.take(3), "wo ");
        assert_eq!(&*pending, "three");
        pending.push("!");
        assert_eq!(pending.take_all(), "three!");
        assert_eq!(&*pending, "");
    }
}
