//! Reproducible random inputs.

use gguf_export::ggml::GgmlType;
use half::{bf16, f16};

/// `SplitMix64`.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.bits() % n as u64).expect("it is below a usize")
    }

    /// A number between -1 and 1.
    #[expect(clippy::cast_precision_loss, reason = "24 bits are exact")]
    pub(super) fn value(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / 8_388_608.0 - 1.0
    }

    /// Values of very different magnitude from block to block of 32.
    pub(super) fn values(&mut self, count: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(count);
        while values.len() < count {
            let magnitude = [0.01, 0.2, 1.0, 3.0, 40.0][self.below(5)];
            let block = (count - values.len()).min(32);
            values.extend((0..block).map(|_| self.value() * magnitude));
        }
        values
    }

    /// Rows of weights, with random codes and scales between 0.001 and 0.1 of either sign.
    pub(super) fn weights(&mut self, ty: GgmlType, columns: usize, rows: usize) -> Vec<u8> {
        let bytes = ty.row_bytes(columns as u64).expect("whole blocks") * rows as u64;
        let block = usize::try_from(ty.block_bytes()).expect("a block is small");
        let mut weights = Vec::new();
        while (weights.len() as u64) < bytes {
            let start = weights.len();
            weights.extend((0..block).map(|_| self.bits().to_le_bytes()[0]));
            let scale = f16::from_f32(self.value() * 0.0495 + 0.0505 * [1.0, -1.0][self.below(2)]);
            let offset = f16::from_f32(self.value() * 0.2);
            let block = &mut weights[start..];
            match ty {
                GgmlType::Q4_0 | GgmlType::Q5_0 | GgmlType::Q8_0 => {
                    block[..2].copy_from_slice(&scale.to_le_bytes());
                }
                GgmlType::Q4_1 => {
                    block[..2].copy_from_slice(&scale.to_le_bytes());
                    block[2..4].copy_from_slice(&offset.to_le_bytes());
                }
                GgmlType::Q6_K => block[208..].copy_from_slice(&(scale / f16::from_f32(32.0)).to_le_bytes()),
                // An exponent: a power of two from 2^-9 to 2^-3.
                GgmlType::MXFP4 => block[0] = 118 + block[0] % 7,
                GgmlType::F32 => block.copy_from_slice(&self.value().to_le_bytes()),
                GgmlType::F16 => block.copy_from_slice(&f16::from_f32(self.value()).to_le_bytes()),
                GgmlType::BF16 => block.copy_from_slice(&bf16::from_f32(self.value()).to_le_bytes()),
                _ => panic!("no random weights of {ty}"),
            }
        }
        weights
    }
}
