//! The engine of the server: a scripted decoder that pauses and fails where the script says so.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ggrun::chat::Template;
use ggrun::engine::scripted::ScriptedDecoder;
use ggrun::engine::{Abort, Caps, DecodeError, Decoder as _, Limits, Token, channel, run};
use ggrun::openai::ModelFacts;
use ggrun::serve::{Card, Engine, Failure};
use ggrun::session::{GenerationOptions, Session};

use crate::script::{Answers, Failure as Fails, Script};
use crate::words::{END, Words};

/// A template with reasoning, a switch for it, and calls.
const TEMPLATE: &str = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\
    {% for call in message.tool_calls or [] %}<tool_call>{\"name\": \"{{ call.function.name }}\", \"arguments\": \
    {{ call.function.arguments | tojson }}}</tool_call>{% endfor %}{{ '\\n' }}{% endfor %}\
    {% if tools %}<|tools|>{{ tools | tojson }}{# <tool_call> {\"name\": , \"arguments\": } #}{% endif %}\
    {% if add_generation_prompt %}<|assistant|>{% if enable_thinking is defined and enable_thinking is false %}\
    <think></think>{% else %}<think>{% endif %}{% endif %}";
/// How often a pause checks whether it was aborted.
const SLICE: Duration = Duration::from_millis(5);

/// What the script and the failures of the decoder share.
#[derive(Debug)]
struct Play {
    answers: Answers,
    words: Arc<Words>,
    batch: u32,
    /// The prompts whose answers have begun.
    begun: Mutex<BTreeSet<Vec<Token>>>,
    /// The prompt whose next step fails.
    failing: Mutex<Option<Vec<Token>>>,
    abort: Mutex<Option<Abort>>,
}

/// Starts an engine that answers by these scripts.
pub(crate) fn engine(caps: Caps, answers: Answers) -> Arc<Engine> {
    let words = Arc::new(Words::default());
    let play = Arc::new(Play {
        answers,
        words: Arc::clone(&words),
        batch: caps.batch,
        begun: Mutex::default(),
        failing: Mutex::default(),
        abort: Mutex::default(),
    });
    let (writing, failing) = (Arc::clone(&play), Arc::clone(&play));
    let decoder =
        ScriptedDecoder::new(caps, Box::new(move |prompt, written| vec![writing.next(prompt, written)]))
            .failing(false, Box::new(move |prompts| failing.fault(prompts)))
            .compiling(Arc::new(|_| Ok(())));
    *locked(&play.abort) = Some(decoder.abort());
    let (submitter, inbox) = channel(&decoder, &words);
    let vocab = Arc::clone(&words);
    // An error of the engine reaches every request.
    thread::spawn(move || drop(run(decoder, vocab, &inbox, Limits::of(caps))));
    let template = Template::parse(TEMPLATE, "", "").expect("the template parses");
    let session = Session::new(submitter, words, template);
    let facts = ModelFacts {
        context: caps.context,
        trained_context: caps.context,
        vocabulary: 1 << 20,
        parameters: 7_600_000_000,
        size: 4 << 30,
    };
    let card = Card { file: "scripted.gguf".to_owned(), facts, slots: caps.sequences };
    let (defaults, failure) = (GenerationOptions::default(), Failure::default());
    Arc::new(Engine { session, defaults, card, states: None, failure })
}

impl Play {
    /// The next token of an answer.
    fn next(&self, prompt: &[Token], written: &[Token]) -> Token {
        let text = self.words.text(prompt);
        let script = self.answers.of(&text);
        self.pace(&script, written.len());
        locked(&self.begun).insert(prompt.to_vec());
        if script.fail.is_some() && written.len() >= script.after {
            *locked(&self.failing) = Some(prompt.to_vec());
        }
        let rest = script.rest(&text, &self.words.text(written));
        let next = self.words.first_of(rest).unwrap_or(END);
        if next == END {
            locked(&self.begun).remove(prompt);
        }
        next
    }

    fn pace(&self, script: &Script, written: usize) {
        if written == 0 {
            self.pause(Duration::from_millis(script.wait));
        }
        if script.rate > 0.0 {
            self.pause(Duration::from_secs_f64(1.0 / script.rate));
        }
    }

    /// Waits, and returns whether it was not aborted.
    fn pause(&self, time: Duration) -> bool {
        let abort = locked(&self.abort).clone();
        let begun = Instant::now();
        loop {
            if abort.as_ref().is_some_and(Abort::is_raised) {
                return false;
            }
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(SLICE));
        }
    }

    /// The error of a step with tokens of these prompts, after the time that reading takes.
    fn fault(&self, prompts: &[&[Token]]) -> Option<DecodeError> {
        let mut failing = locked(&self.failing);
        if let Some(prompt) = failing.take_if(|prompt| prompts.contains(&prompt.as_slice())) {
            return self.answers.of(&self.words.text(&prompt)).fail.map(|fails| match fails {
                Fails::Step => DecodeError::Backend { status: -3 },
                Fails::Device => {
                    DecodeError::DeviceFailed { reason: "GPU0: lost".to_owned(), is_short: false }
                }
            });
        }
        drop(failing);
        let reading = prompts.iter().find(|prompt| !locked(&self.begun).contains(**prompt))?;
        let script = self.answers.of(&self.words.text(reading));
        let step = if script.read > 0.0 { f64::from(self.batch) / script.read } else { 0.0 };
        (!self.pause(Duration::from_secs_f64(step))).then_some(DecodeError::Aborted)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
