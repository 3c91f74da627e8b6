//! The way from a conversation to an answer, for every front end: render, tokenise, submit, parse.

mod reply;

use std::sync::Arc;
use std::time::SystemTime;

use crate::chat::{self, AnswerParser, Message, RenderOptions, Role, Start, Template, ToolCall};
use crate::engine::{
    self, FinishReason, Markup, Request, SamplingParams, Saved, Submitter, Timings, Token, Vocab,
};

pub use reply::Chat;

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
    pub reasoning_budget: Option<u32>,
    /// What the model is made to think last when its budget is spent or it is told to answer.
    pub reasoning_budget_message: String,
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
            reasoning_budget: None,
            reasoning_budget_message: REASONING_BUDGET_MESSAGE.to_owned(),
        }
    }
}

/// A text to be continued as it is, without a template.
#[derive(Debug, Clone)]
pub struct TextRequest {
    /// The text; names of special tokens in it are these tokens.
    pub prompt: String,
    /// How tokens are chosen.
    pub sampling: SamplingParams,
    /// Ends the answer after this many tokens.
    pub max_tokens: Option<u32>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
}

/// A nudge to answer with what is known so far.
pub const REASONING_BUDGET_MESSAGE: &str = "\n\nThat is enough thinking. I will answer now.";

/// What comes back: any number of texts and calls, then exactly one of the last two.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// More of what the model thinks.
    Reasoning(String),
    /// More of what it says.
    Content(String),
    /// A function it calls, whole. Its id is new in the conversation. An answer with calls that ended with
    /// [`FinishReason::Stop`] waits for their results.
    ToolCall(ToolCall),
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

    /// The template that makes prompts of conversations.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Starts an answer.
    ///
    /// # Errors
    ///
    /// When the conversation makes no prompt, or the engine takes no requests. A prompt that is too long is
    /// the answer's terminal event.
    pub fn chat(&self, request: ChatRequest) -> Result<Chat, Error> {
        let calls = request.messages.iter().map(|message| message.tool_calls.len()).sum();
        let ChatRequest { messages, mut sampling, max_tokens, stop, tools, variables, .. } = request;
        let mut options =
            RenderOptions { add_generation_prompt: true, tools, variables, now: SystemTime::now() };
        let mut prompt = self.template.render(&messages, &options)?;
        let mut start = Start::of(&self.template, &prompt);
        let tags = start.tags();
        let ending = format!("{}\n{}\n\n", request.reasoning_budget_message, tags.close);
        if matches!(start, Start::Reasoning(_)) && request.reasoning_budget == Some(0) {
            prompt += &ending;
            start = Start::of(&self.template, &prompt);
        }
        let inside = matches!(start, Start::Reasoning(_) | Start::Unopened(_));
        if let Some(grammar) = &mut sampling.grammar {
            grammar.after = inside.then(|| tags.close.to_owned());
        }
        let parser = AnswerParser::of(&self.template, &prompt, &options.tools);
        let tokens = self.vocab.tokenize(&prompt, Markup::Parsed);
        options.add_generation_prompt = false;
        let boundaries = self.boundaries(&messages, &options, &tokens);
        let reasoning = engine::Reasoning {
            open: (!inside).then(|| tags.open.to_owned()),
            close: tags.close.to_owned(),
            ending: self.vocab.tokenize(&ending, Markup::Parsed),
            budget: request.reasoning_budget,
        };
        let reply = self.submitter.submit(Request {
            max_tokens,
            stop,
            boundaries,
            reasoning: Some(reasoning),
            ..Request::new(tokens, sampling)
        })?;
        Ok(Chat {
            reply,
            parser: Some(parser),
            reasoning_tokens: 0,
            open_tokens: 0,
            calls,
            ready: Vec::new(),
            logprobs: Vec::new(),
        })
    }

    /// Starts the continuation of a text. All of it is content.
    ///
    /// # Errors
    ///
    /// When the engine takes no requests.
    pub fn complete(&self, request: TextRequest) -> Result<Chat, Error> {
        let TextRequest { prompt, sampling, max_tokens, stop } = request;
        let tokens = self.text(&prompt);
        let reply = self.submitter.submit(Request { max_tokens, stop, ..Request::new(tokens, sampling) })?;
        Ok(Chat {
            reply,
            parser: None,
            reasoning_tokens: 0,
            open_tokens: 0,
            calls: 0,
            ready: Vec::new(),
            logprobs: Vec::new(),
        })
    }

    /// Tokens of the prompt that a conversation makes.
    ///
    /// # Errors
    ///
    /// When it makes none.
    pub fn count(&self, request: &ChatRequest) -> Result<usize, Error> {
        let options = RenderOptions {
            add_generation_prompt: true,
            tools: request.tools.clone(),
            variables: request.variables.clone(),
            now: SystemTime::now(),
        };
        let prompt = self.template.render(&request.messages, &options)?;
        Ok(self.vocab.tokenize(&prompt, Markup::Parsed).len())
    }

    /// Tokens of a text to be continued.
    #[must_use]
    pub fn count_text(&self, text: &str) -> usize {
        self.text(text).len()
    }

    /// A text from its first token on; one that names that token itself has it once.
    fn text(&self, text: &str) -> Vec<Token> {
        let tokens = self.vocab.tokenize(text, Markup::Parsed);
        let first = self.vocab.first().filter(|first| tokens.first() != Some(first));
        first.into_iter().chain(tokens).collect()
    }

    /// The bytes that a token writes.
    #[must_use]
    pub fn piece(&self, token: Token) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.vocab.write(token, &mut bytes);
        bytes
    }

    /// Copies out what the engine holds of a conversation, as far as its next turn can go on from it. The model is idle
    /// while that takes place.
    ///
    /// # Errors
    ///
    /// When the conversation makes no prompt, or the engine holds nothing of it.
    pub fn save(&self, request: &ChatRequest) -> Result<Saved, Error> {
        let (tools, variables) = (request.tools.clone(), request.variables.clone());
        let options =
            RenderOptions { add_generation_prompt: false, tools, variables, now: SystemTime::now() };
        // Some templates write an answer otherwise once a question follows it.
        let mut messages = request.messages.clone();
        if messages.last().is_some_and(|last| last.role == Role::Assistant) {
            messages.push(Message::new(Role::User, "?"));
        }
        let prompt = self.template.render(&messages, &options)?;
        Ok(self.submitter.save(self.vocab.tokenize(&prompt, Markup::Parsed))?)
    }

    /// Puts such a copy back, so that the next turn goes on from it.
    ///
    /// # Errors
    ///
    /// When the engine does not take it.
    pub fn restore(&self, saved: Saved) -> Result<(), Error> {
        Ok(self.submitter.restore(saved)?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
    use crate::engine::{Caps, Limits, channel, run};
    use std::thread;

    fn session(template: &str, answer: &str) -> Session {
        let caps =
            Caps { sequences: 2, context: 256, batch: 16, can_trim: true, can_keep: true, can_copy: true };
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
                ChatEvent::ToolCall(call) => content += &serde_json::to_string(&call).unwrap(),
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
    fn thinking_is_counted_as_such_whoever_opened_it() {
        let unopened = "x{% if false %}</think>{% endif %}";
        let switched = "x{% if enable_thinking %}</think>{% endif %}";
        for (template, answer, tokens) in [
            (unopened, "hm</think>yes", 10),
            (unopened, "<think>hm</think>yes", 17),
            (unopened, "yes", 0),
            (switched, "<think>hm</think>yes", 17),
            (switched, "yes", 0),
        ] {
            let (reasoning, content, end) = ask(&session(template, answer), |_| {});
            let thought = if tokens == 0 { "" } else { "hm" };
            assert_eq!((reasoning.as_str(), content.as_str()), (thought, "yes"), "{template} {answer}");
            let ChatEvent::Finished { usage, .. } = end else { panic!("{end:?}") };
            assert_eq!((usage.reasoning_tokens, usage.answer_tokens()), (tokens, 4), "{template} {answer}");
        }
    }

    #[test]
    fn calls_come_whole_with_ids_that_are_new_in_the_conversation() {
        let template = "<tool_call> arguments";
        let call = |name: &str| {
            format!("<tool_call>{{\"name\": \"{name}\", \"arguments\": {{\"a\": 1}}}}</tool_call>")
        };
        let session = session(template, &format!("Look:\n{}\n{}", call("f"), call("g")));
        let text = |id, name| {
            let call = r#""type":"function","function":{"name":"#;
            format!(r#"{{"id":"{id}",{call}"{name}","arguments":{{"a":1}}}}}}"#)
        };
        let tool = serde_json::json!({"type": "function", "function": {"name": "f"}});
        let (_, content, end) = ask(&session, |request| request.tools = vec![tool.clone()]);
        assert_eq!(content, format!("Look:{}{}", text("call_0", "f"), text("call_1", "g")));
        assert!(matches!(end, ChatEvent::Finished { reason: FinishReason::Stop, .. }), "{end:?}");
        let (_, content, _) = ask(&session, |request| {
            request.tools = vec![tool];
            let call = serde_json::from_str(&text("call_0", "f")).unwrap();
            request.messages[0].tool_calls = vec![call];
        });
        assert_eq!(content, format!("Look:{}{}", text("call_1", "f"), text("call_2", "g")));
        let (_, content, _) = ask(&session, |_| {});
        assert_eq!(content, format!("Look:\n{}\n{}", call("f"), call("g")), "no tools, no calls");
    }

    #[test]
    fn a_text_begins_as_the_model_was_trained_and_only_once() {
        struct Begun;
        impl Vocab for Begun {
            fn size(&self) -> u32 {
                ByteVocab.size()
            }

            fn tokenize(&self, text: &str, markup: Markup) -> Vec<Token> {
                ByteVocab.tokenize(text, markup)
            }

            fn first(&self) -> Option<Token> {
                Some(Token(i32::from(b'^')))
            }

            fn write(&self, token: Token, out: &mut Vec<u8>) {
                ByteVocab.write(token, out);
            }

            fn ends_answer(&self, token: Token) -> bool {
                ByteVocab.ends_answer(token)
            }
        }
        let mut session = session("{{ messages[0].content }}", "y");
        assert_eq!(session.count_text("x"), 1);
        session.vocab = Arc::new(Begun);
        assert_eq!((session.count_text("x"), session.count_text("^x")), (2, 2));
        let request = |prompt: &str| {
            let (prompt, sampling) = (prompt.to_owned(), SamplingParams::greedy());
            TextRequest { prompt, sampling, max_tokens: None, stop: Vec::new() }
        };
        let read = |mut chat: Chat| loop {
            if let Some(ChatEvent::Finished { usage, .. }) = chat.next() {
                return usage.total.prompt_tokens;
            }
        };
        assert_eq!(read(session.complete(request("x")).unwrap()), 2);
        let turn = ChatRequest::new(vec![Message::new(Role::User, "x")], SamplingParams::greedy());
        assert_eq!(session.count(&turn).unwrap(), 1, "a template begins as it likes");
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
