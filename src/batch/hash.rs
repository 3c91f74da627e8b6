//! Hashes of requests, equal on every machine: how a run recognizes rows that an earlier run answered.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::engine::{Dry, Mirostat, MirostatVersion, Rules, SamplingParams, Xtc};
use crate::openai::{Endpoint, WITHOUT_EFFECT, write_sampling};
use crate::session::{GenerationOptions, Limit, Logprobs, SamplingOptions, Seed, ToolChoice};

/// Begins the hashed bytes. Another version changes the hash of every row.
const VERSION: &[u8] = b"ggrun batch 1";

/// The hash of the options that apply to all rows. Two runs with the same hash are one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings([u8; 32]);

impl Settings {
    /// Hashes the defaults of a batch.
    #[must_use]
    pub fn of(defaults: &GenerationOptions) -> Self {
        Self(digest(&[VERSION, Value::Object(fields(defaults)).to_string().as_bytes()]))
    }
}

/// The hashed fields. A field that the first version did not have is hashed only if it is set, so that the hashes of
/// other batches stay the same.
fn fields(defaults: &GenerationOptions) -> Map<String, Value> {
    let GenerationOptions {
        sampling,
        seed,
        max_tokens,
        stop,
        rules,
        tools,
        tool_choice,
        // Both become variables of the template.
        reasoning: _,
        template_variables: _,
        reasoning_budget,
        reasoning_budget_message: _,
        logprobs,
    } = defaults;
    let rules = rules.as_ref().map(|rules| match rules {
        Rules::Gbnf(text) => json!({ "grammar": text }),
        Rules::JsonSchema(text) => json!({ "json_schema": text }),
        Rules::Composed { lark, schemas, tags } => json!({ "lark": lark, "schemas": schemas, "tags": tags }),
    });
    let seed = match seed {
        Some(Seed::Fixed(seed)) => Some(seed),
        Some(Seed::Random) | None => None,
    };
    let mut fields = Map::new();
    for (name, value) in [
        ("sampling", Value::Object(sampling_fields(sampling))),
        ("rules", json!(rules)),
        ("seed", json!(seed)),
        ("max_tokens", json!(max_tokens.and_then(Limit::tokens))),
        ("stop", json!(stop.as_deref().unwrap_or_default())),
        ("tools", json!(tools.as_deref().unwrap_or_default())),
        ("variables", Value::Object(defaults.variables())),
        ("thinking_budget", json!(reasoning_budget.and_then(Limit::tokens))),
        ("last_thought", json!(defaults.budget_message())),
    ] {
        fields.insert(name.to_owned(), value);
    }
    match tool_choice {
        None | Some(ToolChoice::Auto) => None,
        Some(ToolChoice::None) => Some(json!("none")),
        Some(ToolChoice::Required) => Some(json!("required")),
        Some(ToolChoice::Function(name)) => Some(json!({ "function": name })),
    }
    .map(|choice| fields.insert("tool_choice".to_owned(), choice));
    if let Some(Logprobs::Top(count)) = logprobs {
        fields.insert("logprobs".to_owned(), json!(count));
    }
    fields
}

/// The sampling values that have an effect, then values of samplers that are off, which a row may turn on.
fn sampling_fields(options: &SamplingOptions) -> Map<String, Value> {
    let neutral = SamplingParams::neutral(0);
    let base = write_sampling(&SamplingOptions::of(&neutral));
    let idle = write_sampling(&SamplingOptions::of(&SamplingParams {
        dry: Some(Dry::with_multiplier(0.0)),
        xtc: Some(Xtc::with_probability(0.0)),
        mirostat: Some(Mirostat::new(MirostatVersion::V1)),
        ..neutral
    }));
    let mut fields = write_sampling(&SamplingOptions::of(&options.params(0)));
    fields.retain(|name, value| base.get(name) != Some(value));
    for (name, value) in write_sampling(options) {
        let off = name == "mirostat" && value == json!(0);
        if !off && idle.get(&name) != Some(&value) && !fields.contains_key(&name) {
            fields.insert(name, value);
        }
    }
    fields
}

/// The hash of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestHash(pub(super) [u8; 16]);

impl RequestHash {
    /// Hashes a body under these settings. Fields and values without effect are left out.
    pub(super) fn of(settings: &Settings, endpoint: Endpoint, mut body: Map<String, Value>) -> Self {
        for name in WITHOUT_EFFECT {
            body.shift_remove(name);
        }
        if body.get("parallel_tool_calls") != Some(&Value::Bool(false)) {
            body.shift_remove("parallel_tool_calls");
        }
        let place: &[u8] = match endpoint {
            Endpoint::Chat => b"chat",
            Endpoint::Text => b"text",
        };
        Self(half(digest(&[&settings.0, place, Value::Object(body).to_string().as_bytes()])))
    }

    /// Hashes a line that is not a request.
    pub(super) fn of_line(bytes: &[u8]) -> Self {
        Self(half(digest(&[b"line", bytes])))
    }

    /// Its text in a row.
    pub(super) fn text(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// The part that is kept in memory.
    pub(super) fn short(self) -> u64 {
        u64::from_le_bytes(self.0.as_chunks::<8>().0[0])
    }

    /// Reads the text in a row.
    pub(super) fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32).map(|n| Self(n.to_be_bytes()))
    }

    /// The seed of a row without one: the same whenever the same request is answered.
    pub(super) fn seed(self, id: &str) -> u32 {
        let digest = digest(&[b"seed", &self.0, id.as_bytes()]);
        u32::from_le_bytes(digest.as_chunks::<4>().0[0])
    }

    /// The name of the answer.
    pub(super) fn name(self, id: &str) -> String {
        let digest = half(digest(&[b"name", &self.0, id.as_bytes()]));
        format!("{:024x}", u128::from_be_bytes(digest) >> 32)
    }
}

/// The hash of a `custom_id`, which is kept in memory in its place.
pub(super) fn key(id: &str) -> u128 {
    u128::from_le_bytes(half(digest(&[b"id", id.as_bytes()])))
}

/// Hashes parts, each after its length.
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
mod tests;
