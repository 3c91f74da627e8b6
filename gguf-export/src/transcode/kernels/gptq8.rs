//! Converts symmetric eight-bit GPTQ words to Q8_0 blocks: transposes the words, and flips the top bit of each byte,
//! which converts codes with an offset of 128 to two's complement.

use super::{BadScale, Strip};

const LANES: usize = 8;
const BLOCK: usize = 34;

/// Writes `outputs` rows of `columns / 32` blocks into `out`.
///
/// # Errors
/// [`BadScale`] if a scale is NaN or infinite.
///
/// # Panics
/// If a slice is shorter than the dimensions require.
pub fn gptq8_to_q8_0(strip: &Strip<'_>, out: &mut [u8]) -> Result<(), BadScale> {
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
        let words = [0, 1, 2, 3, 4, 5, 6, 7].map(|w| strip.words::<N>(block * 8 + w, first));
        for lane in 0..N {
            let to = &mut out[lane * row + block * BLOCK..][..BLOCK];
            to[..2].copy_from_slice(&scales[lane].to_le_bytes());
            for (line, to) in words.iter().zip(to[2..].as_chunks_mut::<4>().0) {
                *to = (line[lane] ^ 0x8080_8080).to_le_bytes();
            }
        }
    }
    Ok(())
}
