//! Sampling parameters: the samplers of llama.cpp's chain, as values.

use std::sync::Arc;

use super::Token;

/// Sampling parameters of one request. Each sampler has a neutral value, which is its default.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingParams {
    /// Divides the logits; zero or less takes the most likely token.
    pub temperature: f32,
    /// Dynamic temperature: how far it may deviate, depending on entropy; zero disables it.
    pub temperature_range: f32,
    /// Dynamic temperature: exponent of the entropy.
    pub temperature_exponent: f32,
    /// Keeps this many of the most likely tokens; zero keeps all.
    pub top_k: u32,
    /// Keeps the most likely tokens up to this cumulative probability; one keeps all.
    pub top_p: f32,
    /// Drops tokens less likely than this fraction of the most likely one; zero keeps all.
    pub min_p: f32,
    /// Locally typical sampling: keeps tokens up to this cumulative probability; one keeps all.
    pub typical_p: f32,
    /// Keeps logits within this many standard deviations of the largest; zero or less keeps all.
    pub top_n_sigma: f32,
    /// Penalties for tokens that were used before.
    pub penalties: Penalties,
    /// Penalty for tokens that would continue a repetition.
    pub dry: Option<Dry>,
    /// Drops the most likely tokens at random.
    pub xtc: Option<Xtc>,
    /// Mirostat, which replaces the samplers that keep likely tokens.
    pub mirostat: Option<Mirostat>,
    /// Added to the logits of these tokens; minus infinity forbids one.
    pub logit_bias: Vec<(Token, f32)>,
    /// Forbids the tokens that end an answer, except where the grammar allows no others.
    pub ignore_end: bool,
    /// The grammar of the answer.
    pub grammar: Option<Grammar>,
    /// The order of the samplers; those left out are not applied.
    pub order: Vec<SamplerKind>,
    /// Seed of the random numbers.
    pub seed: u32,
    /// Reports the log probability of each token and of this many of the most likely tokens at its position.
    pub logprobs: Option<u32>,
}

impl SamplingParams {
    /// Always chooses the most likely token.
    #[must_use]
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::neutral(0) }
    }

    /// The model's own probabilities, unchanged.
    #[must_use]
    pub fn neutral(seed: u32) -> Self {
        Self {
            temperature: 1.0,
            temperature_range: 0.0,
            temperature_exponent: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            top_n_sigma: -1.0,
            penalties: Penalties::default(),
            dry: None,
            xtc: None,
            mirostat: None,
            logit_bias: Vec::new(),
            ignore_end: false,
            grammar: None,
            order: SamplerKind::DEFAULT_ORDER.to_vec(),
            seed,
            logprobs: None,
        }
    }
}

/// A sampler, by llama.cpp's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SamplerKind {
    /// [`SamplingParams::penalties`].
    Penalties,
    /// [`SamplingParams::dry`].
    Dry,
    /// [`SamplingParams::top_n_sigma`].
    TopNSigma,
    /// [`SamplingParams::top_k`].
    TopK,
    /// [`SamplingParams::typical_p`].
    TypicalP,
    /// [`SamplingParams::top_p`].
    TopP,
    /// [`SamplingParams::min_p`].
    MinP,
    /// [`SamplingParams::xtc`].
    Xtc,
    /// [`SamplingParams::temperature`].
    Temperature,
}

impl SamplerKind {
    /// llama.cpp's order.
    pub const DEFAULT_ORDER: [Self; 9] = [
        Self::Penalties,
        Self::Dry,
        Self::TopNSigma,
        Self::TopK,
        Self::TypicalP,
        Self::TopP,
        Self::MinP,
        Self::Xtc,
        Self::Temperature,
    ];

    /// Its name on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Penalties => "penalties",
            Self::Dry => "dry",
            Self::TopNSigma => "top_n_sigma",
            Self::TopK => "top_k",
            Self::TypicalP => "typ_p",
            Self::TopP => "top_p",
            Self::MinP => "min_p",
            Self::Xtc => "xtc",
            Self::Temperature => "temperature",
        }
    }

    /// The sampler with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::DEFAULT_ORDER.into_iter().find(|kind| kind.name() == name)
    }
}

/// Penalties for tokens that were used before, in the prompt too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Penalties {
    /// Tokens looked back on; `None` looks at all.
    pub last: Option<u32>,
    /// Divides positive logits and multiplies negative ones; one is neutral.
    pub repeat: f32,
    /// Subtracted for each use.
    pub frequency: f32,
    /// Subtracted once.
    pub presence: f32,
}

impl Default for Penalties {
    fn default() -> Self {
        Self { last: Some(64), repeat: 1.0, frequency: 0.0, presence: 0.0 }
    }
}

impl Penalties {
    /// Whether they have no effect.
    #[must_use]
    #[expect(clippy::float_cmp, reason = "these are the neutral values")]
    pub fn is_neutral(&self) -> bool {
        self.last == Some(0) || (self.repeat == 1.0 && self.frequency == 0.0 && self.presence == 0.0)
    }
}

/// "Don't repeat yourself": a penalty that grows with the length of the repeated sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Dry {
    /// Its size for a sequence just over the allowed length.
    pub multiplier: f32,
    /// Its growth for each further token.
    pub base: f32,
    /// Tokens that may be repeated freely.
    pub allowed_length: u32,
    /// Tokens looked back on; `None` looks at all.
    pub last: Option<u32>,
    /// Texts that end a repetition.
    pub breakers: Vec<String>,
}

impl Dry {
    /// llama.cpp's values, with this multiplier.
    #[must_use]
    pub fn with_multiplier(multiplier: f32) -> Self {
        let breakers = ["\n", ":", "\"", "*"].map(str::to_owned).to_vec();
        Self { multiplier, base: 1.75, allowed_length: 2, last: None, breakers }
    }
}

/// "Exclude top choices".
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Xtc {
    /// The probability that it is applied when a token is sampled.
    pub probability: f32,
    /// Of the tokens above this probability, only the least likely is kept.
    pub threshold: f32,
}

impl Xtc {
    /// llama.cpp's threshold, with this probability.
    #[must_use]
    pub fn with_probability(probability: f32) -> Self {
        Self { probability, threshold: 0.1 }
    }
}

/// The two published algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MirostatVersion {
    /// The first, which estimates Zipf's exponent.
    V1,
    /// The second, which drops tokens that are too surprising.
    V2,
}

/// Mirostat's parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mirostat {
    /// Which algorithm.
    pub version: MirostatVersion,
    /// Target surprise, in bits.
    pub tau: f32,
    /// Learning rate.
    pub eta: f32,
}

impl Mirostat {
    /// llama.cpp's values, with this algorithm.
    #[must_use]
    pub fn new(version: MirostatVersion) -> Self {
        Self { version, tau: 5.0, eta: 0.1 }
    }
}

/// A grammar, and where in the answer it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grammar {
    /// The rules. Clones share them.
    pub rules: Arc<Rules>,
    /// The block after which they apply, with newlines allowed between; `None`: from the start.
    ///
    /// The answer does not end inside the block or before the rules are satisfied, unless a limit or a stop string
    /// ends it.
    pub after: Option<Block>,
}

/// A block of text at the beginning of an answer that a grammar leaves free, such as reasoning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The text that opens it. An answer that begins with other text has no block, and the rules apply from its
    /// start. `None`: the prompt opened it.
    pub open: Option<String>,
    /// The text that closes it.
    pub close: String,
    /// The texts of which one comes between the block, or the start of an answer without one, and the text of the rules.
    /// Nothing else comes there, unless the list is empty.
    pub headers: Vec<String>,
}

/// The rules of a [`Grammar`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rules {
    /// In llama.cpp's notation, GBNF, beginning with the rule `root`.
    Gbnf(String),
    /// A JSON schema, as JSON.
    JsonSchema(String),
    /// A grammar in which parts are JSON schemas.
    Composed {
        /// In Lark as llguidance reads it, beginning with the rule `start`. It refers to schemas as `@name` and to tags as
        /// rules.
        lark: String,
        /// The names and the schemas.
        schemas: Vec<(String, String)>,
        /// The names and the texts of tags. A tag may be a control token of the model.
        tags: Vec<(String, String)>,
    },
}

/// Why sampling parameters are invalid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplingError {
    /// The grammar is invalid.
    #[error("invalid grammar: {reason}")]
    Grammar {
        /// What is wrong with it.
        reason: String,
    },
    /// The schema is invalid, or cannot be converted into a grammar.
    #[error("invalid JSON schema: {reason}")]
    Schema {
        /// What is wrong with it.
        reason: String,
    },
    /// A value is out of range.
    #[error("{what} is `{value}`, expected {expected}")]
    Value {
        /// Which value.
        what: &'static str,
        /// The value.
        value: f32,
        /// The allowed range.
        expected: &'static str,
    },
    /// Log probabilities of too many tokens were requested.
    #[error("log probabilities of {asked} tokens requested, expected at most {most}")]
    Logprobs {
        /// The number requested.
        asked: u32,
        /// The maximum.
        most: u32,
    },
    /// A sequence breaker of DRY has a zero byte.
    #[error("a sequence breaker of DRY has a zero byte")]
    Breaker,
    /// A bias is for a token that is not in the vocabulary.
    #[error("the logit bias names token {token}, but the vocabulary has {size} tokens")]
    Token {
        /// The token's number.
        token: i32,
        /// Tokens of the vocabulary.
        size: u32,
    },
}
