//! `/v1/responses`, and `/v1/responses/input_tokens`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::chat;
use crate::engine::TokenLogprob;
use crate::openai::SoFar;
use crate::openai::responses::{self, AskedResponse, Events, ResponseHead};
use crate::serve::app::App;
use crate::serve::calculate::{Calculated, calculate};
use crate::serve::encoder::{Encoder, Frame, Moment, add_times};
use crate::serve::engine::Engine;
use crate::serve::error::HttpError;
use crate::serve::generate::{ignored, respond};
use crate::serve::id;
use crate::serve::job::Job;
use crate::session::{Answer, ChatEvent, Seed};

/// Answers a conversation.
pub(in crate::serve) async fn responses(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, HttpError> {
    respond(&app, request, prepare).await
}

/// Counts the tokens of a conversation's prompt.
pub(in crate::serve) async fn input_tokens(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, HttpError> {
    calculate(&app, request, count).await
}

fn count(app: &App, engine: &Engine, body: Map<String, Value>) -> Result<Calculated, HttpError> {
    let AskedResponse { asked, .. } = read(app, engine, body)?;
    let tokens = engine.session.count(&chat::request(&asked, 0))?;
    let body = json!({ "object": "response.input_tokens", "input_tokens": tokens });
    Ok(Calculated { body, unknown: asked.unknown })
}

/// The request over the defaults.
fn read(app: &App, engine: &Engine, body: Map<String, Value>) -> Result<AskedResponse, HttpError> {
    let found = responses::read(body)?;
    Ok(AskedResponse { asked: chat::conversation(app, engine, found.asked)?, ..found })
}

fn prepare(app: &App, engine: &Engine, body: Map<String, Value>) -> Result<Job, HttpError> {
    let AskedResponse { asked, repeated, carries_reasoning } = read(app, engine, body)?;
    let chat = engine.session.chat(chat::request(&asked, Seed::draw()))?;
    let stream = asked.stream.unwrap_or_default();
    let head = ResponseHead {
        id: id::random(),
        created: app.now(),
        model: app.settings.name().to_owned(),
        repeated,
        progress: stream.progress,
        carries_reasoning,
    };
    let listed = app.answers.add(&head.full_id(), vec![chat.canceller()]);
    let so_far = stream.timings.then(SoFar::default);
    Ok(Job {
        chats: vec![chat],
        encoder: Box::new(Streamed { events: Events::new(head), so_far }),
        is_stream: asked.stream.is_some(),
        ignored: ignored(&asked.unknown),
        listed: Some(listed),
    })
}

/// The events of one response.
struct Streamed {
    events: Events,
    so_far: Option<SoFar>,
}

impl Encoder for Streamed {
    fn begin(&mut self) -> Vec<Frame> {
        typed(self.events.begin())
    }

    fn event(&mut self, _: usize, event: &ChatEvent, _: &[TokenLogprob], moment: Moment<'_>) -> Vec<Frame> {
        let mut all = self.events.event(event);
        let is_timed = |event: &Value| event.get("delta").is_some();
        add_times(&mut all, self.so_far.as_mut(), event, moment, is_timed);
        typed(all)
    }

    fn end(&mut self) -> Vec<Frame> {
        Vec::new()
    }

    fn whole(&mut self, answers: Vec<Answer>) -> Value {
        answers.first().map_or(Value::Null, |answer| self.events.whole(answer))
    }
}

fn typed(events: Vec<Value>) -> Vec<Frame> {
    events.into_iter().map(Frame::Typed).collect()
}

#[cfg(test)]
#[path = "responses_tests.rs"]
mod tests;
