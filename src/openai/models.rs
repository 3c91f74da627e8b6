//! The served model as `/v1/models` lists it: one body for the readers of `OpenAI`'s, Anthropic's, vLLM's, llama-server's
//! and Codex's lists.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::chat::strftime;

/// The served model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCard {
    /// The name in answers.
    pub name: String,
    /// More names.
    pub aliases: Vec<String>,
    /// Tags, which have no effect.
    pub tags: Vec<String>,
    /// Seconds since 1970.
    pub created: u64,
    /// What is known once the model is loaded.
    pub loaded: Option<ModelFacts>,
}

/// Sizes of a loaded model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ModelFacts {
    /// Tokens that a conversation can have.
    pub context: u32,
    /// Tokens of the context in training.
    pub trained_context: u32,
    /// Tokens of the vocabulary.
    pub vocabulary: u32,
    /// The number of weights.
    pub parameters: u64,
    /// Bytes of the weights.
    pub size: u64,
}

impl ModelCard {
    /// Whether this is one of its names.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.names().any(|own| own == name)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.aliases).map(String::as_str)
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> Value {
        let Self { name, tags, created, loaded, .. } = self;
        let moment = UNIX_EPOCH.checked_add(Duration::from_secs(*created)).unwrap_or(UNIX_EPOCH);
        let meta = loaded.map(|facts| {
            json!({
                "n_ctx": facts.context,
                "n_ctx_train": facts.trained_context,
                "n_vocab": facts.vocabulary,
                "n_params": facts.parameters,
                "size": facts.size,
            })
        });
        json!({
            "id": name,
            "object": "model",
            "created": created,
            "owned_by": "ggrun",
            "type": "model",
            "display_name": name,
            "created_at": strftime(moment, "%FT%TZ"),
            "aliases": self.names().collect::<Vec<_>>(),
            "tags": tags,
            "max_model_len": loaded.map(|facts| facts.context),
            "meta": meta,
        })
    }

    /// The list of models, which has this one.
    #[must_use]
    pub fn list(&self) -> Value {
        json!({
            "object": "list",
            "data": [self.model()],
            // Codex requires the list. An entry would replace its own instructions for the model.
            "models": [],
            "has_more": false,
            "first_id": self.name,
            "last_id": self.name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card() -> ModelCard {
        let facts = ModelFacts {
            context: 4096,
            trained_context: 262_144,
            vocabulary: 151_936,
            parameters: 80_000_000_000,
            size: 45_000_000_000,
        };
        ModelCard {
            name: "tiny".to_owned(),
            aliases: vec!["small".to_owned()],
            tags: vec!["chat".to_owned()],
            created: 1_700_000_000,
            loaded: Some(facts),
        }
    }

    #[test]
    fn a_list_has_the_fields_of_every_reader() {
        let model = json!({
            "id": "tiny", "object": "model", "created": 1_700_000_000, "owned_by": "ggrun", "type": "model",
            "display_name": "tiny", "created_at": "2023-11-14T22:13:20Z", "aliases": ["tiny", "small"],
            "tags": ["chat"], "max_model_len": 4096,
            "meta": {"n_ctx": 4096, "n_ctx_train": 262_144, "n_vocab": 151_936, "n_params": 80_000_000_000_u64,
                "size": 45_000_000_000_u64},
        });
        assert_eq!(card().model(), model);
        assert_eq!(
            card().list(),
            json!({"object": "list", "data": [model], "models": [], "has_more": false, "first_id": "tiny",
                "last_id": "tiny"})
        );
    }

    #[test]
    fn a_model_that_is_not_loaded_has_no_sizes() {
        let model = ModelCard { loaded: None, ..card() }.model();
        assert_eq!((&model["max_model_len"], &model["meta"]), (&Value::Null, &Value::Null));
        assert_eq!(model["id"], "tiny");
    }

    #[test]
    fn a_model_is_known_by_each_of_its_names() {
        let found = ["tiny", "small", "other", ""].map(|name| card().is_named(name));
        assert_eq!(found, [true, true, false, false]);
    }
}
