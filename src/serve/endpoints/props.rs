//! `/props` and `/slots`: the defaults of the server and what its slots do, without any text of a request.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde_json::{Value, json};

use crate::engine::{SlotState, SlotStatus};
use crate::openai::completion::generation_settings;
use crate::openai::{ApiError, ErrorCode};
use crate::serve::app::App;
use crate::serve::engine::Engine;
use crate::serve::error::HttpError;
use crate::session::Limit;

/// llama.cpp's number for a random seed.
const RANDOM: u32 = u32::MAX;

/// The properties of the server.
pub(in crate::serve) async fn props(State(app): State<Arc<App>>) -> Result<Json<Value>, HttpError> {
    let engine = app.engine()?;
    let card = &engine.card;
    Ok(Json(json!({
        "default_generation_settings": { "n_ctx": card.facts.context, "params": params(&engine) },
        "total_slots": card.slots,
        "model_alias": app.settings.name(),
        "model_path": card.file,
        "modalities": { "vision": false, "video": false, "audio": false },
        "endpoint_slots": app.settings.slots,
        "endpoint_props": false,
        "endpoint_metrics": app.settings.metrics,
        "chat_template": engine.session.template().source(),
        "build_info": app.settings.fingerprint,
        "is_sleeping": false,
    })))
}

/// The options of an answer where a request sets none.
fn params(engine: &Engine) -> Value {
    let defaults = &engine.defaults;
    let limit = defaults.max_tokens.and_then(Limit::tokens);
    let stop = defaults.stop.as_deref().unwrap_or_default();
    generation_settings(&defaults.params(RANDOM), limit, stop, engine.session.ends())
}

/// What each slot does.
pub(in crate::serve) async fn slots(
    State(app): State<Arc<App>>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, HttpError> {
    if !app.settings.slots {
        let message = "`/slots` is turned off by `--no-slots`";
        return Err(ApiError::new(ErrorCode::NotSupported, message).into());
    }
    let engine = app.engine()?;
    let status = engine.session.submitter().status().borrow().clone();
    let needs_one = query.iter().any(|(name, value)| name == "fail_on_no_slot" && !value.is_empty());
    if needs_one && status.slots.iter().all(|slot| slot.state != SlotState::Idle) {
        return Err(ApiError::new(ErrorCode::Overloaded, "every slot is busy").into());
    }
    let shown = |(id, slot)| slot_body(id, engine.card.facts.context, slot);
    Ok(Json(status.slots.iter().enumerate().map(shown).collect()))
}

fn slot_body(id: usize, context: u32, slot: &SlotStatus) -> Value {
    let SlotStatus { state, usage, remaining, tokens, .. } = *slot;
    let is_processing = state != SlotState::Idle;
    json!({
        "id": id,
        "n_ctx": context,
        "is_processing": is_processing,
        "n_prompt_tokens": usage.prompt_tokens,
        "n_cached": if is_processing { usage.reused_tokens as usize } else { tokens },
        "next_token": [{
            "has_next_token": is_processing,
            "n_remain": remaining.map_or(-1, i64::from),
            "n_decoded": usage.completion_tokens,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::testing::{CONTEXT, app, get, loading, post};
    use crate::serve::{Settings, router};

    #[test]
    fn the_properties_have_the_defaults_and_no_path() {
        let found = get(&router(app("", Settings::default())), "/props").json();
        assert_eq!((found["total_slots"].as_u64(), found["model_path"].as_str()), (Some(2), Some("m.gguf")));
        let defaults = &found["default_generation_settings"];
        assert_eq!(defaults["n_ctx"], CONTEXT);
        assert_eq!(
            (&defaults["params"]["seed"], &defaults["params"]["n_predict"]),
            (&json!(RANDOM), &json!(-1))
        );
        assert!(defaults["params"]["temperature"].is_number());
        assert!(found["chat_template"].as_str().is_some_and(|text| text.contains("messages")));
        assert_eq!(found["modalities"]["vision"], false);
    }

    #[test]
    fn slots_show_what_they_do_and_no_text() {
        let router = router(app("QZ", Settings::default()));
        let body = json!({"prompt": "WX", "max_tokens": 3});
        assert_eq!(post(&router, "/v1/completions", &body).status.as_u16(), 200);
        let found = get(&router, "/slots");
        let slots = found.json();
        assert_eq!(slots.as_array().map(Vec::len), Some(2));
        let next = json!([{"has_next_token": false, "n_remain": -1, "n_decoded": 0}]);
        for (id, slot) in slots.as_array().unwrap().iter().enumerate() {
            assert_eq!(
                (&slot["id"], &slot["n_ctx"], &slot["is_processing"]),
                (&json!(id), &json!(CONTEXT), &json!(false))
            );
            assert_eq!((&slot["n_prompt_tokens"], &slot["next_token"]), (&json!(0), &next));
        }
        assert!(!found.text.contains("WX") && !found.text.contains("QZ"));
    }

    #[test]
    fn a_busy_slot_shows_its_counts() {
        use crate::engine::{RequestId, Usage};
        let usage = Usage { prompt_tokens: 9, reused_tokens: 4, completion_tokens: 2 };
        let slot = SlotStatus {
            state: SlotState::Decode,
            request: Some(RequestId(7)),
            tokens: 11,
            usage,
            remaining: Some(3),
        };
        assert_eq!(
            slot_body(1, 100, &slot),
            json!({"id": 1, "n_ctx": 100, "is_processing": true, "n_prompt_tokens": 9, "n_cached": 4,
                "next_token": [{"has_next_token": true, "n_remain": 3, "n_decoded": 2}]})
        );
    }

    #[test]
    fn slots_can_be_turned_off_and_both_need_the_model() {
        let off = router(app("", Settings { slots: false, ..Settings::default() }));
        let found = get(&off, "/slots");
        assert_eq!(
            (found.status.as_u16(), &found.json()["error"]["type"]),
            (501, &json!("not_supported_error"))
        );
        let early = router(loading(Settings::default()));
        for path in ["/slots", "/props"] {
            let found = get(&early, path);
            assert_eq!(
                (found.status.as_u16(), found.headers.contains_key("retry-after")),
                (503, true),
                "{path}"
            );
        }
    }
}
