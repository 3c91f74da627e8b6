//! `/v1/messages`, and what it has in common with `count_tokens`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value};

use super::chat::request_with;
use super::openai::check;
use crate::anthropic::{self, Events, Head};
use crate::engine::TokenLogprob;
use crate::openai::Asked;
use crate::serve::access::Id;
use crate::serve::app::App;
use crate::serve::encoder::{Encoder, Frame, Moment};
use crate::serve::engine::Engine;
use crate::serve::error::HttpError;
use crate::serve::generate::{ignored, respond};
use crate::serve::id;
use crate::serve::job::Job;
use crate::session::{Answer, ChatEvent, ChatRequest, ReasoningMode, Seed};

/// Answers a conversation.
pub(in crate::serve) async fn messages(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, HttpError> {
    let id = request.extensions().get().cloned().unwrap_or_else(Id::random);
    let prepare = move |app: &App, engine: &Engine, body| prepare(app, engine, body, id.as_str());
    respond(&app, request, prepare).await
}

fn prepare(app: &App, engine: &Engine, body: Map<String, Value>, request_id: &str) -> Result<Job, HttpError> {
    let asked = asked(app, engine, body)?;
    let request = request(&asked, Seed::draw());
    let is_off = asked.options.reasoning == Some(ReasoningMode::Off) || request.reasoning_budget == Some(0);
    let head = Head {
        id: id::random(),
        model: app.settings.name().to_owned(),
        stop: request.stop.clone(),
        thinking: !is_off,
    };
    let chat = engine.session.chat(request)?;
    let listed = app.answers.add(&head.full_id(), vec![chat.canceller()]);
    Ok(Job {
        chats: vec![chat],
        encoder: Box::new(Message(Events::new(head, request_id))),
        is_stream: asked.stream.is_some(),
        ignored: ignored(&asked.unknown),
        listed: Some(listed),
    })
}

/// Reads a body. Reasoning that the model's template cannot turn on or off is not an error: clients ask for it whatever
/// the model is, and a budget of nothing ends it.
pub(super) fn asked(app: &App, engine: &Engine, body: Map<String, Value>) -> Result<Asked, HttpError> {
    let asked = anthropic::read(body)?.over(&engine.defaults);
    check(app, &asked)?;
    Ok(asked)
}

/// The request for its answer.
pub(super) fn request(asked: &Asked, seed: u32) -> ChatRequest {
    request_with("toolu", asked, seed)
}

/// An answer in Anthropic's form.
struct Message(Events);

impl Encoder for Message {
    /// The tokens of the prompt, with which a stream begins, are not known yet.
    fn begin(&mut self) -> Vec<Frame> {
        Vec::new()
    }

    fn event(&mut self, _: usize, event: &ChatEvent, _: &[TokenLogprob], _: Moment) -> Vec<Frame> {
        self.0.event(event).into_iter().map(Frame::Typed).collect()
    }

    fn end(&mut self) -> Vec<Frame> {
        Vec::new()
    }

    fn ping(&self) -> Frame {
        Frame::Typed(Events::ping())
    }

    fn whole(&mut self, answers: Vec<Answer>) -> Value {
        answers.first().map_or(Value::Null, |answer| self.0.whole(answer))
    }
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
