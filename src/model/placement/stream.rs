//! Models that are larger than memory: experts are read from disk as they are chosen. How many stay in memory, and what
//! speed the disk allows.

use super::bill::Bill;
use super::choice::Choice;
use super::cost::Model;
use super::weights::Rule;
use crate::llama::LoadMode;

/// Tokens of a step by default.
pub(super) const BATCH: u32 = 512;
/// Tokens of a step that are tried where a step reads most experts from disk, the most first.
const LARGE: [u32; 3] = [4096, 2048, 1024];
/// The share of the experts' memory that a large step may take.
const SHARE: u64 = 8;

/// The experts that are read from disk, and the memory that they may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Bytes of all of them.
    pub experts: u64,
    /// Bytes of those that one token uses.
    pub per_token: u64,
    /// Bytes that stay in memory.
    pub room: u64,
    /// Tokens that are computed together, for which the experts are read once.
    pub ubatch: u32,
}

impl Stream {
    /// The share of chosen experts that is in memory if all are chosen equally often. Real choices repeat, so this is
    /// the least to expect.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub fn hit_rate(&self) -> f64 {
        if self.experts == 0 { 1.0 } else { (self.room as f64 / self.experts as f64).min(1.0) }
    }

    /// Seconds that the disk takes for one token of an answer.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a time")]
    pub fn seconds_per_token(&self, bytes_per_second: f64) -> f64 {
        (1.0 - self.hit_rate()) * self.per_token as f64 / bytes_per_second
    }

    /// The most tokens of a prompt per second that the disk allows; `None` if nothing is read.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn prompt_tokens_per_second(&self, bytes_per_second: f64) -> Option<f64> {
        let read = self.experts.saturating_sub(self.room);
        (read > 0).then(|| f64::from(self.ubatch) * bytes_per_second / read as f64)
    }
}

/// The experts of a choice that are read from disk, with the memory that its bill leaves them; `None` if it reads none.
pub(super) fn stream(model: Model<'_>, choice: &Choice, bill: &Bill) -> Option<Stream> {
    let line = bill.lines.first().filter(|_| choice.load == LoadMode::Stream)?;
    let experts = Some(line.mapped).filter(|bytes| *bytes > 0)?;
    let own = line.sum() - experts;
    let room = line.budget.min(line.free).saturating_sub(own).max(line.window).min(experts);
    let h = model.hparams;
    let per_token = experts / u64::from(h.experts.max(1)) * u64::from(h.experts_used);
    Some(Stream { experts, per_token, room, ubatch: choice.ubatch.min(choice.batch).min(choice.context) })
}

/// Tokens of a batch and of a micro-batch that a choice starts with: those of the options, or the default.
pub(super) fn steps(model: Model<'_>) -> (u32, u32) {
    let ubatch = model.options.ubatch;
    let batch = model.options.batch.unwrap_or(BATCH.max(ubatch.unwrap_or(0)));
    (batch, ubatch.unwrap_or(BATCH).min(batch))
}

/// The choice with larger steps where they are not set and experts come from disk: a step of a long prompt uses nearly all
/// experts, however many tokens it has.
pub(super) fn with_large_steps(model: Model<'_>, choice: Choice, rules: &[Rule]) -> Choice {
    let (batch, ubatch) = (model.options.batch, model.options.ubatch);
    let bill = model.bill(&choice, rules);
    let Some(Stream { room, experts, .. }) = stream(model, &choice, &bill) else { return choice };
    if room >= experts || ubatch.is_some() && batch.is_some() {
        return choice;
    }
    let with = |tokens: u32| Choice {
        batch: batch.unwrap_or(tokens.max(ubatch.unwrap_or(0))),
        ubatch: ubatch.unwrap_or(tokens),
        ..choice.clone()
    };
    let is_cheap = |tokens: &u32| {
        let large = model.bill(&with(*tokens), rules);
        let more = large.lines[0].sum().saturating_sub(bill.lines[0].sum());
        large.fits() && more <= room / SHARE
    };
    let most = batch.unwrap_or(u32::MAX).min(choice.context);
    LARGE.into_iter().filter(|tokens| *tokens <= most).find(is_cheap).map_or_else(|| choice.clone(), with)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: Stream = Stream { experts: 4000, per_token: 100, room: 1000, ubatch: 2048 };

    #[test]
    fn the_disk_reads_what_is_not_in_memory() {
        assert_eq!(STREAM.hit_rate().to_bits(), 0.25f64.to_bits());
        assert_eq!(STREAM.seconds_per_token(150.0).to_bits(), 0.5f64.to_bits());
        assert_eq!(STREAM.prompt_tokens_per_second(1500.0), Some(1024.0));
    }

    #[test]
    fn with_all_experts_in_memory_the_disk_is_idle() {
        let all = Stream { room: 5000, ..STREAM };
        assert_eq!(all.hit_rate().to_bits(), 1.0f64.to_bits());
        assert_eq!(all.seconds_per_token(1.0).to_bits(), 0.0f64.to_bits());
        assert_eq!(all.prompt_tokens_per_second(1.0), None);
        let none = Stream { experts: 0, room: 0, ..STREAM };
        assert_eq!(none.hit_rate().to_bits(), 1.0f64.to_bits());
    }
}
