//! `/v1/completions`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value};

use super::openai::{check, continued, job, prompts, seeds};
use crate::openai::{self, Endpoint};
use crate::serve::app::App;
use crate::serve::engine::Engine;
use crate::serve::error::HttpError;
use crate::serve::generate::respond;
use crate::serve::job::Job;

/// Continues a text.
pub(in crate::serve) async fn completions(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, HttpError> {
    respond(&app, request, prepare).await
}

fn prepare(app: &App, engine: &Engine, body: Map<String, Value>) -> Result<Job, HttpError> {
    let asked = openai::read(Endpoint::Text, body)?.over(&engine.defaults);
    check(app, &asked)?;
    let seeds = seeds(&asked);
    let prompts = prompts(engine, &asked)?;
    let chats = continued(engine, &asked, &prompts, &seeds)?;
    let is_shown = asked.verbose || app.settings.verbose;
    let shown = prompts.iter().filter(|_| is_shown).map(|tokens| engine.session.detokenize(tokens));
    Ok(job(app, engine, Endpoint::Text, &asked, chats, seeds, shown.collect()))
}
