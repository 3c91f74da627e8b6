//! The time of a batch with weights in main memory, by measured speeds.

use crate::llama::DeviceSpeed;
use crate::model::rates::Origin;

/// The time that a byte of weights takes in a batch, by the number of vectors that it is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerByte {
    one: f64,
    many: f64,
}

impl PerByte {
    /// The number of vectors of the second measurement.
    pub const MANY: u32 = 16;

    /// From the speeds with one and with [`Self::MANY`] vectors.
    #[must_use]
    pub fn of(one: DeviceSpeed, many: DeviceSpeed) -> Self {
        let seconds = |speed: DeviceSpeed| 1.0 / speed.bytes_per_second;
        Self { one: seconds(one), many: seconds(many).max(seconds(one)) }
    }

    /// Seconds per byte.
    fn at(self, vectors: f64) -> f64 {
        self.one + (self.many - self.one) * (vectors - 1.0).max(0.0) / f64::from(Self::MANY - 1)
    }
}

/// The speeds of a batch with weights in main memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchRates {
    /// On the CPU.
    pub cpu: PerByte,
    /// On the GPU; `None` if it need not be known, because the copies alone take longer than the CPU.
    pub gpu: Option<PerByte>,
    /// Bytes per second that are copied to the GPU.
    pub transfer: f64,
    /// Where the GPU's speeds come from.
    pub origin: Origin,
}

impl BatchRates {
    /// Seconds of a batch, on the CPU and with copies, for bytes of dense weights and of experts in main memory. Tokens choose
    /// this share of the experts, independently of each other.
    pub(super) fn times(&self, dense: f64, experts: f64, chosen: f64, tokens: u32) -> (f64, f64) {
        let tokens = f64::from(tokens);
        let share = 1.0 - (1.0 - chosen).powf(tokens);
        let vectors = if share > 0.0 { tokens * chosen / share } else { 0.0 };
        let Self { cpu, gpu, transfer, .. } = self;
        let copied = |vectors: f64| 1.0 / transfer + gpu.map_or(0.0, |gpu| gpu.at(vectors));
        let experts = experts * share;
        (
            dense * cpu.at(tokens) + experts * cpu.at(vectors),
            dense * copied(tokens) + experts * copied(vectors),
        )
    }

    /// Whether copies alone are faster than the CPU for some batch that is not absurdly large.
    #[must_use]
    pub fn may_copy(&self) -> bool {
        1.0 / self.transfer < self.cpu.at(LARGEST)
    }
}

/// Vectors of an expert in a batch of thousands of tokens.
const LARGEST: f64 = 256.0;
