//! llama-server's own `/completion`.

use std::iter;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::openai::{check, continued, piece, prompts, seeds};
use crate::engine::{Token, TokenLogprob};
use crate::openai::completion::{
    self, Completion, Completions, Continued, Probabilities, Shown, generation_settings,
};
use crate::openai::{ApiError, ErrorCode, MOST_BIASES, SoFar};
use crate::serve::app::App;
use crate::serve::encoder::{Encoder, Frame, Moment, add_times};
use crate::serve::engine::Engine;
use crate::serve::error::HttpError;
use crate::serve::generate::{ignored, respond};
use crate::serve::job::Job;
use crate::session::{Answer, ChatEvent, Logprobs, Session, TextRequest};

/// Bytes that all answers to a request may repeat of it.
const MOST_REPEATED: usize = 64 << 20;

/// Continues texts.
pub(in crate::serve) async fn completion(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, HttpError> {
    respond(&app, request, prepare).await
}

fn prepare(app: &App, engine: &Engine, body: Map<String, Value>) -> Result<Job, HttpError> {
    let Completion { mut asked, return_tokens, post_sampling, response_fields, text_biases } =
        completion::read(body)?;
    asked.options.sampling.logit_bias.extend(biases(&engine.session, &text_biases)?);
    let asked = asked.over(&engine.defaults);
    check(app, &asked)?;
    let probabilities = match asked.options.logprobs {
        Some(Logprobs::Top(_)) => {
            let form = Probabilities::of(&asked.options.params(0), post_sampling)?;
            Some((form, piece(&engine.session)))
        }
        Some(Logprobs::Off) | None => None,
    };
    let stream = asked.stream;
    let seeds = seeds(&asked);
    let prompts = prompts(engine, &asked)?;
    let texts = prompts.iter().map(|tokens| Arc::<str>::from(engine.session.detokenize(tokens)));
    let texts = texts.flat_map(|prompt| iter::repeat_n(prompt, asked.choices as usize));
    let answers = texts.zip(&seeds).map(|(prompt, &seed)| Continued { prompt, seed }).collect();
    let TextRequest { sampling, max_tokens, stop, .. } = asked.options.text_request(String::new(), 0);
    let mut settings = generation_settings(&sampling, max_tokens, &stop, engine.session.ends());
    settings["stream"] = json!(stream.is_some());
    settings["post_sampling_probs"] = json!(post_sampling);
    settings["timings_per_token"] = json!(stream.is_some_and(|stream| stream.timings));
    let shown = Shown {
        model: app.settings.name().to_owned(),
        tokens: return_tokens,
        probabilities,
        progress: stream.is_some_and(|stream| stream.progress),
        fields: response_fields,
        settings,
        stop,
    };
    let completions = Completions::new(shown, answers);
    if completions.repeated_bytes() > MOST_REPEATED {
        let message = format!(
            "{} answers would repeat more than {} MiB of prompts and settings; set `response_fields` without \
             `prompt` and `generation_settings`",
            seeds.len(),
            MOST_REPEATED >> 20
        );
        return Err(ApiError::new(ErrorCode::InvalidRequest, message).with_param("response_fields").into());
    }
    let chats = continued(engine, &asked, &prompts, &seeds)?;
    let has_timings = stream.is_some_and(|stream| stream.timings);
    let so_far = vec![SoFar::default(); if has_timings { chats.len() } else { 0 }];
    Ok(Job {
        chats,
        encoder: Box::new(Continuations { completions, so_far }),
        is_stream: stream.is_some(),
        ignored: ignored(&asked.unknown),
        listed: None,
    })
}

/// The biases of the tokens of texts.
fn biases(session: &Session, texts: &[(String, f32)]) -> Result<Vec<(Token, f32)>, ApiError> {
    let mut all = Vec::new();
    for (text, bias) in texts {
        let left = MOST_BIASES - all.len();
        let tokens = session.plain_tokens(text, left);
        if tokens.len() > left {
            let message = format!("the texts in `logit_bias` have more than {MOST_BIASES} tokens");
            return Err(ApiError::new(ErrorCode::InvalidRequest, message).with_param("logit_bias"));
        }
        all.extend(tokens.into_iter().map(|token| (token, *bias)));
    }
    Ok(all)
}

/// The answers to one request.
struct Continuations {
    completions: Completions,
    /// For each answer, if `timings_per_token` asks for it.
    so_far: Vec<SoFar>,
}

impl Encoder for Continuations {
    fn begin(&mut self) -> Vec<Frame> {
        Vec::new()
    }

    fn event(
        &mut self,
        index: usize,
        event: &ChatEvent,
        tokens: &[TokenLogprob],
        moment: Moment<'_>,
    ) -> Vec<Frame> {
        let mut all = self.completions.event(index, event, moment.tokens, tokens);
        let is_timed = |chunk: &Value| chunk["stop"] == Value::Bool(false);
        add_times(&mut all, self.so_far.get_mut(index), event, moment, is_timed);
        all.into_iter().map(Frame::Data).collect()
    }

    fn end(&mut self) -> Vec<Frame> {
        Vec::new()
    }

    fn whole(&mut self, answers: Vec<Answer>) -> Value {
        self.completions.whole(&answers)
    }
}

#[cfg(test)]
#[path = "completion_tests.rs"]
mod tests;
