//! `/v1/chat/completions`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value};

use super::openai::{check, job, seeds};
use crate::chat::{Message, Role};
use crate::openai::{self, ApiError, Asked, Endpoint, ErrorCode, Prompt};
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
    let mut asked = openai::read(Endpoint::Chat, body)?.over(&engine.defaults);
    check(app, &asked)?;
    let Prompt::Chat(messages) = &asked.prompt else {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "`messages` is missing").into());
    };
    let messages = messages.clone();
    asked.continue_final = Some(continues(&asked, &messages)?);
    let seeds = seeds(&asked);
    let requests = seeds.iter().map(|seed| request(&asked, &messages, *seed));
    let prompt = (asked.verbose || app.settings.verbose)
        .then(|| engine.session.rendered(&request(&asked, &messages, 0)))
        .transpose()?;
    let chats = requests.map(|request| engine.session.chat(request)).collect::<Result<_, _>>()?;
    Ok(job(app, engine, Endpoint::Chat, &asked, chats, seeds, prompt))
}

/// The request for one of its answers.
pub(super) fn request(asked: &Asked, messages: &[Message], seed: u32) -> ChatRequest {
    request_with("call", asked, messages, seed)
}

/// The same, with this prefix of the ids of calls. They are random: clients that drop old messages would meet a counted
/// one again.
pub(super) fn request_with(
    prefix: &'static str,
    asked: &Asked,
    messages: &[Message],
    seed: u32,
) -> ChatRequest {
    let next = move || format!("{prefix}_{}", id::random());
    let tool_call_ids = ToolCallIds::Supplied(Arc::new(next));
    let mut request = ChatRequest { tool_call_ids, ..asked.chat_request(messages, seed) };
    request.sampling.seed = seed;
    request
}

/// Whether the last message is continued: the assistant's is, unless the request says otherwise.
pub(super) fn continues(asked: &Asked, messages: &[Message]) -> Result<bool, ApiError> {
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
