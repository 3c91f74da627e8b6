//! Fast versions of the two conversions that move most bytes of a real checkpoint, each with a naive version in
//! [`naive`].
//!
//! Both read a strip of GPTQ words `[words, outputs]` and write rows of blocks, transposing the words and rearranging
//! their nibbles or bytes.

mod gptq4;
mod gptq8;
pub mod naive;
mod strip;

pub use gptq4::gptq4_to_q4_0;
pub use gptq8::gptq8_to_q8_0;
pub use strip::{BadScale, Strip};

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
