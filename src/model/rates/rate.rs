//! A speed and its origin.

/// Where a speed comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was measured now.
    Measured,
    /// It was measured by an earlier process.
    Kept,
    /// It is that of no particular device.
    Assumed,
}

/// A speed and its origin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate<T> {
    /// The speed.
    pub value: T,
    /// Its origin.
    pub origin: Origin,
}
