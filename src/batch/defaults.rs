//! What applies to rows that do not say otherwise.

use serde_json::{Map, Value, json};

use crate::openai::Endpoint;
use crate::session::GenerationOptions;

/// What applies to rows that do not say otherwise.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// The options of every answer.
    pub options: GenerationOptions,
    /// The system prompt of conversations without one.
    pub system: Option<String>,
}

/// Roles of messages that instruct the model.
const INSTRUCTING: [&str; 2] = ["system", "developer"];

impl Defaults {
    /// Puts the system prompt before a conversation without one. Returns false if the request cannot take it.
    pub(super) fn instruct(&self, endpoint: Endpoint, body: &mut Map<String, Value>) -> bool {
        let Some(system) = &self.system else { return true };
        if endpoint == Endpoint::Text {
            return false;
        }
        // Anything else is refused when the request is read.
        if let Some(Value::Array(messages)) = body.get_mut("messages")
            && !messages.is_empty()
            && !messages.iter().any(|message| INSTRUCTING.iter().any(|role| message["role"] == *role))
        {
            messages.insert(0, json!({ "role": "system", "content": system }));
        }
        true
    }
}

impl From<GenerationOptions> for Defaults {
    fn from(options: GenerationOptions) -> Self {
        Self { options, system: None }
    }
}
