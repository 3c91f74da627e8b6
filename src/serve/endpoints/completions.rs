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
    let Prompt::Text(texts) = &asked.prompt else {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "`prompt` is missing").into());
    };
    let seeds = seeds(&asked);
    let per_prompt = asked.choices as usize;
    let text = |index: usize| texts.get(index / per_prompt).cloned().unwrap_or_default();
    let request = |(index, seed): (usize, &u32)| asked.options.text_request(text(index), *seed);
    let requests = seeds.iter().enumerate().map(request);
    let chats = requests.map(|request| engine.session.complete(request)).collect::<Result<_, _>>()?;
    let shown = || {
        let request = engine.session.text_request(asked.options.text_request(text(0), 0));
        engine.session.detokenize(&request.prompt)
    };
    let prompt = asked.verbose.then(shown);
    Ok(job(app, engine, Endpoint::Text, &asked, chats, seeds, prompt))
}
