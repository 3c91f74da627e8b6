//! Reads all rows without answering any: counts them, estimates their lengths, finds their errors.

use std::collections::{BTreeMap, HashSet};

use super::defaults::Defaults;
use super::error::Error;
use super::failure::{Cause, Failure};
use super::hash::{Settings, key};
use super::ignored::Ignored;
use super::journal::{Earlier, Standing};
use super::row::read_row;
use super::source::Source;
use crate::engine::{self, SamplingError, SamplingParams};
use crate::openai::{Asked, Prompt};
use crate::session::{Limit, PromptPart, PromptText, Session};

/// Counts of the rows of an input.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// All rows, those that fail included.
    pub rows: u64,
    /// An upper estimate of the tokens of the longest row, with its answer if that has a limit.
    pub longest: u64,
    /// Failures by cause; only a dry run finds those that need the model.
    pub causes: BTreeMap<Cause, u64>,
    /// The first failures, with line and id.
    pub failures: Vec<(u64, String, Failure)>,
    /// Ignored fields, each once.
    pub ignored: Vec<Ignored>,
    /// Tokens of all prompts, which only a dry run counts.
    pub prompt_tokens: u64,
    /// The sum of the limits of all answers that have one, which the context limits as well.
    pub limited_tokens: u64,
    /// Answers without a limit.
    pub unlimited: u64,
    /// Tokens of answers without a limit, if each fills the context.
    pub filling_tokens: u64,
    /// Rows that an earlier run answered; they are not counted above.
    pub answered: u64,
    /// Rows that an earlier run refused, and that are not retried.
    pub refused: u64,
    /// Rows that an earlier run answered, and whose request has changed.
    pub changed: u64,
}

/// The maximum number of failures in [`Survey::failures`].
const SHOWN: usize = 20;
/// Bytes of text in a token, fewer than in most languages.
const BYTES_PER_TOKEN: usize = 3;
/// Tokens that a template writes around messages.
const AROUND: u64 = 64;

/// Counts rows and estimates their lengths, without a model, until `go_on` is false.
///
/// # Errors
///
/// When rows cannot be read.
pub fn survey(mut source: Source, defaults: &Defaults, go_on: &dyn Fn() -> bool) -> Result<Survey, Error> {
    let settings = Settings::of(&defaults.options);
    let mut survey = Survey::default();
    while go_on() {
        let Some((number, line)) = source.read()? else { break };
        survey.rows += 1;
        if let Ok(asked) = read_row(number, &line, defaults, &settings).asked {
            let text = match &asked.prompt {
                Prompt::Chat(messages) => {
                    serde_json::to_string(&(messages, &asked.options.tools)).map_or(0, |text| text.len())
                }
                Prompt::Text(texts) => texts.iter().map(bytes).sum(),
            };
            let answer = u64::from(most_tokens(&asked).unwrap_or(0));
            survey.longest = survey.longest.max((text / BYTES_PER_TOKEN) as u64 + AROUND + answer);
        }
    }
    Ok(survey)
}

/// Checks requests against a model.
pub struct Judge<'a> {
    /// Makes the requests.
    pub session: &'a Session,
    /// Tokens of the context.
    pub context: u32,
    /// Tokens of the vocabulary.
    pub vocabulary: u32,
    /// Checks sampling values and grammars.
    pub check: &'a dyn Fn(&SamplingParams) -> Result<(), SamplingError>,
    /// Whether an ignored field fails its row.
    pub strict: bool,
    /// The rows of earlier runs, which need no answer.
    pub earlier: &'a Earlier,
    /// Whether rows that an earlier run refused are retried.
    pub retry_failed: bool,
}

impl std::fmt::Debug for Judge<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").field("context", &self.context).finish_non_exhaustive()
    }
}

/// Counts tokens, and finds every failure that does not need an answer.
///
/// # Errors
///
/// When rows cannot be read.
pub fn dry_run(
    mut source: Source,
    defaults: &Defaults,
    judge: &Judge<'_>,
    go_on: &dyn Fn() -> bool,
) -> Result<Survey, Error> {
    let settings = Settings::of(&defaults.options);
    let mut survey = Survey::default();
    let mut ids = HashSet::new();
    while go_on() {
        let Some((number, line)) = source.read()? else { break };
        survey.rows += 1;
        let row = read_row(number, &line, defaults, &settings);
        let is_first = ids.insert(key(&row.id));
        if is_first {
            match judge.earlier.standing(&row.id, row.hash, judge.retry_failed) {
                Standing::Done => {
                    survey.answered += 1;
                    continue;
                }
                Standing::Refused => {
                    survey.refused += 1;
                    continue;
                }
                Standing::Changed => survey.changed += 1,
                Standing::New | Standing::Again => {}
            }
        }
        let ignored = row.ignored();
        let judged = row.asked.and_then(|asked| {
            if !is_first {
                return Err(Failure::duplicate(&row.id));
            }
            if let Some(field) = ignored.first().filter(|_| judge.strict) {
                return Err(Failure::ignored(field.clone()));
            }
            judge.judge(&asked).map(|tokens| (tokens, asked))
        });
        match judged {
            Ok((tokens, asked)) => {
                survey.prompt_tokens += tokens as u64;
                let (limit, choices) = (most_tokens(&asked), u64::from(asked.choices));
                let room = u64::from(judge.context).saturating_sub(tokens as u64);
                let most = limit.map_or(0, |limit| u64::from(limit).min(room));
                if limit.is_some() {
                    survey.limited_tokens += most * choices;
                } else {
                    survey.unlimited += choices;
                    survey.filling_tokens += room * choices;
                }
                survey.longest = survey.longest.max(tokens as u64 + most);
            }
            Err(failure) => {
                *survey.causes.entry(failure.cause).or_default() += 1;
                if survey.failures.len() < SHOWN {
                    survey.failures.push((number, row.id, failure));
                }
            }
        }
        for field in ignored {
            if !survey.ignored.iter().any(|other| other.name() == field.name()) {
                survey.ignored.push(field);
            }
        }
    }
    Ok(survey)
}

impl Judge<'_> {
    /// The tokens of a prompt, if it can be answered.
    fn judge(&self, asked: &Asked) -> Result<usize, Failure> {
        let request = match &asked.prompt {
            Prompt::Chat(_) => {
                let request = self.session.chat_request(asked.chat_request(0));
                request.map_err(|error| Failure::from(&error))?
            }
            Prompt::Text(_) => self.session.text_request(asked.text_request(0)),
        };
        let failure = |error: engine::Error| Failure::from(&error);
        engine::check_request(&request, self.context, self.vocabulary).map_err(failure)?;
        (self.check)(&request.sampling).map_err(|error| failure(error.into()))?;
        Ok(request.prompt.len())
    }
}

/// The bytes of a text, about those of its tokens included.
fn bytes(text: &PromptText) -> usize {
    let bytes = |part: &PromptPart| match part {
        PromptPart::Text(text) => text.len(),
        PromptPart::Tokens(tokens) => tokens.len() * BYTES_PER_TOKEN,
    };
    text.0.iter().map(bytes).sum()
}

/// The limit of one answer.
fn most_tokens(asked: &Asked) -> Option<u32> {
    asked.options.max_tokens.and_then(Limit::tokens)
}
