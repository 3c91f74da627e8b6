//! The perplexity of a text, and the KL divergence from the predictions of a reference.
//!
//! The text is split into chunks of the context's length, each decoded from an empty sequence. As in llama-perplexity,
//! only the predictions in the second half of a chunk count, so that the results can be compared.

use std::io::{self, Read, Write};

use super::reference::{Reference, ReferenceError, Shape, counted, write_head, write_row};
use crate::engine::{BatchToken, DecodeError, Decoder as _, LogSoftmax, Pos, SeqId, SeqOp, Step, Token};
use crate::model::LlamaDecoder;

/// The text to evaluate, and how it is split.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The text.
    pub text: &'a [Token],
    /// The BOS token that replaces the first token of every chunk, if the model uses one.
    pub begin: Option<Token>,
    /// Tokens per chunk.
    pub context: u32,
    /// The maximum number of chunks.
    pub chunks: Option<u32>,
}

impl Run<'_> {
    /// The number of chunks to evaluate.
    #[must_use]
    pub fn count(&self) -> u32 {
        let whole = u32::try_from(self.text.len() / self.context.max(1) as usize).unwrap_or(u32::MAX);
        whole.min(self.chunks.unwrap_or(u32::MAX))
    }

    fn chunks(&self) -> impl Iterator<Item = &[Token]> {
        self.text.chunks_exact(self.context.max(1) as usize).take(self.count() as usize)
    }

    fn shape(&self, vocab: u32) -> Shape {
        Shape { vocab, context: self.context, chunks: self.count() }
    }

    fn read(&self) -> &[Token] {
        &self.text[..self.count() as usize * self.context as usize]
    }
}

/// Why a measurement failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QualityError {
    /// The text is shorter than a chunk.
    #[error("the text has {tokens} tokens, expected at least {context} (one chunk)")]
    TextTooShort {
        /// Tokens in the text.
        tokens: usize,
        /// Tokens per chunk.
        context: u32,
    },
    /// A chunk is too short to have predictions that count.
    #[error("a chunk has {context} tokens, expected at least 4")]
    ChunkTooShort {
        /// Tokens per chunk.
        context: u32,
    },
    /// The model cannot decode the text.
    #[error("cannot decode the tokens")]
    Decode(#[from] DecodeError),
    /// The reference cannot be used.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The reference cannot be written.
    #[error("cannot write the reference")]
    Write(#[source] io::Error),
    /// The caller stopped the measurement.
    #[error("the measurement was interrupted")]
    Interrupted,
}

/// The perplexity of a text.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Perplexity {
    /// The number of predictions.
    pub count: u32,
    sum: f64,
    squares: f64,
}

impl Perplexity {
    fn add(&mut self, nll: f64) {
        self.count += 1;
        self.sum += nll;
        self.squares += nll * nll;
    }

    /// The exponential of the mean negative logprob.
    #[must_use]
    pub fn value(&self) -> f64 {
        (self.sum / f64::from(self.count.max(1))).exp()
    }

    /// Its standard error.
    #[must_use]
    pub fn error(&self) -> f64 {
        let count = f64::from(self.count);
        let mean = self.sum / count.max(1.0);
        let variance = (self.squares / count.max(1.0) - mean * mean).max(0.0);
        if self.count < 2 { 0.0 } else { (variance / (count - 1.0)).sqrt() * self.value() }
    }
}

/// The divergence of predictions from those of a reference.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Divergence {
    /// The KL divergence at each position in nats, sorted.
    kl: Vec<f64>,
    /// The perplexity of the reference.
    pub reference: Perplexity,
    same: u32,
}

impl Divergence {
    /// The mean divergence.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let count = u32::try_from(self.kl.len()).map_or(f64::MAX, f64::from);
        self.kl.iter().sum::<f64>() / count.max(1.0)
    }

    /// The divergence that a share of the positions does not exceed.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.kl.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "an index, which is far below 2^52"
        )]
        let at = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
        self.kl.get(at).copied().unwrap_or(0.0)
    }

    /// The share of positions at which both predict the same most likely token.
    #[must_use]
    pub fn same_top(&self) -> f64 {
        f64::from(self.same) / u32::try_from(self.kl.len()).map_or(f64::MAX, f64::from).max(1.0)
    }
}

/// Measures the perplexity of a text, and the divergence from a reference if given with its size in bytes. `progress` is
/// called with the number of finished chunks, and stops the measurement by returning false.
///
/// # Errors
///
/// When the text is too short, the model cannot decode it, or the reference does not match the text or the model.
pub fn measure<R: Read>(
    decoder: &mut LlamaDecoder<'_>,
    vocab: u32,
    run: Run<'_>,
    reference: Option<(R, u64)>,
    progress: impl FnMut(u32) -> bool,
) -> Result<(Perplexity, Option<Divergence>), QualityError> {
    check(run)?;
    let open = |(input, length)| Reference::open(input, length, run.shape(vocab), run.read());
    let mut reference = reference.map(open).transpose()?;
    let mut divergence = reference.as_ref().map(|_| Divergence::default());
    let mut perplexity = Perplexity::default();
    each_position(decoder, run, progress, |next, logprobs| {
        perplexity.add(-f64::from(logprobs[next]));
        if let (Some(reference), Some(divergence)) = (&mut reference, &mut divergence) {
            compare(reference.next()?, logprobs, next, divergence);
        }
        Ok(())
    })?;
    if let Some(divergence) = &mut divergence {
        divergence.kl.sort_unstable_by(f64::total_cmp);
    }
    Ok((perplexity, divergence))
}

/// Measures the perplexity of a text, and writes the predictions as a reference for other models.
///
/// # Errors
///
/// When the text is too short, the model cannot decode it, or the reference cannot be written.
pub fn save(
    decoder: &mut LlamaDecoder<'_>,
    vocab: u32,
    run: Run<'_>,
    out: &mut impl Write,
    progress: impl FnMut(u32) -> bool,
) -> Result<Perplexity, QualityError> {
    check(run)?;
    write_head(out, run.shape(vocab), run.read()).map_err(QualityError::Write)?;
    let mut perplexity = Perplexity::default();
    each_position(decoder, run, progress, |next, logprobs| {
        perplexity.add(-f64::from(logprobs[next]));
        write_row(out, logprobs).map_err(QualityError::Write)
    })?;
    out.flush().map_err(QualityError::Write)?;
    Ok(perplexity)
}

fn check(run: Run<'_>) -> Result<(), QualityError> {
    if run.context < 4 {
        return Err(QualityError::ChunkTooShort { context: run.context });
    }
    if run.count() == 0 {
        return Err(QualityError::TextTooShort { tokens: run.text.len(), context: run.context });
    }
    Ok(())
}

/// Calls `each` for every position that counts, with the token that follows in the text and the logprobs of all tokens.
fn each_position(
    decoder: &mut LlamaDecoder<'_>,
    run: Run<'_>,
    mut progress: impl FnMut(u32) -> bool,
    mut each: impl FnMut(usize, &[f32]) -> Result<(), QualityError>,
) -> Result<(), QualityError> {
    const SEQ: SeqId = SeqId(0);
    let (batch, positions) = (decoder.caps().batch.max(1) as usize, counted(run.context));
    let mut logprobs = Vec::new();
    for (number, chunk) in (0u32..).zip(run.chunks()) {
        if !progress(number) {
            return Err(QualityError::Interrupted);
        }
        decoder.step(&Step { ops: vec![SeqOp::Clear { seq: SEQ }], tokens: Vec::new() })?;
        let begin = run.begin.unwrap_or(chunk[0]);
        let place = |(pos, token): (u32, &Token)| BatchToken {
            seq: SEQ,
            pos: Pos(pos),
            token: if pos == 0 { begin } else { *token },
            sample: positions.contains(&pos),
        };
        let tokens: Vec<BatchToken> = (0u32..).zip(chunk).map(place).collect();
        for part in tokens.chunks(batch) {
            let mut failed = None;
            let read = decoder.read_logits(part, |index, logits| {
                let at = part[index].pos.0 as usize;
                let next = usize::try_from(chunk[at + 1].0).unwrap_or(0);
                if failed.is_none() {
                    failed = if let Some(softmax) = LogSoftmax::of(logits).filter(|_| next < logits.len()) {
                        logprobs.clear();
                        logprobs.extend(logits.iter().map(|&logit| softmax.logprob(logit)));
                        each(next, &logprobs).err()
                    } else {
                        let position = part[index].pos.0;
                        Some(DecodeError::NotANumber { seq: 0, position }.into())
                    };
                }
            });
            match (read, failed) {
                (Err(DecodeError::Aborted), _) => return Err(QualityError::Interrupted),
                (Err(error), _) => return Err(error.into()),
                (Ok(()), Some(error)) => return Err(error),
                (Ok(()), None) => {}
            }
        }
    }
    Ok(())
}

/// Adds one position.
fn compare(reference: impl Iterator<Item = f32>, found: &[f32], next: usize, divergence: &mut Divergence) {
    let (mut kl, mut expected_top, mut found_top) = (0.0, (f32::NEG_INFINITY, 0), (f32::NEG_INFINITY, 0));
    for (index, (expected, &found)) in reference.zip(found).enumerate() {
        if expected > f32::NEG_INFINITY {
            kl += f64::from(expected).exp() * (f64::from(expected) - f64::from(found));
        }
        if expected > expected_top.0 {
            expected_top = (expected, index);
        }
        if found > found_top.0 {
            found_top = (found, index);
        }
        if index == next {
            divergence.reference.add(-f64::from(expected));
        }
    }
    divergence.kl.push(kl.max(0.0));
    divergence.same += u32::from(expected_top.1 == found_top.1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_perplexity_is_that_of_the_mean_logprob() {
        let mut perplexity = Perplexity::default();
        for nll in [1.0, 2.0, 3.0] {
            perplexity.add(nll);
        }
        assert!((perplexity.value() - 2.0f64.exp()).abs() < 1e-12);
        // The variance is 2/3. The error is the root of (2/3) / (n - 1) = 1/3, times the value.
        assert!((perplexity.error() - (1.0f64 / 3.0).sqrt() * 2.0f64.exp()).abs() < 1e-9);
    }

    #[test]
    fn a_position_is_compared_over_all_tokens() {
        let (reference, found) = ([0.5f32.ln(), 0.5f32.ln()], [0.25f32.ln(), 0.75f32.ln()]);
        let mut divergence = Divergence::default();
        compare(reference.into_iter(), &found, 1, &mut divergence);
        let expected = 0.5 * (0.5f64 / 0.25).ln() + 0.5 * (0.5f64 / 0.75).ln();
        assert!((divergence.mean() - expected).abs() < 1e-6);
        assert!((divergence.same_top()).abs() < 1e-12, "the first token of a tie, and the second token");
        assert!((divergence.reference.value() - 2.0).abs() < 1e-6);
        compare(found.into_iter(), &found, 1, &mut divergence);
        divergence.kl.sort_unstable_by(f64::total_cmp);
        assert_eq!((divergence.quantile(0.0), divergence.same_top()), (0.0, 0.5));
    }

    #[test]
    fn only_whole_chunks_up_to_the_limit_count() {
        let text = vec![Token(0); 21];
        let run = Run { text: &text, begin: None, context: 8, chunks: None };
        assert_eq!((run.count(), run.chunks().count(), run.read().len()), (2, 2, 16));
        let one = Run { chunks: Some(1), ..run };
        assert_eq!((one.count(), one.chunks().count()), (1, 1));
        let long = Run { context: 22, ..run };
        assert!(matches!(check(long), Err(QualityError::TextTooShort { tokens: 21, context: 22 })));
    }
}
