//! How the next token is chosen from the logits: the steps of llama.cpp's chain, as values.

use super::Token;

/// How one request chooses its tokens. Every step has a value that does nothing, which is its default.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingParams {
    /// Divides the logits; zero or less takes the likeliest token.
    pub temperature: f32,
    /// Lets the temperature follow the entropy, up to this far from it; zero does not.
    pub temperature_range: f32,
    /// The power of the entropy's share in that.
    pub temperature_exponent: f32,
    /// Keeps this many of the likeliest tokens; zero keeps all.
    pub top_k: u32,
    /// Keeps the likeliest tokens up to this sum of probability; one keeps all.
    pub top_p: f32,
    /// Drops tokens less likely than this share of the likeliest; zero keeps all.
    pub min_p: f32,
    /// Keeps the tokens of typical surprise up to this sum of probability; one keeps all.
    pub typical_p: f32,
    /// Keeps logits within so many standard deviations of the largest; zero or less keeps all.
    pub top_n_sigma: f32,
    /// Makes tokens that were used less likely.
    pub penalties: Penalties,
    /// Makes tokens that would go on with a repetition less likely.
    pub dry: Option<Dry>,
    /// Drops the likeliest tokens now and then.
    pub xtc: Option<Xtc>,
    /// Holds the surprise of the text at a level, instead of the steps that keep likely tokens.
    pub mirostat: Option<Mirostat>,
    /// Added to the logits of these tokens; minus infinity forbids one.
    pub logit_bias: Vec<(Token, f32)>,
    /// Forbids the tokens that end an answer.
    pub ignore_end: bool,
    /// What the text must conform to.
    pub grammar: Option<Grammar>,
    /// The order of the steps; each that is left out does not happen.
    pub order: Vec<SamplerKind>,
    /// Starts the random numbers of this request.
    pub seed: u32,
    /// Tells how likely each token was, and as many of the likeliest in its place.
    pub logprobs: Option<u32>,
}

impl SamplingParams {
    /// Always the likeliest token.
    #[must_use]
    pub fn greedy() -> Self {
        Self { temperature: 0.0, ..Self::neutral(0) }
    }

    /// By the model's own probabilities, with nothing added.
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

/// A step of choosing, in llama.cpp's names.
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

    /// The step with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::DEFAULT_ORDER.into_iter().find(|kind| kind.name() == name)
    }
}

/// What a token loses for having been used, in the prompt too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Penalties {
    /// Tokens looked back on; `None` looks at all.
    pub last: Option<u32>,
    /// Divides positive logits and multiplies negative ones; one does nothing.
    pub repeat: f32,
    /// Taken off for each use.
    pub frequency: f32,
    /// Taken off once.
    pub presence: f32,
}

impl Default for Penalties {
    fn default() -> Self {
        Self { last: Some(64), repeat: 1.0, frequency: 0.0, presence: 0.0 }
    }
}

impl Penalties {
    /// Whether they do nothing.
    #[must_use]
    #[expect(clippy::float_cmp, reason = "these are the values that do nothing")]
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
    /// Texts that no repetition goes across.
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
    /// How often it happens.
    pub probability: f32,
    /// All tokens above this but the least likely of them are dropped.
    pub threshold: f32,
}

impl Xtc {
    /// llama.cpp's threshold, with this probability.
    #[must_use]
    pub fn with_probability(probability: f32) -> Self {
        Self { probability, threshold: 0.1 }
    }
}

/// Which of the two published algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MirostatVersion {
    /// The first, which estimates Zipf's exponent.
    V1,
    /// The second, which drops tokens that surprise too much.
    V2,
}

/// Mirostat's parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mirostat {
    /// Which algorithm.
    pub version: MirostatVersion,
    /// The surprise it aims at, in bits.
    pub tau: f32,
    /// How fast it corrects itself.
    pub eta: f32,
}

impl Mirostat {
    /// llama.cpp's values, with this algorithm.
    #[must_use]
    pub fn new(version: MirostatVersion) -> Self {
        Self { version, tau: 5.0, eta: 0.1 }
    }
}

/// What a text must conform to, and from where on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grammar {
    /// The rules.
    pub rules: Rules,
    /// The text after which they begin to hold, and newlines with it; `None` from the start.
    pub after: Option<String>,
}

/// The rules of a [`Grammar`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rules {
    /// In llama.cpp's notation, GBNF, beginning with the rule `root`.
    Gbnf(String),
    /// A JSON schema, as JSON.
    JsonSchema(String),
}

/// Why tokens cannot be chosen so.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplingError {
    /// The grammar is none.
    #[error("the grammar does not parse: {reason}")]
    Grammar {
        /// What is wrong with it.
        reason: String,
    },
    /// The schema is none, or has what cannot be turned into a grammar.
    #[error("the JSON schema cannot be turned into a grammar: {reason}")]
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
        /// What it may be.
        expected: &'static str,
    },
    /// Too many likely tokens were asked for.
    #[error("{asked} likely tokens are asked for, expected at most {most}")]
    Logprobs {
        /// How many.
        asked: u32,
        /// How many there can be.
        most: u32,
    },
    /// A text that DRY's repetitions end at has a zero byte.
    #[error("a sequence breaker of DRY has a zero byte")]
    Breaker,
    /// A bias is for a token the model does not have.
    #[error("the logit bias names token {token}, but the vocabulary has {size}")]
    Token {
        /// The token's number.
        token: i32,
        /// Tokens of the vocabulary.
        size: u32,
    },
}
