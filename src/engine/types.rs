//! The types of a generation request: tokens, the request, its events. No text formats, no clock.

use std::sync::Arc;
use std::time::Duration;

use super::{ClientId, Error, Namespace, RequestId, SamplingParams, Token};

/// A request to the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The tokens to continue. Clones of a request share them.
    pub prompt: Arc<Vec<Token>>,
    /// Ends the answer after this many tokens; `None`: the model or the context ends it.
    pub max_tokens: Option<u32>,
    /// Sampling parameters.
    pub sampling: SamplingParams,
    /// Stop strings: they end the content of the answer and are not part of it. In the reasoning they are text.
    pub stop: Vec<String>,
    /// Lengths of prefixes that a later prompt is likely to share, such as the end of a message.
    pub boundaries: Vec<usize>,
    /// Ends the reasoning, which is the first part of the answer.
    pub reasoning: Option<Reasoning>,
    /// Control tokens whose text is part of the answer's text, such as tags of reasoning.
    pub tags: Vec<Token>,
    /// Only sequences and states of this namespace are reused, and only its requests reuse those of this one.
    pub namespace: Namespace,
    /// Clients with waiting requests take turns.
    pub client: ClientId,
}

impl Request {
    /// A request without limits: the model ends the answer.
    #[must_use]
    pub fn new(prompt: Vec<Token>, sampling: SamplingParams) -> Self {
        let (stop, boundaries, tags) = (Vec::new(), Vec::new(), Vec::new());
        let (namespace, client) = (Namespace::default(), ClientId::default());
        Self {
            prompt: Arc::new(prompt),
            max_tokens: None,
            sampling,
            stop,
            boundaries,
            reasoning: None,
            tags,
            namespace,
            client,
        }
    }
}

/// How the reasoning of an answer is found and ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Reasoning {
    /// What begins it.
    pub open: Opening,
    /// The text that ends it.
    pub close: String,
    /// Tokens to force at the end: some words and the closing text.
    pub ending: Vec<Token>,
    /// Ends it after this many tokens; `None`: the model ends it.
    pub budget: Option<u32>,
}

/// What begins the reasoning of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// The prompt.
    Prompt,
    /// This tag at the start of the answer. An answer without it has no reasoning.
    Tag(String),
    /// This tag, or nothing: text before the closing tag is reasoning either way. Stop strings apply to an answer that
    /// does not begin with the tag.
    OptionalTag(String),
}

/// The log probability of a token of the answer, from the unchanged logits.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// The sampled token.
    pub token: Token,
    /// The natural logarithm of its probability.
    pub logprob: f32,
    /// The most likely tokens at its position, as many as requested, most likely first.
    pub top: Vec<(Token, f32)>,
}

/// Events of one request: progress, then deltas, then exactly one terminal event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// More of the prompt was read: sent on admission and after each step of the prefill.
    Progress {
        /// Tokens of the prompt.
        total: u32,
        /// Of these, the ones that were already in the cache.
        reused: u32,
        /// Of the others, the ones read so far. With `reused` they make `total` when the prompt is done.
        read: u32,
    },
    /// More of the answer.
    Delta {
        /// The tokens sampled since the last delta.
        tokens: Vec<Token>,
        /// The text that is now certain; it may be empty, and may belong to earlier tokens.
        text: String,
        /// Log probabilities of these tokens, if requested; forced tokens have none.
        logprobs: Vec<TokenLogprob>,
    },
    /// The request ended without an error.
    Finished {
        /// Why it ended.
        reason: FinishReason,
        /// Its token counts.
        usage: Usage,
        /// Its times.
        timings: Timings,
    },
    /// The request failed.
    Failed(Error),
}

impl Event {
    /// Whether this is the last event of its request.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Finished { .. } | Self::Failed(_))
    }
}

/// Events of requests, in order.
pub type Events = Vec<(RequestId, Event)>;

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
    /// It was cancelled, or its client has gone away.
    Cancelled,
}

/// Token counts of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Of these, the ones that were already in the cache.
    pub reused_tokens: u32,
    /// Tokens of the answer, including forced tokens and the one that ended it.
    pub completion_tokens: u32,
}

impl Usage {
    /// Prompt tokens that were not in the cache.
    #[must_use]
    pub fn read_tokens(&self) -> u32 {
        self.prompt_tokens.saturating_sub(self.reused_tokens)
    }
}

/// Times of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// From arrival to the first step that served it.
    pub queued: Duration,
    /// From that step to its first token.
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
