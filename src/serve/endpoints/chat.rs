//! `/v1/chat/completions`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value};

use super::openai::{check, job, seeds};
use crate::chat::{Message, Role};
use crate::openai::{self, ApiError, Asked, Endpoint, ErrorCode};
use crate::serve::app::App;
use crate::serve::engine::Engine;
use crate::serve::error::HttpError;
use crate::serve::generate::respond;
use crate::serve::id;
use crate::serve::job::Job;
use crate::session::{ChatRequest, ToolCallIds};

/// Answers a conversation.
pub(in crate::serve) async fn chat(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, HttpError> {
    respond(&app, request, prepare).await
}

fn prepare(app: &App, engine: &Engine, body: Map<String, Value>) -> Result<Job, HttpError> {
    let asked = conversation(app, engine, openai::read(Endpoint::Chat, body)?)?;
    let (seeds, request) = (seeds(&asked), request(&asked, 0));
    let is_shown = asked.verbose || app.settings.verbose;
    let prompts = if is_shown { vec![engine.session.rendered(&request)?] } else { Vec::new() };
    let chats = engine.session.chats(request, &seeds)?;
    Ok(job(app, engine, Endpoint::Chat, &asked, chats, seeds, prompts))
}

/// Applies a request with a conversation over the defaults, checks it, and decides whether its last message is
/// continued.
pub(super) fn conversation(app: &App, engine: &Engine, asked: Asked) -> Result<Asked, HttpError> {
    let asked = asked.over(&engine.defaults);
    check(app, &asked)?;
    let continue_final = Some(continues(&asked)?);
    Ok(Asked { continue_final, ..asked })
}

/// The request for an answer. `seed` is used unless one is set.
pub(super) fn request(asked: &Asked, seed: u32) -> ChatRequest {
    request_with("call", asked, seed)
}

/// The same, with this prefix of the ids of calls. They are random: clients that drop old messages would meet a counted
/// one again.
pub(super) fn request_with(prefix: &'static str, asked: &Asked, seed: u32) -> ChatRequest {
    let next = move || format!("{prefix}_{}", id::random());
    let tool_call_ids = ToolCallIds::Supplied(Arc::new(next));
    ChatRequest { tool_call_ids, ..asked.chat_request(seed) }
}

/// Whether the last message is continued: the assistant's is, unless the request says otherwise.
fn continues(asked: &Asked) -> Result<bool, ApiError> {
    let messages = asked.messages();
    let is_assistant = |message: &&Message| message.role == Role::Assistant;
    let last = messages.iter().rev().take_while(is_assistant).count();
    match asked.continue_final {
        Some(continues) => Ok(continues),
        None if last > 1 => {
            let message = "the last two messages are the assistant's, expected at most one to continue";
            Err(ApiError::new(ErrorCode::InvalidRequest, message).with_param("messages"))
        }
        None => {
            Ok(messages.last().is_some_and(|last| last.role == Role::Assistant && last.tool_calls.is_empty()))
        }
    }
}

#[cfg(test)]
#[path = "chat_tests.rs"]
mod tests;
