//! The nouns of a generation request: tokens, what is asked, what comes back. No text formats, no clock.

use std::time::Duration;

use super::{Error, SamplingParams};

/// One entry of a model's vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub i32);

/// A sequence in the decoder's cache; slot `n` of the scheduler is sequence `n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeqId(pub u32);

/// A token's place in its sequence, from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pos(pub u32);

/// Names one request for as long as an engine lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A sequence outside its decoder: what it takes to go on from it later, in another process too.
#[derive(Clone, PartialEq, Eq)]
pub struct Saved {
    /// The tokens of the sequence.
    pub tokens: Vec<Token>,
    /// What the decoder knows of them, in a form of its own.
    pub state: Vec<u8>,
}

impl std::fmt::Debug for Saved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tokens, state } = self;
        f.debug_struct("Saved").field("tokens", &tokens.len()).field("state", &state.len()).finish()
    }
}

/// What is asked of the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The tokens to continue.
    pub prompt: Vec<Token>,
    /// Ends the answer after this many tokens; `None` leaves it to the model and the context.
    pub max_tokens: Option<u32>,
    /// How tokens are chosen.
    pub sampling: SamplingParams,
    /// Texts that end the answer; they are not part of it.
    pub stop: Vec<String>,
    /// Places in the prompt that a later prompt is likely to share with it, such as where a message ends.
    pub boundaries: Vec<usize>,
    /// What holds for the answer's first part, the thinking.
    pub reasoning: Option<Reasoning>,
    /// Control tokens whose text is part of the answer's text, such as tags of reasoning.
    pub tags: Vec<Token>,
}

impl Request {
    /// A prompt to continue until the model ends it.
    #[must_use]
    pub fn new(prompt: Vec<Token>, sampling: SamplingParams) -> Self {
        let (stop, boundaries, tags) = (Vec::new(), Vec::new(), Vec::new());
        Self { prompt, max_tokens: None, sampling, stop, boundaries, reasoning: None, tags }
    }
}

/// The first part of an answer and how it is ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Reasoning {
    /// The text the answer begins with if there is thinking; `None` when the prompt began it.
    pub open: Option<String>,
    /// The text that ends it.
    pub close: String,
    /// What is put into the model's mouth to end it: some words and the closing text.
    pub ending: Vec<Token>,
    /// Ends it after this many tokens; `None` leaves it to the model.
    pub budget: Option<u32>,
}

/// How likely a token of the answer was, before anything was done to the logits.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// The token that was chosen.
    pub token: Token,
    /// The natural logarithm of its probability.
    pub logprob: f32,
    /// The likeliest tokens in its place, as many as were asked for, the likeliest first.
    pub top: Vec<(Token, f32)>,
}

/// What the engine says about one request: any number of deltas, then exactly one terminal event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// More of the answer.
    Delta {
        /// The tokens sampled since the last delta.
        tokens: Vec<Token>,
        /// The text now certain to be part of the answer; it may be empty, and may belong to earlier tokens.
        text: String,
        /// How likely these tokens were, if that was asked for; what was put into the model's mouth is left out.
        logprobs: Vec<TokenLogprob>,
    },
    /// The request is over and nothing went wrong.
    Finished {
        /// Why it ended.
        reason: FinishReason,
        /// How many tokens it took.
        usage: Usage,
        /// How long it took.
        timings: Timings,
    },
    /// The request is over because of an error.
    Failed(Error),
}

impl Event {
    /// Whether nothing follows this event.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        !matches!(self, Self::Delta { .. })
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it.
    Stop,
    /// A stop string appeared: its index in the request.
    StopString(usize),
    /// The request's own token limit was reached.
    Length,
    /// The sequence filled the context.
    Context,
    /// It was cancelled, or nobody listened any more.
    Cancelled,
}

/// Tokens read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Of these, the ones that were in the cache already and were not read again.
    pub reused_tokens: u32,
    /// Tokens of the answer, the one that ended it and those put into the model's mouth included.
    pub completion_tokens: u32,
}

impl Usage {
    /// Tokens of the prompt that had to be read.
    #[must_use]
    pub fn read_tokens(&self) -> u32 {
        self.prompt_tokens.saturating_sub(self.reused_tokens)
    }
}

/// Where the time of one request went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// From arrival to the first step that worked on it.
    pub queued: Duration,
    /// From there to its first token.
    pub prefill: Duration,
    /// From the first token to the last.
    pub decode: Duration,
}

impl Timings {
    /// From arrival to the first token.
    #[must_use]
    pub fn time_to_first_token(&self) -> Duration {
        self.queued + self.prefill
    }

    /// Prompt tokens read per second; `None` when the request ended before all were read.
    #[must_use]
    pub fn prompt_rate(&self, usage: &Usage) -> Option<f64> {
        if usage.completion_tokens == 0 { None } else { rate(usage.read_tokens(), self.prefill) }
    }

    /// Tokens written per second after the first.
    #[must_use]
    pub fn decode_rate(&self, usage: &Usage) -> Option<f64> {
        rate(usage.completion_tokens.saturating_sub(1), self.decode)
    }
}

fn rate(tokens: u32, time: Duration) -> Option<f64> {
    (tokens > 0 && !time.is_zero()).then(|| f64::from(tokens) / time.as_secs_f64())
}
