//! What OpenAI's generating endpoints have in common.

use std::borrow::Cow;
use std::iter;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::engine::{Token, TokenLogprob};
use crate::openai::{
    ApiError, Asked, Choice, Chunks, Endpoint, ErrorCode, Head, Piece, Prompt, SoFar, body, logprobs,
};
use crate::serve::app::App;
use crate::serve::encoder::{Encoder, Frame, Moment, add_times};
use crate::serve::engine::Engine;
use crate::serve::error::HttpError;
use crate::serve::generate::ignored;
use crate::serve::id;
use crate::serve::job::Job;
use crate::serve::queue::Place;
use crate::session::{Answer, Chat, ChatEvent, Logprobs, Seed, Session};

/// Refuses what the server does not support, and another model.
pub(super) fn check(app: &App, asked: &Asked) -> Result<(), HttpError> {
    app.check_model(asked.model.as_deref())?;
    if let Some(refusal) = asked.unsupported.first() {
        return Err(ApiError::from(refusal).into());
    }
    Ok(())
}

/// The seeds of the answers to a request: consecutive ones. A seed in the request holds for each prompt.
pub(super) fn seeds(asked: &Asked) -> Vec<u32> {
    let first = asked.options.params(Seed::draw()).seed;
    let prompts = match &asked.prompt {
        Prompt::Chat(_) => 1,
        Prompt::Text(texts) => u32::try_from(texts.len()).unwrap_or(u32::MAX),
    };
    let is_fixed = matches!(asked.options.seed, Some(Seed::Fixed(_)));
    let number = |number: u32| if is_fixed { number % asked.choices } else { number };
    (0..prompts.saturating_mul(asked.choices)).map(|index| first.wrapping_add(number(index))).collect()
}

/// The tokens of the texts that a request continues.
pub(super) fn prompts(engine: &Engine, asked: &Asked) -> Result<Vec<Vec<Token>>, HttpError> {
    let Prompt::Text(texts) = &asked.prompt else {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "`prompt` is missing").into());
    };
    Ok(texts.iter().map(|text| engine.session.prompt_tokens(text.clone())).collect::<Result<_, _>>()?)
}

/// Starts the continuations of texts with these seeds.
pub(super) fn continued(
    engine: &Engine,
    asked: &Asked,
    prompts: &[Vec<Token>],
    seeds: &[u32],
) -> Result<Vec<Chat>, HttpError> {
    let per_prompt = asked.choices as usize;
    let all = prompts.iter().flat_map(|tokens| iter::repeat_n(tokens, per_prompt));
    let start = |(tokens, &seed): (&Vec<Token>, &u32)| {
        let mut request = asked.options.text_request(tokens.clone(), seed);
        request.sampling.seed = seed;
        engine.session.complete(request)
    };
    Ok(all.zip(seeds).map(start).collect::<Result<_, _>>()?)
}

/// The job of answers that were submitted with these seeds. `prompts` are shown.
pub(super) fn job(
    app: &App,
    engine: &Engine,
    endpoint: Endpoint,
    asked: &Asked,
    chats: Vec<Chat>,
    seeds: Vec<u32>,
    prompts: Vec<String>,
) -> Job {
    let id = id::random();
    let head = Head {
        endpoint,
        id: Cow::Owned(id.clone()),
        created: app.now(),
        model: Cow::Owned(app.settings.name().to_owned()),
        fingerprint: Cow::Owned(app.settings.fingerprint.clone()),
    };
    let wanted = matches!(asked.options.logprobs, Some(Logprobs::Top(_)));
    let piece = wanted.then(|| piece(&engine.session));
    let stream = asked.stream.unwrap_or_default();
    let so_far = vec![SoFar::default(); if stream.timings { chats.len() } else { 0 }];
    let count = u32::try_from(chats.len()).unwrap_or(u32::MAX);
    let chunks = Chunks::new(head.clone(), stream, count, piece.clone())
        .per_prompt(asked.choices)
        .showing(prompts.clone());
    let listed = app.answers.add(&head.full_id(), chats.iter().map(Chat::canceller).collect());
    Job {
        chats,
        encoder: Box::new(Answers { head, chunks, piece, seeds, prompts, per_prompt: asked.choices, so_far }),
        is_stream: asked.stream.is_some(),
        ignored: ignored(&asked.unknown),
        listed: Some(listed),
    }
}

/// The bytes of tokens.
pub(super) fn piece(session: &Session) -> Piece {
    let session = session.clone();
    Arc::new(move |token| session.piece(token))
}

/// Answers in OpenAI's form.
struct Answers {
    head: Head<'static>,
    chunks: Chunks<'static>,
    piece: Option<Piece>,
    seeds: Vec<u32>,
    /// Those that are shown.
    prompts: Vec<String>,
    /// Answers to each prompt.
    per_prompt: u32,
    /// For each answer, if `timings_per_token` asks for it.
    so_far: Vec<SoFar>,
}

impl Encoder for Answers {
    fn begin(&mut self) -> Vec<Frame> {
        data(self.chunks.begin())
    }

    fn event(
        &mut self,
        index: usize,
        event: &ChatEvent,
        tokens: &[TokenLogprob],
        moment: Moment<'_>,
    ) -> Vec<Frame> {
        let mut chunks = self.chunks.event(index, event, tokens);
        let is_timed = |chunk: &Value| chunk.get("timings").is_none() && chunk.get("error").is_none();
        add_times(&mut chunks, self.so_far.get_mut(index), event, moment, is_timed);
        data(chunks)
    }

    fn shows_queue(&self) -> bool {
        self.chunks.shows_progress()
    }

    fn moved(&mut self, Place { position, waiting }: Place) -> Vec<Frame> {
        data(vec![self.chunks.queued(position, waiting)])
    }

    fn end(&mut self) -> Vec<Frame> {
        vec![Frame::Done]
    }

    fn whole(&mut self, answers: Vec<Answer>) -> Value {
        let endpoint = self.head.endpoint;
        let choice = |(answer, seed): (Answer, u32)| {
            let logprobs = match &self.piece {
                Some(piece) if !answer.logprobs.is_empty() => {
                    logprobs(endpoint, &answer.logprobs, 0, &**piece)
                }
                _ => Value::Null,
            };
            Choice { answer, seed, logprobs }
        };
        let choices: Vec<Choice> = answers.into_iter().zip(self.seeds.iter().copied()).map(choice).collect();
        let mut body = body(&self.head, &choices, self.per_prompt);
        match self.prompts.as_slice() {
            [] => {}
            [prompt] => body["__verbose"] = json!({ "prompt": prompt }),
            prompts => body["__verbose"] = json!({ "prompt": prompts }),
        }
        body
    }
}

fn data(values: Vec<Value>) -> Vec<Frame> {
    values.into_iter().map(Frame::Data).collect()
}
