//! Measures prefill and generation with random tokens, like llama-bench: every run starts from an empty sequence, or from
//! one of a given depth that is not timed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::{
    BatchToken, DecodeError, Decoder, Pos, SamplingParams, SeqId, SeqOp, StateId, Step, Token,
};

/// A test: prefill of a prompt, then generation, in one sequence or several at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Test {
    /// Tokens in the prompt.
    pub prompt: u32,
    /// Tokens to generate, one at a time.
    pub answer: u32,
    /// Tokens in the sequence at the start.
    pub depth: u32,
    /// Sequences that are computed together, each with these tokens.
    pub slots: u32,
}

impl Test {
    /// The number of timed tokens.
    #[must_use]
    pub fn tokens(&self) -> u32 {
        self.prompt.saturating_add(self.answer).saturating_mul(self.slots)
    }

    /// The context that a sequence needs.
    #[must_use]
    pub fn context(&self) -> u32 {
        self.prompt.saturating_add(self.answer).saturating_add(self.depth)
    }

    /// llama-bench's name for the test: `pp512`, `tg128`, `pp512+tg128`, with ` @ d4096` for a depth and ` @ np4` for
    /// slots.
    #[must_use]
    pub fn name(&self) -> String {
        let mut parts = Vec::new();
        if self.prompt > 0 {
            parts.push(format!("pp{}", self.prompt));
        }
        if self.answer > 0 {
            parts.push(format!("tg{}", self.answer));
        }
        let depth = if self.depth > 0 { format!(" @ d{}", self.depth) } else { String::new() };
        let slots = if self.slots > 1 { format!(" @ np{}", self.slots) } else { String::new() };
        parts.join("+") + &depth + &slots
    }
}

/// The result of a test.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The test.
    pub test: Test,
    /// The time of each run.
    pub times: Vec<Duration>,
    /// The number of tokens decoded in all runs.
    pub tokens_read: u64,
}

impl Measured {
    /// Tokens per second of each run.
    #[must_use]
    pub fn rates(&self) -> Vec<f64> {
        self.times.iter().map(|time| f64::from(self.test.tokens()) / time.as_secs_f64().max(1e-9)).collect()
    }

    /// The mean of the rates.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let rates = self.rates();
        rates.iter().sum::<f64>() / count(rates.len()).max(1.0)
    }

    /// The sample standard deviation of the rates; zero for a single run.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        let (rates, mean) = (self.rates(), self.mean());
        if rates.len() < 2 {
            return 0.0;
        }
        let squares: f64 = rates.iter().map(|rate| (rate - mean).powi(2)).sum();
        (squares / count(rates.len() - 1)).sqrt()
    }
}

fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::MAX, f64::from)
}

/// Runs a test `runs` times, after a warm-up run. `between` is called before every run with the number of finished runs,
/// and ends the test early by returning false.
///
/// # Errors
///
/// When decoding fails, for example because the test is longer than the context.
pub fn run(
    decoder: &mut impl Decoder,
    vocab: u32,
    test: Test,
    runs: u32,
    mut between: impl FnMut(u32) -> bool,
) -> Result<Measured, DecodeError> {
    let mut tokens = Random::new(vocab);
    let mut measured = Measured { test, times: Vec::new(), tokens_read: 0 };
    let start = Start::new(decoder, test, &mut tokens)?;
    for round in 0..=runs {
        if !between(round) {
            return Ok(measured);
        }
        start.restore(decoder, &mut tokens)?;
        let begin = Instant::now();
        // For the warm-up, one token is enough to read all weights.
        let answer = if round == 0 { test.answer.min(1) } else { test.answer };
        let mut tokens_read = read(decoder, test.slots, test.depth, test.prompt, &mut tokens)?;
        for at in 0..answer {
            tokens_read += read(decoder, test.slots, test.depth + test.prompt + at, 1, &mut tokens)?;
        }
        if round > 0 {
            measured.times.push(begin.elapsed());
            measured.tokens_read += tokens_read;
        }
    }
    Ok(measured)
}

/// The time to the first token after a prompt of one token.
///
/// # Errors
///
/// When decoding fails.
pub fn first_token(decoder: &mut impl Decoder, vocab: u32) -> Result<Duration, DecodeError> {
    let begin = Instant::now();
    decoder.step(&Step { ops: begin_sequences(1), tokens: Vec::new() })?;
    read(decoder, 1, 0, 1, &mut Random::new(vocab))?;
    Ok(begin.elapsed())
}

/// Tokens per second of several sequences that are generated in parallel, `steps` tokens each, after one that is not
/// timed.
///
/// # Errors
///
/// When decoding fails, for example because there are more sequences than the decoder has.
pub fn together(
    decoder: &mut impl Decoder,
    vocab: u32,
    sequences: u32,
    steps: u32,
) -> Result<f64, DecodeError> {
    let mut tokens = Random::new(vocab);
    decoder.step(&Step { ops: begin_sequences(sequences), tokens: Vec::new() })?;
    let mut begin = Instant::now();
    for pos in 0..=steps {
        read(decoder, sequences, pos, 1, &mut tokens)?;
        if pos == 0 {
            begin = Instant::now();
        }
    }
    Ok(f64::from(sequences) * f64::from(steps) / begin.elapsed().as_secs_f64().max(1e-9))
}

/// The state at the start of a run: empty sequences, or ones of some depth, which are decoded only once if the decoder can
/// return to them.
struct Start {
    depth: u32,
    slots: u32,
    /// The cached states of all sequences, if any are cached.
    states: Vec<StateId>,
    can_trim: bool,
}

impl Start {
    fn new(decoder: &mut impl Decoder, test: Test, tokens: &mut Random) -> Result<Self, DecodeError> {
        let Test { depth, slots, .. } = test;
        decoder.step(&Step { ops: begin_sequences(slots), tokens: Vec::new() })?;
        let caps = decoder.caps();
        let mut start = Self { depth, slots, states: Vec::new(), can_trim: caps.can_trim };
        if depth > 0 {
            read(decoder, slots, 0, depth, tokens)?;
            if caps.can_cache && !caps.can_trim {
                let name = |seq: u32| StateId(u64::MAX - u64::from(seq));
                let cache = |seq| SeqOp::CacheState { seq: SeqId(seq), state: name(seq) };
                let ops = (0..slots).map(cache).collect();
                let states = decoder.step(&Step { ops, tokens: Vec::new() })?.states;
                start.states = states.iter().map(|cached| cached.state).collect();
            }
        }
        Ok(start)
    }

    fn restore(&self, decoder: &mut impl Decoder, tokens: &mut Random) -> Result<(), DecodeError> {
        let can_rewind = self.can_trim || self.states.len() == self.slots as usize;
        let op = |seq: u32| {
            let (state, seq) = (self.states.get(seq as usize).copied(), SeqId(seq));
            if self.depth > 0 && can_rewind {
                SeqOp::Rewind { seq, length: self.depth, state }
            } else {
                SeqOp::Clear { seq }
            }
        };
        decoder.step(&Step { ops: (0..self.slots).map(op).collect(), tokens: Vec::new() })?;
        if self.depth > 0 && !can_rewind {
            read(decoder, self.slots, 0, self.depth, tokens)?;
        }
        Ok(())
    }
}

/// Begins empty sequences.
fn begin_sequences(slots: u32) -> Vec<SeqOp> {
    let sampling = Box::new(SamplingParams::greedy());
    let sample =
        |seq| SeqOp::Sample { seq, sampling: sampling.clone(), prompt: Arc::default(), prepared: None };
    (0..slots).map(SeqId).flat_map(|seq| [SeqOp::Clear { seq }, sample(seq)]).collect()
}

/// Decodes random tokens of every sequence at positions from `from` on, in full batches, one sequence after the other, and
/// samples one token after the last of each. Returns the number of tokens that were decoded.
fn read(
    decoder: &mut impl Decoder,
    slots: u32,
    from: u32,
    length: u32,
    tokens: &mut Random,
) -> Result<u64, DecodeError> {
    let (batch, end) = (decoder.caps().batch.max(1) as usize, from.saturating_add(length));
    let mut all = (0..slots).map(SeqId).flat_map(|seq| (from..end).map(move |pos| (seq, pos)));
    let mut read = 0;
    loop {
        let token =
            |(seq, pos)| BatchToken { seq, pos: Pos(pos), token: tokens.next(), sample: pos + 1 == end };
        let batch: Vec<BatchToken> = all.by_ref().take(batch).map(token).collect();
        if batch.is_empty() {
            return Ok(read);
        }
        let wanted = batch.iter().filter(|token| token.sample).count();
        let outcome = decoder.step(&Step { ops: Vec::new(), tokens: batch })?;
        read += outcome.sampled.len() as u64;
        if outcome.sampled.iter().flatten().count() != wanted {
            return Err(DecodeError::Contract { what: "the decoder returned the wrong number of tokens" });
        }
    }
}

/// Random tokens. Experts are chosen by token, so with a repeated token they would stay in the processor's cache. A linear
/// congruential generator with Knuth's constants (MMIX).
struct Random {
    seed: u64,
    vocab: u32,
}

impl Random {
    fn new(vocab: u32) -> Self {
        Self { seed: 1, vocab: vocab.max(1) }
    }

    fn next(&mut self) -> Token {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = (self.seed >> 33) % u64::from(self.vocab);
        Token(i32::try_from(number).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_llama_bench() {
        let name = |prompt, answer, depth, slots| Test { prompt, answer, depth, slots }.name();
        assert_eq!(name(512, 0, 0, 1), "pp512");
        assert_eq!(name(0, 128, 4096, 1), "tg128 @ d4096");
        assert_eq!(name(512, 128, 0, 1), "pp512+tg128");
        assert_eq!(name(0, 32, 64, 4), "tg32 @ d64 @ np4");
    }

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let test = Test { prompt: 6, answer: 0, depth: 0, slots: 1 };
        let times = [1, 2, 3].map(Duration::from_secs).to_vec();
        let measured = Measured { test, times, tokens_read: 18 };
        assert_eq!(measured.rates(), [6.0, 3.0, 2.0]);
        assert!((measured.mean() - 11.0 / 3.0).abs() < 1e-12);
        assert!((measured.deviation() - (13.0f64 / 3.0).sqrt()).abs() < 1e-12);
        let once = Measured { times: vec![Duration::from_secs(1)], ..measured };
        assert!(once.deviation().abs() < 1e-12);
    }
}
