//! How well a model predicts a text, and how far its predictions are from those of another.
//!
//! The text is cut into chunks of the context's length, each read from the start; what counts are the predictions in the
//! second half, as llama-perplexity does it, so that figures can be compared.

use std::io::{self, Read, Write};

use super::reference::{Reference, ReferenceError, Shape, counted, write_head, write_row};
use crate::engine::{BatchToken, DecodeError, Decoder as _, LogSoftmax, Pos, SeqId, SeqOp, Step, Token};
use crate::model::LlamaDecoder;

/// What is read, and how.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The text.
    pub text: &'a [Token],
    /// What every chunk begins with instead of its own first token, where the model wants that.
    pub begin: Option<Token>,
    /// Tokens of a chunk.
    pub context: u32,
    /// Chunks that are read at most.
    pub chunks: Option<u32>,
}

impl Run<'_> {
    /// Chunks that are read.
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
    /// There is not one chunk.
    #[error("the text has {tokens} tokens, expected at least {context} (a chunk)")]
    TextTooShort {
        /// Tokens there are.
        tokens: usize,
        /// Tokens of a chunk.
        context: u32,
    },
    /// A chunk too short to count anything.
    #[error("a chunk has {context} tokens, expected at least 4")]
    ChunkTooShort {
        /// Its tokens.
        context: u32,
    },
    /// The model cannot read it.
    #[error("the model cannot read the tokens")]
    Decode(#[from] DecodeError),
    /// The reference is of no use.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The reference cannot be written.
    #[error("cannot write the reference")]
    Write(#[source] io::Error),
    /// Somebody asked for an end.
    #[error("the measurement was interrupted")]
    Interrupted,
}

/// How well a text is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Perplexity {
    /// Predictions that count.
    pub count: u32,
    sum: f64,
    squares: f64,
}

impl Perplexity {
    fn add(&mut self, surprise: f64) {
        self.count += 1;
        self.sum += surprise;
        self.squares += surprise * surprise;
    }

    /// The exponential of the mean surprise in nats.
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

/// How far predictions are from those of a reference.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Divergence {
    /// The divergence of each counted place from the reference in nats, sorted.
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

    /// The divergence that this share of the places is below.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.kl.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "an index, of which nobody has 2^52"
        )]
        let at = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
        self.kl.get(at).copied().unwrap_or(0.0)
    }

    /// The share of places where both have the same likeliest token.
    #[must_use]
    pub fn same_top(&self) -> f64 {
        f64::from(self.same) / u32::try_from(self.kl.len()).map_or(f64::MAX, f64::from).max(1.0)
    }
}

/// Measures a text, and the distance from a reference of a length in bytes if there is one. `progress` hears how many
/// chunks are done and ends it by returning false.
///
/// # Errors
///
/// When the text is too short, the model cannot read it, or the reference is of something else.
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
    each_place(decoder, run, progress, |next, logprobs| {
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

/// Measures a text and writes the reference for others.
///
/// # Errors
///
/// When the text is too short, the model cannot read it, or the reference cannot be written.
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
    each_place(decoder, run, progress, |next, logprobs| {
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

/// Hands over the log-probabilities of every counted place with the token that really follows.
fn each_place(
    decoder: &mut LlamaDecoder<'_>,
    run: Run<'_>,
    mut progress: impl FnMut(u32) -> bool,
    mut each: impl FnMut(usize, &[f32]) -> Result<(), QualityError>,
) -> Result<(), QualityError> {
    const SEQ: SeqId = SeqId(0);
    let (batch, places) = (decoder.caps().batch.max(1) as usize, counted(run.context));
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
            sample: places.contains(&pos),
        };
        let tokens: Vec<BatchToken> = (0u32..).zip(chunk).map(place).collect();
        for part in tokens.chunks(batch) {
            let mut failed = None;
            let read = decoder.read_logits(part, |index, logits| {
                let place = part[index].pos.0 as usize;
                let next = usize::try_from(chunk[place + 1].0).unwrap_or(0);
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

/// Adds one place.
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
    fn the_error_of_a_perplexity_is_that_of_the_mean_surprise() {
        let mut perplexity = Perplexity::default();
        for surprise in [1.0, 2.0, 3.0] {
            perplexity.add(surprise);
        }
        assert!((perplexity.value() - 2.0f64.exp()).abs() < 1e-12);
        // The variance is 2/3; over n - 1 = 2, its root, times the value.
        assert!((perplexity.error() - (1.0f64 / 3.0).sqrt() * 2.0f64.exp()).abs() < 1e-9);
    }

    #[test]
    fn a_place_is_compared_by_all_its_tokens() {
        let (reference, found) = ([0.5f32.ln(), 0.5f32.ln()], [0.25f32.ln(), 0.75f32.ln()]);
        let mut divergence = Divergence::default();
        compare(reference.into_iter(), &found, 1, &mut divergence);
        let expected = 0.5 * (0.5f64 / 0.25).ln() + 0.5 * (0.5f64 / 0.75).ln();
        assert!((divergence.mean() - expected).abs() < 1e-6);
        assert!((divergence.same_top()).abs() < 1e-12, "the first of equals, and the second");
        assert!((divergence.reference.value() - 2.0).abs() < 1e-6);
        compare(found.into_iter(), &found, 1, &mut divergence);
        divergence.kl.sort_unstable_by(f64::total_cmp);
        assert_eq!((divergence.quantile(0.0), divergence.same_top()), (0.0, 0.5));
    }

    #[test]
    fn chunks_are_whole_and_limited() {
        let text = vec![Token(0); 21];
        let run = Run { text: &text, begin: None, context: 8, chunks: None };
        assert_eq!((run.count(), run.chunks().count(), run.read().len()), (2, 2, 16));
        let one = Run { chunks: Some(1), ..run };
        assert_eq!((one.count(), one.chunks().count()), (1, 1));
        let long = Run { context: 22, ..run };
        assert!(matches!(check(long), Err(QualityError::TextTooShort { tokens: 21, context: 22 })));
    }
}
