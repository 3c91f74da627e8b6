//! llama-server's own `/completion`.

use std::iter;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::openai::{check, continued, piece, seeds, text_request};
use crate::engine::{Token, TokenLogprob};
use crate::openai::completion::{
    self, Completion, Completions, Continued, Probabilities, Shown, generation_settings,
};
use crate::openai::{ApiError, ErrorCode, MOST_BIASES, SoFar};
use crate::serve::app::App;
use crate::serve::encoder::{Encoder, Frame, Moment};
use crate::serve::engine::Engine;
use crate::serve::error::HttpError;
use crate::serve::generate::{ignored, respond};
use crate::serve::job::Job;
use crate::session::{Answer, ChatEvent, Logprobs, Session, TextRequest};

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
    let (chats, tokens) = continued(engine, &asked, &seeds)?;
    let prompts: Vec<String> = tokens.iter().map(|tokens| engine.session.detokenize(tokens)).collect();
    let prompts = prompts.iter().flat_map(|prompt| iter::repeat_n(prompt, asked.choices as usize));
    let ends = if asked.options.params(0).ignore_end { engine.session.ends() } else { Vec::new() };
    let answer = |(prompt, seed): (&String, &u32)| {
        let TextRequest { sampling, max_tokens, stop, .. } = text_request(&asked, String::new(), *seed);
        let mut settings = generation_settings(&sampling, max_tokens, &stop);
        if sampling.ignore_end
            && let Some(biases) = settings["logit_bias"].as_array_mut()
        {
            // Minus infinity is null in JSON.
            biases.extend(ends.iter().map(|token| json!({ "token": token.0, "bias": null })));
        }
        settings["stream"] = json!(stream.is_some());
        settings["post_sampling_probs"] = json!(post_sampling);
        settings["timings_per_token"] = json!(stream.is_some_and(|stream| stream.timings));
        Continued { prompt: prompt.clone(), settings, stop }
    };
    let answers = prompts.zip(&seeds).map(answer).collect();
    let so_far = stream.filter(|stream| stream.timings).map(|_| vec![SoFar::default(); chats.len()]);
    let shown = Shown {
        model: app.settings.name().to_owned(),
        tokens: return_tokens,
        probabilities,
        progress: stream.is_some_and(|stream| stream.progress),
        fields: response_fields,
    };
    Ok(Job {
        chats,
        encoder: Box::new(Continuations { completions: Completions::new(shown, answers), so_far }),
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
    so_far: Option<Vec<SoFar>>,
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
        if let Some(so_far) = self.so_far.as_mut().and_then(|all| all.get_mut(index)) {
            so_far.event(event, moment.since, moment.written);
            for chunk in all.iter_mut().filter(|chunk| chunk["stop"] == Value::Bool(false)) {
                chunk["timings"] = so_far.timings();
            }
        }
        for progress in all.iter_mut().filter_map(|chunk| chunk.get_mut("prompt_progress")) {
            progress["time_ms"] = json!(moment.since.as_secs_f64() * 1000.0);
        }
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
