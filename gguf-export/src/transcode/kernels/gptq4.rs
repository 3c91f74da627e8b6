//! Symmetric four-bit GPTQ words to Q4_0 blocks.
//!
//! Word `w` of a block's four holds elements `8w..8w+8`, low nibble first; byte `j` of the block wants element `j`
//! low and `j + 16` high. So bytes 0 to 7 pair the nibbles of words 0 and 2, bytes 8 to 15 those of words 1 and 3.
//! The stored code is the nibble: both sides mean `code - 8`.

use super::{BadScale, Strip};

/// Outputs handled at once: a cache line of words.
const LANES: usize = 16;
const BLOCK: usize = 18;

/// Writes `outputs` rows of `columns / 32` blocks into `out`.
///
/// # Errors
/// The first scale that is NaN or infinite.
///
/// # Panics
/// If the slices are shorter than the strip says.
pub fn gptq4_to_q4_0(strip: &Strip<'_>, out: &mut [u8]) -> Result<(), BadScale> {
    let row = strip.columns / 32 * BLOCK;
    let whole = strip.outputs / LANES * LANES;
    for (first, rows) in (0..whole).step_by(LANES).zip(out.chunks_exact_mut(LANES * row)) {
        lanes::<LANES>(strip, first, row, rows)?;
    }
    for (output, rows) in (whole..strip.outputs).zip(out[whole * row..].chunks_exact_mut(row)) {
        lanes::<1>(strip, output, row, rows)?;
    }
    Ok(())
}

#[inline]
fn lanes<const N: usize>(
    strip: &Strip<'_>,
    first: usize,
    row: usize,
    out: &mut [u8],
) -> Result<(), BadScale> {
    for block in 0..strip.columns / 32 {
        let scales = strip.scales::<N>(block, first)?;
        let [a, b, c, d] = [0, 1, 2, 3].map(|w| strip.words::<N>(block * 4 + w, first));
        let mut low = [0; N];
        let mut high = [0; N];
        for lane in 0..N {
            low[lane] = pair(a[lane], c[lane]);
            high[lane] = pair(b[lane], d[lane]);
        }
        for lane in 0..N {
            let to = &mut out[lane * row + block * BLOCK..][..BLOCK];
            to[..2].copy_from_slice(&scales[lane].to_le_bytes());
            to[2..10].copy_from_slice(&low[lane].to_le_bytes());
            to[10..].copy_from_slice(&high[lane].to_le_bytes());
        }
    }
    Ok(())
}

/// Eight bytes, each with a nibble of `low` below the nibble of `high` at the same place.
#[inline]
fn pair(low: u32, high: u32) -> u64 {
    const NIBBLES: u32 = 0x0F0F_0F0F;
    let even = (low & NIBBLES) | (high & NIBBLES) << 4;
    let odd = (low >> 4 & NIBBLES) | (high & !NIBBLES);
    spread(even) | spread(odd) << 8
}

/// The four bytes of a word, two bytes apart.
#[inline]
fn spread(word: u32) -> u64 {
    let x = u64::from(word);
    let x = (x | x << 16) & 0x0000_FFFF_0000_FFFF;
    (x | x << 8) & 0x00FF_00FF_00FF_00FF
}
