//! `/v1/completions`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value};

use super::openai::{check, job, seeds};
use crate::openai::{self, ApiError, Endpoint, ErrorCode, Prompt};
use crate::serve::app::App;
use crate::serve::body;
use crate::serve::engine::Engine;
use crate::serve::error::HttpError;
use crate::serve::generate::{Job, respond};

/// Continues a text.
pub(in crate::serve) async fn completions(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, HttpError> {
    app.engine()?;
    let (tally, body) = body::read(request).await?;
    respond(&app, tally, body, prepare).await
}

fn prepare(app: &App, engine: &Engine, body: Map<String, Value>) -> Result<Job, HttpError> {
    let asked = openai::read(Endpoint::Text, body)?.over(&engine.defaults);
    check(app, engine, &asked)?;
    let Prompt::Text(text) = &asked.prompt else {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "`prompt` is missing").into());
    };
    let seeds = seeds(&asked);
    let requests = seeds.iter().map(|seed| asked.options.text_request(text.clone(), *seed));
    let chats = requests.map(|request| engine.session.complete(request)).collect::<Result<_, _>>()?;
    let prompt = asked.verbose.then(|| text.clone());
    Ok(job(app, engine, Endpoint::Text, &asked, chats, seeds, prompt))
}
