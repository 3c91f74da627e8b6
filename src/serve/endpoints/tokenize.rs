//! `/tokenize` and `/detokenize`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::engine::{self, Markup, Token};
use crate::openai::{Fields, Refusal, wrong};
use crate::serve::app::App;
use crate::serve::calculate::{Calculated, calculate};
use crate::serve::engine::Engine;
use crate::serve::error::HttpError;

/// Numbers that are not tokens are refused as this.
const NUMBERS: &str = "token numbers of the vocabulary";
/// Longer texts are refused as this.
const LENGTH: &str = "a text of at most twice the context size in tokens";

/// The tokens of a text.
pub(in crate::serve) async fn tokenize(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, HttpError> {
    calculate(&app, request, tokens).await
}

/// The text of tokens.
pub(in crate::serve) async fn detokenize(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, HttpError> {
    calculate(&app, request, text).await
}

fn tokens(_: &App, engine: &Engine, body: Map<String, Value>) -> Result<Calculated, HttpError> {
    let session = &engine.session;
    let mut fields = Fields::new(body);
    let content = fields.take("content").unwrap_or_else(|| json!(""));
    let add_special = fields.truth("add_special")?.unwrap_or(false);
    let parse_special = fields.truth("parse_special")?.unwrap_or(true);
    let with_pieces = fields.truth("with_pieces")?.unwrap_or(false);
    let markup = if parse_special { Markup::Parsed } else { Markup::Plain };
    let parts = match &content {
        Value::Array(parts) => parts.as_slice(),
        text @ Value::String(_) => std::slice::from_ref(text),
        other => {
            return Err(wrong("content", other, "a string, or a list of strings and token numbers").into());
        }
    };
    let mut tokens = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        match part {
            Value::String(text) => {
                let found = session.tokenize(text, markup).map_err(|error| too_long(&error, part))?;
                let first = session.first_token().filter(|_| add_special && index == 0);
                tokens.extend(first.filter(|first| found.first() != Some(first)));
                tokens.extend(found);
            }
            number => tokens.push(token(engine, "content", number)?),
        }
    }
    let shown = |token: Token| {
        if !with_pieces {
            return json!(token.0);
        }
        let bytes = session.bytes(&[token]);
        let piece = String::from_utf8(bytes).map_or_else(|error| json!(error.as_bytes()), Value::String);
        json!({ "id": token.0, "piece": piece })
    };
    let tokens: Vec<Value> = tokens.into_iter().map(shown).collect();
    Ok(Calculated { body: json!({ "tokens": tokens }), unknown: fields.unknown() })
}

fn text(_: &App, engine: &Engine, body: Map<String, Value>) -> Result<Calculated, HttpError> {
    let mut fields = Fields::new(body);
    let numbers = fields.list("tokens")?.unwrap_or_default();
    let tokens: Vec<Token> =
        numbers.iter().map(|number| token(engine, "tokens", number)).collect::<Result<_, _>>()?;
    let content = engine.session.detokenize(&tokens);
    Ok(Calculated { body: json!({ "content": content }), unknown: fields.unknown() })
}

fn token(engine: &Engine, field: &'static str, number: &Value) -> Result<Token, Refusal> {
    let known =
        |number: &i32| u32::try_from(*number).is_ok_and(|number| number < engine.session.vocabulary());
    let token = number.as_i64().and_then(|number| i32::try_from(number).ok()).filter(known);
    token.map(Token).ok_or_else(|| wrong(field, number, NUMBERS))
}

fn too_long(error: &engine::Error, text: &Value) -> HttpError {
    match error {
        engine::Error::PromptTooLong { .. } => wrong("content", text, LENGTH).into(),
        other => other.clone().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::testing::{CONTEXT, post, server};

    #[test]
    fn a_text_is_tokenized_and_the_tokens_are_its_text_again() {
        let router = server("");
        let found = post(&router, "/tokenize", &json!({"content": "hé"}));
        assert_eq!(found.json(), json!({"tokens": [104, 0xc3, 0xa9]}));
        let found = post(&router, "/v1/detokenize", &json!({"tokens": [104, 0xc3, 0xa9]}));
        assert_eq!(found.json(), json!({"content": "hé"}));
    }

    #[test]
    fn pieces_that_are_no_text_are_bytes() {
        let found = post(&server(""), "/tokenize", &json!({"content": "hé", "with_pieces": true}));
        let pieces =
            json!([{"id": 104, "piece": "h"}, {"id": 195, "piece": [195]}, {"id": 169, "piece": [169]}]);
        assert_eq!(found.json()["tokens"], pieces);
    }

    #[test]
    fn texts_and_tokens_can_be_mixed_and_nothing_has_no_tokens() {
        let router = server("");
        for (body, tokens) in [
            (json!({"content": [1, "ab", 2]}), json!([1, 97, 98, 2])),
            (json!({"content": [], "add_special": true}), json!([])),
            (json!({}), json!([])),
        ] {
            assert_eq!(post(&router, "/tokenize", &body).json()["tokens"], tokens, "{body}");
        }
        assert_eq!(post(&router, "/detokenize", &json!({})).json()["content"], "");
    }

    #[test]
    fn what_is_not_a_token_or_a_text_and_what_is_too_long_is_refused_by_field() {
        let router = server("");
        let long = "a".repeat(2 * CONTEXT as usize + 1);
        for (path, body, field) in [
            ("/detokenize", json!({"tokens": [97, 257]}), "tokens"),
            ("/detokenize", json!({"tokens": [-1]}), "tokens"),
            ("/detokenize", json!({"tokens": [97, i32::MAX]}), "tokens"),
            ("/detokenize", json!({"tokens": [1.5]}), "tokens"),
            ("/detokenize", json!({"tokens": [4_294_967_393_u64]}), "tokens"),
            ("/detokenize", json!({"tokens": "97"}), "tokens"),
            ("/tokenize", json!({"content": {"a": 1}}), "content"),
            ("/tokenize", json!({"content": 97}), "content"),
            ("/tokenize", json!({"content": [97, null]}), "content"),
            ("/tokenize", json!({"content": long}), "content"),
            ("/tokenize", json!({"content": "a", "with_pieces": 1}), "with_pieces"),
        ] {
            let found = post(&router, path, &body);
            assert_eq!(
                (found.status.as_u16(), &found.json()["error"]["param"]),
                (400, &json!(field)),
                "{path} {body}"
            );
        }
    }

    #[test]
    fn an_unknown_field_is_named() {
        let found = post(&server(""), "/tokenize", &json!({"content": "a", "mood": 1}));
        assert_eq!(found.status.as_u16(), 200);
        assert_eq!(found.headers["x-ggrun-ignored"], "mood");
    }
}
