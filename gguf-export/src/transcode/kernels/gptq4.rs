//! Converts symmetric four-bit GPTQ words to Q4_0 blocks.
//!
//! A block has four words; word `w` holds elements `8w..8w+8`, low nibble first. Byte `j` of the block has element `j` in
//! its low and `j + 16` in its high nibble, so bytes 0 to 7 pair the nibbles of words 0 and 2, bytes 8 to 15 those of
//! words 1 and 3. Codes are unchanged: both formats mean `code - 8`.

use super::{BadScale, Strip};

/// Outputs per step: a cache line of words.
const LANES: usize = 16;
const BLOCK: usize = 18;

/// Writes `outputs` rows of `columns / 32` blocks into `out`.
///
/// # Errors
/// [`BadScale`] if a scale is NaN or infinite.
///
/// # Panics
/// If a slice is shorter than the dimensions require.
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

/// Eight bytes: byte `i` has nibble `i` of `low` in its low half and nibble `i` of `high` in its high half.
#[inline]
fn pair(low: u32, high: u32) -> u64 {
    const NIBBLES: u32 = 0x0F0F_0F0F;
    let even = (low & NIBBLES) | (high & NIBBLES) << 4;
    let odd = (low >> 4 & NIBBLES) | (high & !NIBBLES);
    spread(even) | spread(odd) << 8
}

/// Spreads the four bytes of a word to the even bytes of the result.
#[inline]
fn spread(word: u32) -> u64 {
    let x = u64::from(word);
    let x = (x | x << 16) & 0x0000_FFFF_0000_FFFF;
    (x | x << 8) & 0x00FF_00FF_00FF_00FF
}
