//! The way from a conversation to an answer, for every front end: render, tokenise, submit, parse.

use std::sync::Arc;
use std::time::SystemTime;

use crate::chat::{self, CLOSE, Delta, Message, OPEN, ReasoningParser, RenderOptions, Role, Start, Template};
use crate::engine::{
    self, Canceller, Event, FinishReason, Markup, Reply, Request, SamplingParams, Submitter, Thinking,
    Timings, Token, Vocab,
};

/// Everything it takes to answer; clones share the engine.
#[derive(Clone)]
pub struct Session {
    submitter: Submitter,
    vocab: Arc<dyn Vocab + Send + Sync>,
    template: Arc<Template>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("template", &self.template).finish_non_exhaustive()
    }
}

/// A conversation to be continued.
#[derive(Debug, Clone)]
pub struct ChatRequest {
    /// What was said so far.
    pub messages: Vec<Message>,
    /// How tokens are chosen.
    pub sampling: SamplingParams,
    /// Ends the answer after this many tokens, thinking included.
    pub max_tokens: Option<u32>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Functions the model may call, as JSON schemas.
    pub tools: Vec<serde_json::Value>,
    /// More variables for the template, such as `enable_thinking`.
    pub variables: serde_json::Map<String, serde_json::Value>,
    /// Ends the thinking after this many tokens; `None` leaves it to the model.
    pub thinking_budget: Option<u32>,
    /// What the model is made to think last when its budget is spent or it is told to answer.
    pub last_thought: String,
}

impl ChatRequest {
    /// A conversation and nothing special.
    #[must_use]
    pub fn new(messages: Vec<Message>, sampling: SamplingParams) -> Self {
        Self {
            messages,
            sampling,
            max_tokens: None,
            stop: Vec::new(),
            tools: Vec::new(),
            variables: serde_json::Map::new(),
            thinking_budget: None,
            last_thought: LAST_THOUGHT.to_owned(),
        }
    }
}

/// A nudge to answer with what is known so far.
pub const LAST_THOUGHT: &str = "\n\nThat is enough thinking. I will answer now.";

/// What comes back: any number of texts, then exactly one of the last two.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// More of what the model thinks.
    Reasoning(String),
    /// More of what it says.
    Content(String),
    /// The answer is over.
    Finished {
        /// Why.
        reason: FinishReason,
        /// What it took.
        usage: ChatUsage,
        /// How long it took.
        timings: Timings,
    },
    /// Something went wrong.
    Failed(engine::Error),
}

/// Tokens of an answer by what they were for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChatUsage {
    /// Tokens read and written.
    pub total: engine::Usage,
    /// Of those written, the ones spent on thinking, the closing tag included.
    pub reasoning_tokens: u32,
}

impl ChatUsage {
    /// Of the tokens written, the ones of the answer, its end included.
    #[must_use]
    pub fn answer_tokens(&self) -> u32 {
        self.total.completion_tokens.saturating_sub(self.reasoning_tokens)
    }
}

/// Why a conversation could not be submitted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The template did not make a prompt of it.
    #[error("cannot turn the conversation into a prompt")]
    Template(#[from] chat::Error),
    /// The engine took no request.
    #[error("cannot hand the request to the engine")]
    Engine(#[from] engine::Error),
}

impl Session {
    /// Puts the parts together.
    pub fn new(submitter: Submitter, vocab: Arc<dyn Vocab + Send + Sync>, template: Template) -> Self {
        Self { submitter, vocab, template: Arc::new(template) }
    }

    /// Starts an answer.
    ///
    /// # Errors
    ///
    /// When the conversation makes no prompt, or the engine takes no requests. A prompt that is too long is
    /// the answer's terminal event.
    pub fn chat(&self, request: ChatRequest) -> Result<Chat, Error> {
        let ChatRequest { messages, mut sampling, max_tokens, stop, tools, variables, .. } = request;
        let mut options =
            RenderOptions { add_generation_prompt: true, tools, variables, now: SystemTime::now() };
        let mut prompt = self.template.render(&messages, &options)?;
        let ending = format!("{}\n{CLOSE}\n\n", request.last_thought);
        if Start::of(&prompt) == Start::Reasoning && request.thinking_budget == Some(0) {
            prompt += &ending;
        }
        let start = Start::of(&prompt);
        if let Some(grammar) = &mut sampling.grammar {
            grammar.after = (start == Start::Reasoning).then(|| CLOSE.to_owned());
        }
        let tokens = self.vocab.tokenize(&prompt, Markup::Parsed);
        options.add_generation_prompt = false;
        let boundaries = self.boundaries(&messages, &options, &tokens);
        let thinking = Thinking {
            open: (start == Start::Content).then(|| OPEN.to_owned()),
            close: CLOSE.to_owned(),
            ending: self.vocab.tokenize(&ending, Markup::Parsed),
            budget: request.thinking_budget,
        };
        let reply = self.submitter.submit(Request {
            max_tokens,
            stop,
            boundaries,
            thinking: Some(thinking),
            ..Request::new(tokens, sampling)
        })?;
        Ok(Chat { reply, parser: ReasoningParser::new(start), reasoning_tokens: 0, ready: Vec::new() })
    }

    /// Where in a prompt later ones are likely to part from it: behind the instructions, before the last question,
    /// and before the answer. A template that does not render a conversation so far has no boundary there.
    fn boundaries(&self, messages: &[Message], options: &RenderOptions, prompt: &[Token]) -> Vec<usize> {
        let instructions = messages.iter().take_while(|m| m.role == Role::System).count();
        let question = messages.iter().rposition(|m| m.role == Role::User).unwrap_or(0);
        let shared = |count: usize| {
            let text = self.template.render(&messages[..count], options).ok()?;
            let tokens = self.vocab.tokenize(&text, Markup::Parsed);
            Some(tokens.iter().zip(prompt).take_while(|(a, b)| a == b).count())
        };
        [instructions, question, messages.len()].into_iter().filter_map(shared).collect()
    }
}

/// An answer on its way: an iterator that waits, or a future for each event. Dropping it cancels it.
#[derive(Debug)]
pub struct Chat {
    reply: Reply,
    parser: ReasoningParser,
    reasoning_tokens: u32,
    /// Events to give out, the next one last.
    ready: Vec<ChatEvent>,
}

impl Chat {
    /// Something that can end this answer while another thread waits for it.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        self.reply.canceller()
    }

    /// The next event, as a future; `None` after the terminal one.
    pub async fn recv(&mut self) -> Option<ChatEvent> {
        loop {
            if let Some(event) = self.ready.pop() {
                return Some(event);
            }
            let event = self.reply.recv().await?;
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        let terminal = match event {
            Event::Delta { tokens, text } => {
                if self.parser.is_reasoning() {
                    self.reasoning_tokens += u32::try_from(tokens.len()).unwrap_or(u32::MAX);
                }
                let deltas = self.parser.push(&text);
                return self.prepare(deltas, None);
            }
            Event::Finished { reason, usage: total, timings } => {
                let usage = ChatUsage { total, reasoning_tokens: self.reasoning_tokens };
                ChatEvent::Finished { reason, usage, timings }
            }
            Event::Failed(error) => ChatEvent::Failed(error),
        };
        let deltas = self.parser.finish();
        self.prepare(deltas, Some(terminal));
    }

    fn prepare(&mut self, deltas: Vec<Delta>, terminal: Option<ChatEvent>) {
        let texts = deltas.into_iter().map(|delta| match delta {
            Delta::Content(text) => ChatEvent::Content(text),
            Delta::Reasoning(text) => ChatEvent::Reasoning(text),
        });
        self.ready.extend(texts.chain(terminal));
        self.ready.reverse();
    }
}

impl Iterator for Chat {
    type Item = ChatEvent;

    fn next(&mut self) -> Option<ChatEvent> {
        loop {
            if let Some(event) = self.ready.pop() {
                return Some(event);
            }
            let event = self.reply.wait()?;
            self.take(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
    use crate::engine::{Caps, Limits, channel, run};
    use std::thread;

    fn session(template: &str, answer: &str) -> Session {
        let caps = Caps { sequences: 2, context: 256, batch: 16, can_trim: true, can_keep: true };
        let decoder = ScriptedDecoder::saying(caps, answer);
        let (submitter, inbox) = channel();
        thread::spawn(move || run(decoder, ByteVocab, &inbox, Limits::of(caps)));
        Session::new(submitter, Arc::new(ByteVocab), Template::parse(template, "", "").unwrap())
    }

    fn ask(session: &Session, change: impl FnOnce(&mut ChatRequest)) -> (String, String, ChatEvent) {
        let mut request = ChatRequest::new(vec![Message::new(Role::User, "hi")], SamplingParams::greedy());
        change(&mut request);
        let (mut reasoning, mut content) = (String::new(), String::new());
        let mut chat = session.chat(request).unwrap();
        loop {
            match chat.next().expect("a terminal event comes before the end") {
                ChatEvent::Reasoning(text) => reasoning += &text,
                ChatEvent::Content(text) => content += &text,
                terminal => {
                    assert_eq!(chat.next(), None);
                    return (reasoning, content, terminal);
                }
            }
        }
    }

    const THINKING: &str = "{{ messages[0].content }}<think>\n";

    #[test]
    fn thinking_is_parted_from_the_answer_and_counted_apart() {
        let session = session(THINKING, "hm\n</think>\n\nyes");
        let (reasoning, content, end) = ask(&session, |_| {});
        assert_eq!((reasoning.as_str(), content.as_str()), ("hm", "yes"));
        let ChatEvent::Finished { reason, usage, .. } = end else { panic!("{end:?}") };
        assert_eq!(reason, FinishReason::Stop);
        assert_eq!(
            (usage.total.completion_tokens, usage.reasoning_tokens, usage.answer_tokens()),
            (17, 11, 6)
        );
    }

    #[test]
    fn a_stop_string_ends_the_answer_and_is_not_part_of_it() {
        let (_, content, end) = ask(&session("x", "one. two. three."), |r| r.stop = vec![". th".into()]);
        assert_eq!(content, "one. two");
        assert!(matches!(end, ChatEvent::Finished { reason: FinishReason::StopString(0), .. }), "{end:?}");
    }

    #[test]
    fn a_limit_gives_out_what_was_held_back() {
        let (reasoning, content, end) = ask(&session(THINKING, "a</think>"), |r| r.max_tokens = Some(5));
        assert_eq!((reasoning.as_str(), content.as_str()), ("a</th", ""));
        assert!(matches!(end, ChatEvent::Finished { reason: FinishReason::Length, .. }), "{end:?}");
    }

    #[test]
    fn a_prompt_that_is_too_long_fails_by_name() {
        let (_, _, end) = ask(&session("{{ 'x' * 300 }}", "y"), |_| {});
        assert_eq!(end, ChatEvent::Failed(engine::Error::PromptTooLong { tokens: 300, context: 256 }));
    }

    #[test]
    fn a_refusal_of_the_template_comes_with_its_words() {
        let session = session("{{ raise_exception('no') }}", "y");
        let request = ChatRequest::new(vec![], SamplingParams::greedy());
        assert!(matches!(session.chat(request), Err(Error::Template(_))));
    }
}
