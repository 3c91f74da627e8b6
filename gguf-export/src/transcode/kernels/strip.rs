//! Input and error of the kernels.

/// A strip of a GPTQ-packed matrix: all columns (inputs) of some outputs.
#[derive(Debug, Clone, Copy)]
pub struct Strip<'a> {
    /// Little-endian words `[columns * bits / 32, outputs]`; lines past the last column are padding.
    pub words: &'a [u8],
    /// F16 `[groups, outputs]`.
    pub scales: &'a [u8],
    /// Rows of the result.
    pub outputs: usize,
    /// Columns of the result, a multiple of 32.
    pub columns: usize,
    /// Columns per group: a multiple of 32, or at least `columns`.
    pub group: usize,
}

impl Strip<'_> {
    /// The scales of `N` outputs from `first` for one block, as F16 bits; fails unless all are finite.
    #[inline]
    pub(super) fn scales<const N: usize>(&self, block: usize, first: usize) -> Result<[u16; N], BadScale> {
        let group = block * 32 / self.group;
        let from = (group * self.outputs + first) * 2;
        let bytes = &self.scales[from..from + 2 * N];
        let mut out = [0; N];
        let mut finite = true;
        for (scale, b) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *scale = u16::from_le_bytes(*b);
            finite &= *scale & 0x7C00 != 0x7C00;
        }
        if finite {
            return Ok(out);
        }
        let lane = out.iter().position(|s| s & 0x7C00 == 0x7C00).unwrap_or(0);
        Err(BadScale { output: first + lane, group })
    }

    /// One line of `N` words from output `first`.
    #[inline]
    pub(super) fn words<const N: usize>(&self, line: usize, first: usize) -> [u32; N] {
        let from = (line * self.outputs + first) * 4;
        let bytes = &self.words[from..from + 4 * N];
        let mut out = [0; N];
        for (word, b) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*b);
        }
        out
    }
}

/// A scale that is NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadScale {
    /// Index of the output in the strip.
    pub output: usize,
    /// Index of the group.
    pub group: usize,
}
