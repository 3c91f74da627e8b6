//! Interleaves the two halves of a run of rows, or takes every second row.

use std::ops::Range;

use super::task::at;
use crate::Result;

/// Fills `out` with `rows` of a run of `count` rows whose row `2i` is row `i` of the source and whose row `2i + 1` is row
/// `i + count / 2`. `straight` converts rows of the source in their own order.
pub(super) fn interleave(
    rows: Range<u64>,
    count: u64,
    row_bytes: usize,
    out: &mut [u8],
    mut straight: impl FnMut(Range<u64>, &mut [u8]) -> Result<()>,
) -> Result<()> {
    let mut half = Vec::new();
    for odd in [0, 1] {
        // Rows `2i + odd` for `i` in this range.
        let (from, to) = ((rows.start + 1 - odd) / 2, (rows.end + 1 - odd) / 2);
        half.resize(at(to - from) * row_bytes, 0);
        straight(odd * (count / 2) + from..odd * (count / 2) + to, &mut half)?;
        for (row, source) in (from..to).zip(half.chunks_exact(row_bytes)) {
            let place = at(2 * row + odd - rows.start) * row_bytes;
            out[place..place + row_bytes].copy_from_slice(source);
        }
    }
    Ok(())
}

/// Fills `out` with every second row, where `rows` counts those. `straight` converts rows of the source in their own order.
pub(super) fn alternate(
    rows: Range<u64>,
    row_bytes: usize,
    out: &mut [u8],
    mut straight: impl FnMut(Range<u64>, &mut [u8]) -> Result<()>,
) -> Result<()> {
    let between = 2 * rows.start..(2 * rows.end).saturating_sub(1).max(2 * rows.start);
    let mut all = vec![0; at(between.end - between.start) * row_bytes];
    straight(between, &mut all)?;
    for (out, source) in out.chunks_exact_mut(row_bytes).zip(all.chunks_exact(row_bytes).step_by(2)) {
        out.copy_from_slice(source);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_has_the_rows_of_both_halves_in_turn() {
        let source: Vec<u8> = (0..8).flat_map(|row| [row; 3]).collect();
        for from in 0..8u64 {
            for to in from..=8 {
                let mut out = vec![255; at(to - from) * 3];
                interleave(from..to, 8, 3, &mut out, |rows, out| {
                    out.copy_from_slice(&source[at(rows.start) * 3..at(rows.end) * 3]);
                    Ok(())
                })
                .unwrap();
                let expected = [0u8, 4, 1, 5, 2, 6, 3, 7];
                let rows: Vec<u8> = expected[at(from)..at(to)].iter().flat_map(|row| [*row; 3]).collect();
                assert_eq!(out, rows, "{from} to {to}");
            }
        }
    }

    #[test]
    fn every_second_row_is_taken() {
        let source: Vec<u8> = (0..8).flat_map(|row| [row; 3]).collect();
        for from in 0..4u64 {
            for to in from..=4 {
                let mut out = vec![255; at(to - from) * 3];
                alternate(from..to, 3, &mut out, |rows, out| {
                    out.copy_from_slice(&source[at(rows.start) * 3..at(rows.end) * 3]);
                    Ok(())
                })
                .unwrap();
                let expected = [0u8, 2, 4, 6];
                let rows: Vec<u8> = expected[at(from)..at(to)].iter().flat_map(|row| [*row; 3]).collect();
                assert_eq!(out, rows, "{from} to {to}");
            }
        }
    }
}
