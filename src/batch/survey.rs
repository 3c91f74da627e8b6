//! Reads all rows before the first is answered: how many there are, how long, and what is wrong with them.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::hash::key;
use super::{Cause, Error, Failure, Settings, Source, read_row};
use crate::engine::SamplingError;
use crate::engine::SamplingParams;
use crate::openai::{Asked, Defaults, Kind};
use crate::session::Session;

/// What a first look at the rows shows.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// Rows, those with a mistake too.
    pub rows: u64,
    /// An upper guess at the tokens of the longest row, its answer included as far as it has a limit.
    pub longest: u64,
    /// Failures by cause; only a dry run finds those that need the model.
    pub causes: BTreeMap<Cause, u64>,
    /// The first failures, with line and id.
    pub failures: Vec<(u64, String, Failure)>,
    /// Fields that nobody knows.
    pub unknown: Vec<String>,
    /// Tokens of all prompts, which only a dry run counts.
    pub prompt_tokens: u64,
    /// The most tokens that all answers with a limit may have.
    pub limited_tokens: u64,
    /// Answers without a limit.
    pub unlimited: u64,
}

/// Failures that are remembered.
const SHOWN: usize = 20;
/// Bytes of text for a token, fewer than in most languages.
const BYTES_PER_TOKEN: u64 = 3;
/// Tokens that a template puts around messages.
const AROUND: u64 = 64;

/// Counts rows and guesses their lengths, without a model. `go_on` is asked before every row.
///
/// # Errors
///
/// When rows cannot be read.
pub fn survey(
    mut source: Source,
    path: &Path,
    defaults: &Defaults,
    go_on: &dyn Fn() -> bool,
) -> Result<Survey, Error> {
    let settings = Settings::of(defaults, None);
    let mut survey = Survey::default();
    while go_on() {
        let line = source.read().map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let Some((number, line)) = line else { break };
        survey.rows += 1;
        if let Ok(asked) = read_row(number, &line, defaults, &settings).asked {
            let text = match &asked.kind {
                Kind::Chat(request) => {
                    serde_json::to_string(&(&request.messages, &request.tools)).map_or(0, |text| text.len())
                }
                Kind::Text(request) => request.prompt.len(),
            };
            let answer = u64::from(asked.max_tokens().unwrap_or(0));
            survey.longest = survey.longest.max(text as u64 / BYTES_PER_TOKEN + AROUND + answer);
        }
    }
    Ok(survey)
}

/// What a dry run looks with.
pub struct Judge<'a> {
    /// Counts tokens.
    pub session: &'a Session,
    /// Tokens that a sequence can hold.
    pub context: u32,
    /// Whether tokens can be chosen so.
    pub check: &'a dyn Fn(&SamplingParams) -> Result<(), SamplingError>,
    /// Whether a field that nobody knows is a failure.
    pub strict: bool,
}

impl std::fmt::Debug for Judge<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").field("context", &self.context).finish_non_exhaustive()
    }
}

/// Finds every failure that can be found without an answer, and counts tokens.
///
/// # Errors
///
/// When rows cannot be read.
pub fn dry_run(
    mut source: Source,
    path: &Path,
    defaults: &Defaults,
    judge: &Judge<'_>,
    go_on: &dyn Fn() -> bool,
) -> Result<Survey, Error> {
    let settings = Settings::of(defaults, None);
    let mut survey = Survey::default();
    let mut ids = HashSet::new();
    while go_on() {
        let line = source.read().map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let Some((number, line)) = line else { break };
        survey.rows += 1;
        let row = read_row(number, &line, defaults, &settings);
        let unknown = row.asked.as_ref().map_or(&[][..], |asked| &asked.unknown).iter().chain(&row.unknown);
        let unknown: Vec<String> = unknown.cloned().collect();
        let judged = row.asked.and_then(|asked| {
            if !ids.insert(key(&row.id)) {
                let message = format!("an earlier line has the id `{}` already", row.id);
                return Err(Failure::new(Cause::DuplicateId, message));
            }
            if let Some(name) = unknown.first().filter(|_| judge.strict) {
                return Err(Failure::new(Cause::UnknownField, format!("nobody knows the field `{name}`")));
            }
            judge.judge(&asked).map(|tokens| (tokens, asked))
        });
        match judged {
            Ok((tokens, asked)) => {
                survey.prompt_tokens += tokens as u64;
                match asked.max_tokens() {
                    Some(most) => survey.limited_tokens += u64::from(most) * u64::from(asked.copies),
                    None => survey.unlimited += u64::from(asked.copies),
                }
                let most = u64::from(asked.max_tokens().unwrap_or(0));
                survey.longest = survey.longest.max(tokens as u64 + most);
            }
            Err(failure) => {
                *survey.causes.entry(failure.cause).or_default() += 1;
                if survey.failures.len() < SHOWN {
                    survey.failures.push((number, row.id, failure));
                }
            }
        }
        for name in unknown {
            if !survey.unknown.contains(&name) {
                survey.unknown.push(name);
            }
        }
    }
    Ok(survey)
}

impl Judge<'_> {
    /// The tokens of a prompt, if it can be answered.
    fn judge(&self, asked: &Asked) -> Result<usize, Failure> {
        let tokens = match &asked.kind {
            Kind::Chat(request) => self.session.count(request).map_err(|error| Failure::from(&error))?,
            Kind::Text(request) => self.session.count_text(&request.prompt),
        };
        let wrong = |error: crate::engine::Error| Failure::from(&error);
        if tokens == 0 {
            return Err(wrong(crate::engine::Error::PromptEmpty));
        }
        if tokens >= self.context as usize {
            return Err(wrong(crate::engine::Error::PromptTooLong { tokens, context: self.context }));
        }
        (self.check)(asked.sampling()).map_err(|error| wrong(error.into()))?;
        Ok(tokens)
    }
}
