//! Random names of requests, answers and calls.

use std::hash::{BuildHasher as _, RandomState};

/// 24 random hexadecimal digits: the keys of a hash map are random, and each map has other ones.
#[must_use]
pub(super) fn random() -> String {
    let [high, low] = [0, 1].map(|number: u64| RandomState::new().hash_one(number));
    format!("{high:016x}{:08x}", low >> 32)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn names_differ() {
        let names: BTreeSet<String> = (0..1000).map(|_| super::random()).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|name| name.len() == 24));
    }
}
