//! `/v1/responses`, and `/v1/responses/input_tokens`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::chat;
use super::openai::{check, seeds};
use crate::chat::Message;
use crate::engine::TokenLogprob;
use crate::openai::responses::{self, AskedResponse, Events, ResponseHead};
use crate::openai::{ApiError, ErrorCode, Prompt, SoFar};
use crate::serve::app::App;
use crate::serve::calculate::{Calculated, calculate};
use crate::serve::encoder::{Encoder, Frame, Moment};
use crate::serve::engine::Engine;
use crate::serve::error::HttpError;
use crate::serve::generate::{ignored, respond};
use crate::serve::id;
use crate::serve::job::Job;
use crate::session::{Answer, ChatEvent};

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
    let (AskedResponse { asked, .. }, messages) = read(app, engine, body)?;
    let tokens = engine.session.count(&chat::request(&asked, &messages, 0))?;
    let body = json!({ "object": "response.input_tokens", "input_tokens": tokens });
    Ok(Calculated { body, unknown: asked.unknown })
}

/// The request over the defaults, and its conversation.
fn read(
    app: &App,
    engine: &Engine,
    body: Map<String, Value>,
) -> Result<(AskedResponse, Vec<Message>), HttpError> {
    let found = responses::read(body)?;
    let mut asked = found.asked.over(&engine.defaults);
    check(app, &asked)?;
    let Prompt::Chat(messages) = asked.prompt.clone() else {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "`input` is missing").into());
    };
    asked.continue_final = Some(chat::continues(&asked, &messages)?);
    Ok((AskedResponse { asked, ..found }, messages))
}

fn prepare(app: &App, engine: &Engine, body: Map<String, Value>) -> Result<Job, HttpError> {
    let (AskedResponse { asked, repeated, carries_reasoning }, messages) = read(app, engine, body)?;
    let seed = seeds(&asked).first().copied().unwrap_or_default();
    let chat = engine.session.chat(chat::request(&asked, &messages, seed))?;
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
        encoder: Box::new(Streamed { events: Events::new(head.clone()), head, so_far }),
        is_stream: asked.stream.is_some(),
        ignored: ignored(&asked.unknown),
        listed: Some(listed),
    })
}

/// The events of one response.
struct Streamed {
    head: ResponseHead,
    events: Events,
    so_far: Option<SoFar>,
}

impl Encoder for Streamed {
    fn begin(&mut self) -> Vec<Frame> {
        typed(self.events.begin())
    }

    fn event(&mut self, _: usize, event: &ChatEvent, _: &[TokenLogprob], moment: Moment<'_>) -> Vec<Frame> {
        let mut all = self.events.event(event);
        if let Some(so_far) = &mut self.so_far {
            so_far.event(event, moment.since, moment.written);
            for event in all.iter_mut().filter(|event| event.get("delta").is_some()) {
                event["timings"] = so_far.timings();
            }
        }
        for progress in all.iter_mut().filter_map(|event| event.get_mut("prompt_progress")) {
            progress["time_ms"] = json!(moment.since.as_secs_f64() * 1000.0);
        }
        typed(all)
    }

    fn end(&mut self) -> Vec<Frame> {
        Vec::new()
    }

    fn whole(&mut self, answers: Vec<Answer>) -> Value {
        let events = Events::new(self.head.clone());
        answers.first().map_or(Value::Null, |answer| events.whole(answer))
    }
}

fn typed(events: Vec<Value>) -> Vec<Frame> {
    events.into_iter().map(Frame::Typed).collect()
}

#[cfg(test)]
#[path = "responses_tests.rs"]
mod tests;
