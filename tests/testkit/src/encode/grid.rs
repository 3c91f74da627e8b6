//! Codes, zero points and scales of integer layouts before packing.

use super::{ScaleDtype, Site};

/// Smallest scale of AutoRound. It is subnormal in F16.
const SMALLEST: f64 = 1e-5;

/// The inputs of a row that share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Groups of this many inputs; the last may be shorter.
    Size(usize),
    /// The whole row.
    PerRow,
}

impl Group {
    /// Inputs per group in a row of `cols`.
    pub fn size(self, cols: usize) -> usize {
        match self {
            Self::Size(size) => size,
            Self::PerRow => cols,
        }
    }

    /// The `group_size` of a configuration.
    pub fn config(self) -> i64 {
        match self {
            Self::Size(size) => size as i64,
            Self::PerRow => -1,
        }
    }
}

/// Unsigned codes, with a scale and an unsigned zero point per row and group: `scale * (code - zero)`.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) groups: usize,
    /// `[rows, cols]`.
    pub(super) codes: Vec<u32>,
    /// `[rows, groups]`.
    pub(super) scales: Vec<f64>,
    /// `[rows, groups]`; the zero points that readers must use.
    pub(super) zeros: Vec<u32>,
    /// The group of each input.
    pub(super) group_of: Vec<usize>,
}

impl Grid {
    /// A random grid: every group has the lowest and the highest code; symmetric scales have both signs; asymmetric zero
    /// points are `lowest_zero` up to the highest code, both included.
    pub(super) fn random(
        site: &mut Site<'_>,
        bits: u32,
        group: Group,
        sym: bool,
        scale: ScaleDtype,
        lowest_zero: u32,
    ) -> Self {
        let (rows, cols) = (site.rows, site.cols);
        let size = group.size(cols);
        let groups = cols.div_ceil(size);
        let (top, middle) = ((1u32 << bits) - 1, 1u32 << (bits - 1));
        let mut grid = Self {
            rows,
            cols,
            groups,
            codes: (0..rows * cols).map(|_| site.rng.below(top as usize + 1) as u32).collect(),
            scales: Vec::new(),
            zeros: Vec::new(),
            group_of: (0..cols).map(|col| col / size).collect(),
        };
        let usual = site.reach() / f64::from(middle);
        for row in 0..rows {
            for group in 0..groups {
                let (start, end) = (group * size, cols.min((group + 1) * size));
                let low = start + site.rng.below(end - start);
                let high = start + site.rng.below(end - start);
                grid.codes[row * cols + low] = 0;
                grid.codes[row * cols + high] = top;
                let magnitude = match (site.extreme_scales, site.rng.one_in(4)) {
                    (true, true) => SMALLEST,
                    (true, false) => usual * 2f64.powi(site.rng.below(12) as i32 - 8),
                    _ => usual,
                };
                let magnitude = (magnitude * site.rng.uniform(1.0, 2.0)).max(SMALLEST);
                let sign = if sym && site.rng.one_in(2) { -1.0 } else { 1.0 };
                grid.scales.push(sign * scale.round(magnitude));
                grid.zeros.push(match (sym, row * groups + group) {
                    (true, _) | (_, 2) => middle,
                    (_, 0) => lowest_zero,
                    (_, 1) => top,
                    _ => lowest_zero + site.rng.below((top - lowest_zero) as usize + 1) as u32,
                });
            }
        }
        grid
    }

    /// The values of the grid, row-major.
    pub(super) fn values(&self) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.codes.len());
        for row in 0..self.rows {
            for col in 0..self.cols {
                let at = row * self.groups + self.group_of[col];
                let level = f64::from(self.codes[row * self.cols + col]) - f64::from(self.zeros[at]);
                values.push((self.scales[at] * level) as f32);
            }
        }
        values
    }
}

/// Transposes a row-major `[rows, cols]` list.
pub(super) fn transpose<T: Copy>(items: &[T], rows: usize, cols: usize) -> Vec<T> {
    assert_eq!(items.len(), rows * cols);
    (0..cols).flat_map(|col| (0..rows).map(move |row| items[row * cols + col])).collect()
}
