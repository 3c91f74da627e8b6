//! The moves that carry most of the bytes of a real checkpoint, each with its obvious version in `naive`.
//!
//! Both read a strip of GPTQ words `[words, outputs]` and write rows of blocks: a transposition with the nibbles
//! or bytes re-paired on the way.

mod gptq4;
mod gptq8;
pub mod naive;

pub use gptq4::gptq4_to_q4_0;
pub use gptq8::gptq8_to_q8_0;

/// A strip of a GPTQ-packed matrix: all inputs of some outputs.
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
    /// Columns that share a scale, a multiple of 32 or at least `columns`.
    pub group: usize,
}

impl Strip<'_> {
    /// The scales of `N` outputs from `first`, as bits, checked to be finite.
    #[inline]
    fn scales<const N: usize>(&self, block: usize, first: usize) -> Result<[u16; N], BadScale> {
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
    fn words<const N: usize>(&self, line: usize, first: usize) -> [u32; N] {
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
    /// Output within the strip.
    pub output: usize,
    /// Its group.
    pub group: usize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Kernel = fn(&Strip<'_>, &mut [u8]) -> Result<(), BadScale>;

    fn agree(
        fast: Kernel,
        naive: Kernel,
        bits: usize,
        block: usize,
        shape: (usize, usize, usize),
        seed: u64,
    ) {
        let (outputs, blocks, group_blocks) = shape;
        let columns = blocks * 32;
        let groups = blocks.div_ceil(group_blocks);
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_le_bytes()[4]
        };
        let words: Vec<u8> = (0..columns * bits / 8 * outputs).map(|_| random()).collect();
        let scales: Vec<u8> = (0..groups * outputs).flat_map(|_| [random(), random() & 0xBB]).collect();
        let strip = Strip { words: &words, scales: &scales, outputs, columns, group: group_blocks * 32 };
        let mut expected = vec![0; outputs * blocks * block];
        let mut found = expected.clone();
        naive(&strip, &mut expected).unwrap();
        fast(&strip, &mut found).unwrap();
        assert_eq!(found, expected);
        let mut broken = scales.clone();
        broken[2 * outputs - 1] = 0x7C;
        let strip = Strip { scales: &broken, ..strip };
        assert_eq!(fast(&strip, &mut found), Err(BadScale { output: outputs - 1, group: 0 }));
        assert_eq!(naive(&strip, &mut found), Err(BadScale { output: outputs - 1, group: 0 }));
    }

    proptest! {
        #[test]
        fn every_kernel_equals_its_naive_version(outputs in 1usize..40, blocks in 1usize..9, group in 1usize..9, seed: u64) {
            let shape = (outputs, blocks, group);
            agree(gptq4_to_q4_0, naive::gptq4_to_q4_0, 4, 18, shape, seed);
            agree(gptq8_to_q8_0, naive::gptq8_to_q8_0, 8, 34, shape, seed);
        }
    }
}
