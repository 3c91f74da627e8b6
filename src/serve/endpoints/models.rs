//! `/v1/models`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;

use crate::openai::{ApiError, ErrorCode, ModelCard};
use crate::serve::app::{App, Phase};
use crate::serve::error::HttpError;

/// The list of models, which has one.
pub(in crate::serve) async fn models(State(app): State<Arc<App>>) -> Json<Value> {
    Json(card(&app).list())
}

/// The model, by one of its names.
pub(in crate::serve) async fn model(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, HttpError> {
    let card = card(&app);
    if card.is_named(&name) {
        return Ok(Json(card.model()));
    }
    let message = format!("the model is `{}`, not `{name}`", card.name);
    Err(ApiError::new(ErrorCode::ModelNotFound, message).with_param("model").into())
}

fn card(app: &App) -> ModelCard {
    let loaded = match &*app.phase.borrow() {
        Phase::Ready(engine) => Some(engine.card.facts),
        Phase::Downloading { .. } | Phase::Loading { .. } | Phase::Failed(_) => None,
    };
    ModelCard {
        name: app.settings.name().to_owned(),
        aliases: app.settings.names.iter().skip(1).cloned().collect(),
        tags: app.settings.tags.clone(),
        created: app.started,
        loaded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::testing::{CONTEXT, app, get, loading};
    use crate::serve::{Settings, router};
    use http::StatusCode;

    fn settings() -> Settings {
        let names = vec!["org/tiny".to_owned(), "small".to_owned()];
        Settings { names, tags: vec!["chat".to_owned()], ..Settings::default() }
    }

    #[test]
    fn the_model_is_listed_with_its_sizes() {
        let router = router(app("", settings()));
        for path in ["/v1/models", "/models"] {
            let found = get(&router, path);
            assert_eq!(found.status, StatusCode::OK);
            let model = &found.json()["data"][0];
            assert_eq!((model["id"].as_str(), &model["max_model_len"]), (Some("org/tiny"), &CONTEXT.into()));
            assert_eq!((&model["aliases"][1], &model["tags"][0]), (&"small".into(), &"chat".into()));
        }
    }

    #[test]
    fn a_model_is_found_by_each_of_its_names() {
        let router = router(app("", settings()));
        for (path, status) in [
            ("/v1/models/org/tiny", 200),
            ("/v1/models/org%2Ftiny", 200),
            ("/models/small", 200),
            ("/v1/models/other", 404),
        ] {
            let found = get(&router, path);
            assert_eq!(found.status.as_u16(), status, "{path}");
            if status == 200 {
                assert_eq!(found.json()["id"], "org/tiny");
            } else {
                assert_eq!(found.json()["error"]["code"], "model_not_found");
            }
        }
    }

    #[test]
    fn the_model_is_listed_while_it_is_loaded() {
        let router = router(loading(settings()));
        let found = get(&router, "/v1/models");
        assert_eq!(found.status, StatusCode::OK);
        assert_eq!(
            (&found.json()["data"][0]["id"], &found.json()["data"][0]["meta"]),
            (&"org/tiny".into(), &Value::Null)
        );
    }
}
