//! Counts of values by size.

/// How many values were at most as large as each of some bounds, and their sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Distribution<const N: usize> {
    bounds: &'static [u64; N],
    /// Values up to each bound and above the one before.
    counts: [u64; N],
    count: u64,
    sum: u64,
}

impl<const N: usize> Distribution<N> {
    /// An empty distribution over ascending bounds.
    #[must_use]
    pub const fn new(bounds: &'static [u64; N]) -> Self {
        Self { bounds, counts: [0; N], count: 0, sum: 0 }
    }

    /// Adds a value.
    pub fn note(&mut self, value: u64) {
        if let Some(count) = self.counts.get_mut(self.bounds.partition_point(|&bound| bound < value)) {
            *count += 1;
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// Each bound, with the number of values up to it.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut total = 0;
        self.bounds.iter().zip(self.counts).map(move |(&bound, count)| {
            total += count;
            (bound, total)
        })
    }

    /// The number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum of the values.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_up_to_each_bound_that_they_do_not_exceed() {
        let mut found = Distribution::new(&[1, 10, 100]);
        for value in [0, 1, 2, 10, 11, 100, 101, 5000] {
            found.note(value);
        }
        assert_eq!(found.cumulative().collect::<Vec<_>>(), [(1, 2), (10, 4), (100, 6)]);
        assert_eq!((found.count(), found.sum()), (8, 5225));
        found.note(u64::MAX);
        assert_eq!((found.count(), found.sum()), (9, u64::MAX));
    }
}
