//! The vocabulary of a model as llguidance reads it: a tree of the tokens' bytes.

use std::fmt;
use std::sync::{Arc, OnceLock};

use llguidance::ParserFactory;
use llguidance::api::ParserLimits;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};

/// Bytes of a token's text that llguidance's tree has room for.
const LONGEST: usize = 512;

/// What a token writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// Bytes of the answer.
    Text(Vec<u8>),
    /// Nothing but itself: it is allowed where a grammar names it.
    Control(String),
    /// Nothing that a grammar can have: the end of an answer, and unused numbers.
    None,
}

/// A vocabulary, prepared once for a model.
#[derive(Clone)]
pub(crate) struct Vocabulary(Arc<Prepared>);

pub(super) struct Prepared {
    pub(super) factory: ParserFactory,
    pub(super) size: u32,
    controls: Vec<String>,
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vocabulary").field("size", &self.0.size).finish_non_exhaustive()
    }
}

impl Vocabulary {
    /// The words of the tokens, in the order of their numbers.
    pub(crate) fn new(words: Vec<Word>) -> Result<Self, String> {
        let size = u32::try_from(words.len()).map_err(|_| "the vocabulary is too large".to_owned())?;
        let controls = words.iter().filter_map(|word| match word {
            Word::Control(name) => Some(name.clone()),
            Word::Text(_) | Word::None => None,
        });
        let controls = controls.collect();
        let mut bytes: Vec<Vec<u8>> = words.into_iter().map(bytes).collect();
        // The end of an answer is no token here: each end of the model's vocabulary is allowed where the grammar ends.
        bytes.push([&[TokTrie::SPECIAL_TOKEN_MARKER], "<|end of the grammar|>".as_bytes()].concat());
        let trie = TokTrie::from(&TokRxInfo::new(size + 1, size), &bytes);
        let environment: TokEnv = Arc::new(Environment(trie));
        let slices = SlicedBiasComputer::json_slices();
        let mut factory = ParserFactory::new(&environment, InferenceCapabilities::default(), &slices)
            .map_err(|error| error.to_string())?;
        factory.quiet();
        *factory.limits_mut() = ParserLimits {
            max_items_in_row: 2000,
            initial_lexer_fuel: 1_000_000,
            step_lexer_fuel: 200_000,
            step_max_items: 50_000,
            max_lexer_states: 50_000,
            max_grammar_size: 200_000,
            precompute_large_lexemes: false,
            verbose_errors: false,
        };
        Ok(Self(Arc::new(Prepared { factory, size, controls })))
    }

    /// Single bytes: for checks without a model.
    pub(crate) fn bytes() -> &'static Self {
        static BYTES: OnceLock<Vocabulary> = OnceLock::new();
        BYTES.get_or_init(|| {
            let words = (0..=u8::MAX).map(|byte| Word::Text(vec![byte]));
            Self::new(words.collect()).expect("256 words are few")
        })
    }

    pub(super) fn prepared(&self) -> &Prepared {
        &self.0
    }

    /// Whether one of its tokens writes nothing but itself and has this name.
    pub(super) fn has_control(&self, name: &str) -> bool {
        self.0.controls.iter().any(|control| control == name)
    }
}

fn bytes(word: Word) -> Vec<u8> {
    match word {
        // A text that begins with the marker would be a control token; the byte is not part of UTF-8.
        Word::Text(bytes)
            if bytes.len() > LONGEST || bytes.len() > 1 && bytes[0] == TokTrie::SPECIAL_TOKEN_MARKER =>
        {
            Vec::new()
        }
        Word::Text(bytes) => bytes,
        Word::Control(name) if name.len() <= LONGEST => {
            [&[TokTrie::SPECIAL_TOKEN_MARKER], name.as_bytes()].concat()
        }
        Word::Control(_) | Word::None => Vec::new(),
    }
}

struct Environment(TokTrie);

impl TokenizerEnv for Environment {
    fn tok_trie(&self) -> &TokTrie {
        &self.0
    }

    fn tokenize_bytes(&self, text: &[u8]) -> Vec<TokenId> {
        self.0.greedy_tokenize(text)
    }

    fn tokenize_is_canonical(&self) -> bool {
        false
    }
}
