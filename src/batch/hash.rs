//! Names of requests that are the same on every machine: what a row is known by when a run goes on.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::engine::{Rules, SamplingParams};
use crate::openai::{Defaults, Endpoint, IGNORED, write_sampling};

/// Marks what is hashed; another number makes every row a changed one.
const VERSION: &[u8] = b"ggrun batch 1";

/// What holds for all rows and changes their answers, as a hash. Two runs with the same are one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings([u8; 32]);

impl Settings {
    /// Of defaults, and of the seed that rows without one get, if there is one for all.
    #[must_use]
    pub fn of(defaults: &Defaults, seed: Option<u32>) -> Self {
        let grammar = defaults.sampling.grammar.as_ref().map(|grammar| match &grammar.rules {
            Rules::Gbnf(text) => json!({ "grammar": text }),
            Rules::JsonSchema(text) => json!({ "json_schema": text }),
            Rules::Composed { gbnf, schemas } => json!({ "grammar": gbnf, "schemas": schemas }),
        });
        let all = json!({
            "sampling": write_sampling(&defaults.sampling, &SamplingParams::neutral(0)),
            "rules": grammar, "seed": seed, "max_tokens": defaults.max_tokens, "stop": defaults.stop,
            "tools": defaults.tools, "variables": defaults.variables,
            "thinking_budget": defaults.reasoning_budget, "last_thought": defaults.reasoning_budget_message,
        });
        Self(digest(&[VERSION, all.to_string().as_bytes()]))
    }
}

/// The hash of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestHash(pub(super) [u8; 16]);

impl RequestHash {
    /// Of a body under these settings. Fields that change nothing do not count.
    pub(super) fn of(settings: &Settings, endpoint: Endpoint, mut body: Map<String, Value>) -> Self {
        for name in IGNORED {
            body.shift_remove(name);
        }
        let place: &[u8] = match endpoint {
            Endpoint::Chat => b"chat",
            Endpoint::Text => b"text",
        };
        Self(half(digest(&[&settings.0, place, Value::Object(body).to_string().as_bytes()])))
    }

    /// Of a line that is no request.
    pub(super) fn of_line(bytes: &[u8]) -> Self {
        Self(half(digest(&[b"line", bytes])))
    }

    /// As rows hold it.
    pub(super) fn text(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// What is kept of it in memory.
    pub(super) fn short(self) -> u64 {
        u64::from_le_bytes(self.0.as_chunks::<8>().0[0])
    }

    /// From the text of a row.
    pub(super) fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32).map(|n| Self(n.to_be_bytes()))
    }

    /// A seed for a row that chose none: the same whenever the same request is answered.
    pub(super) fn seed(self, id: &str) -> u32 {
        let digest = digest(&[b"seed", &self.0, id.as_bytes()]);
        u32::from_le_bytes(digest.as_chunks::<4>().0[0])
    }

    /// A name for the answer.
    pub(super) fn name(self, id: &str) -> String {
        let digest = half(digest(&[b"name", &self.0, id.as_bytes()]));
        format!("{:024x}", u128::from_be_bytes(digest) >> 32)
    }
}

/// What is kept of a `custom_id` in memory.
pub(super) fn key(id: &str) -> u128 {
    u128::from_le_bytes(half(digest(&[b"id", id.as_bytes()])))
}

/// Parts are told apart by their lengths.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn half(digest: [u8; 32]) -> [u8; 16] {
    digest.as_chunks::<16>().0[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(settings: &Settings, body: &str) -> RequestHash {
        RequestHash::of(settings, Endpoint::Chat, serde_json::from_str(body).unwrap())
    }

    #[test]
    fn what_changes_an_answer_changes_the_hash_and_nothing_else_does() {
        let defaults = Defaults::new(SamplingParams::neutral(7));
        let settings = Settings::of(&defaults, None);
        let plain = hash(&settings, r#"{"messages": [], "temperature": 1}"#);
        assert_eq!(plain, hash(&settings, r#"{ "model":"x","messages":[],"user":"y","temperature":1 }"#));
        assert_ne!(plain, hash(&settings, r#"{"messages": [], "temperature": 2}"#));
        assert_ne!(plain, RequestHash::of(&settings, Endpoint::Text, serde_json::from_str("{}").unwrap()));
        let other_seed = Defaults::new(SamplingParams::neutral(8));
        assert_eq!(settings, Settings::of(&other_seed, None), "each row has a seed of its own");
        for change in [
            |d: &mut Defaults| d.sampling.temperature = 0.5,
            |d: &mut Defaults| d.max_tokens = Some(5),
            |d: &mut Defaults| d.stop.push("x".to_owned()),
            |d: &mut Defaults| d.reasoning_budget = Some(5),
            |d: &mut Defaults| drop(d.variables.insert("a".to_owned(), json!(1))),
        ] {
            let mut changed = defaults.clone();
            change(&mut changed);
            assert_ne!(settings, Settings::of(&changed, None));
        }
        assert_ne!(settings, Settings::of(&defaults, Some(1)));
    }

    #[test]
    fn the_text_of_a_hash_is_read_again() {
        let hash = RequestHash::of_line(b"x");
        assert_eq!(RequestHash::parse(&hash.text()), Some(hash));
        assert_eq!(RequestHash::parse("00"), None);
        assert_eq!(hash.seed("a"), hash.seed("a"));
        assert_ne!(hash.seed("a"), hash.seed("b"));
    }
}
