//! The memory that a placement needs, by device and by purpose.

/// The memory needed on each device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// Main memory first, then the GPUs.
    pub lines: Vec<Line>,
}

impl Bill {
    /// Whether every device has enough memory.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.lines.iter().all(Line::fits)
    }

    /// Whether every device has enough memory without dropping pages of a mapped file.
    #[must_use]
    pub fn fits_with_margin(&self) -> bool {
        self.lines.iter().all(|line| line.sum() <= line.budget)
    }
}

/// The memory needed on one device. Sizes are in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// The device.
    pub device: String,
    /// Weights that every token needs.
    pub dense: u64,
    /// Routed experts.
    pub experts: u64,
    /// A second copy of weights, because they are repacked while the file stays mapped.
    pub second_copy: u64,
    /// KV cache.
    pub kv: u64,
    /// State of recurrent layers.
    pub recurrent: u64,
    /// The state cache.
    pub state_cache: u64,
    /// Intermediate results.
    pub compute: u64,
    /// The program and the vocabulary.
    pub program: u64,
    /// The part of the weights that stays in the mapped file.
    pub mapped: u64,
    /// Whether the mapped part may exceed the memory, because the caller asked for mapping, or experts are read as they
    /// are chosen.
    pub pages: bool,
    /// The part of the mapped experts that must fit if they are read as they are chosen.
    pub window: u64,
    /// The limit.
    pub budget: u64,
    /// The limit if the excess over `budget` is a mapped file: without a margin, because the system can drop its pages.
    pub budget_mapped: u64,
    /// Free memory.
    pub free: u64,
    /// Total memory.
    pub total: u64,
}

impl Line {
    /// The sum of all purposes.
    #[must_use]
    pub fn sum(&self) -> u64 {
        let caches = [self.kv, self.recurrent, self.state_cache, self.compute, self.program];
        [self.dense, self.experts, self.second_copy]
            .iter()
            .chain(&caches)
            .fold(0, |sum: u64, part| sum.saturating_add(*part))
    }

    /// Whether the sum is within the limit.
    #[must_use]
    pub fn fits(&self) -> bool {
        let own = self.sum() - self.mapped;
        self.sum() <= self.budget
            || own.saturating_add(self.window) <= self.budget
                && (self.pages || self.sum() <= self.budget_mapped)
    }
}
