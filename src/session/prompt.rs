//! The prompt of a conversation: rendered once, tokenized once, with the places up to which later prompts may share it.

use std::sync::Arc;
use std::time::SystemTime;

use super::error::{ContinueError, Error};
use super::request::{ChatRequest, PromptPart, PromptText, ToolChoice};
use super::tokens::Specials;
use crate::chat::{Content, Message, Next, RenderOptions, Rendered, Role, Start, Tags, Template, ToolFormat};
use crate::engine::{self, COUNTED, Markup, Rules, Token, Vocab};

/// Creates prompts from conversations.
#[derive(Clone)]
pub(super) struct Prompts {
    pub(super) vocab: Arc<dyn Vocab + Send + Sync>,
    pub(super) template: Arc<Template>,
    specials: Arc<Specials>,
    /// The tokens of the tags of the template.
    tags: Arc<[Token]>,
    /// The tokens that end an answer.
    pub(super) ends: Arc<[Token]>,
    /// Tokens that the engine has room for.
    context: u32,
    /// Bytes of the longest token.
    longest: usize,
}

/// The prompt of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prompt {
    pub(super) tokens: Vec<Token>,
    /// Where later prompts are likely to diverge from it: after the instructions, before the last question and before
    /// the answer.
    pub(super) boundaries: Vec<usize>,
    /// Where the answer begins.
    pub(super) start: Start,
    /// The prompt ends with reasoning that is closed.
    pub(super) is_closed: bool,
}

impl Prompts {
    /// Prompts for an engine with this context.
    pub(super) fn new(vocab: Arc<dyn Vocab + Send + Sync>, template: Template, context: u32) -> Self {
        let specials = Arc::new(Specials::of(&*vocab, &template));
        let tags = template.tags().into_iter().filter_map(|tag| token(&*vocab, tag)).collect();
        let (longest, ends) = (longest(&*vocab), ends(&*vocab));
        Self { vocab, template: Arc::new(template), specials, tags, ends, context, longest }
    }

    /// The prompt that the answer to a conversation continues. It may end early if it is too long.
    pub(super) fn prompt(&self, request: &ChatRequest) -> Result<Prompt, Error> {
        self.prompt_within(request, Some(self.most()))
    }

    /// The same, up to its end.
    pub(super) fn whole(&self, request: &ChatRequest) -> Result<Prompt, Error> {
        self.prompt_within(request, None)
    }

    /// Tokens after which the rest of a prompt that is too long is not counted.
    pub(super) fn most(&self) -> usize {
        (self.context as usize).saturating_mul(COUNTED)
    }

    /// Refuses a text to continue that is too long in any case.
    pub(super) fn check_text(&self, text: &PromptText) -> Result<(), engine::Error> {
        let tokens = |part: &PromptPart| match part {
            PromptPart::Text(text) => self.least(text),
            PromptPart::Tokens(tokens) => tokens.len(),
        };
        self.check_most(text.0.iter().map(tokens).fold(0, usize::saturating_add))
    }

    /// Refuses a text that is too long in any case.
    pub(super) fn check_length(&self, text: &str) -> Result<(), engine::Error> {
        self.check_most(self.least(text))
    }

    fn check_most(&self, tokens: usize) -> Result<(), engine::Error> {
        if tokens > self.most() {
            return Err(engine::Error::PromptTooLong { tokens, context: self.context });
        }
        Ok(())
    }

    /// The fewest tokens that a text can have.
    fn least(&self, text: &str) -> usize {
        text.len().checked_div(self.longest).unwrap_or(0)
    }

    /// The tokens of a text that is not a conversation, up to where there are more than `most`.
    pub(super) fn parsed(&self, text: &str, most: usize) -> Vec<Token> {
        self.tokenized(text, Markup::Parsed, most)
    }

    /// The same, where the text of control tokens may be plain text.
    pub(super) fn tokenized(&self, text: &str, markup: Markup, most: usize) -> Vec<Token> {
        self.specials.text(&*self.vocab, text, markup, most)
    }

    /// The text of the prompt.
    pub(super) fn text(&self, request: &ChatRequest) -> Result<String, Error> {
        self.rendered(request).map(|(rendered, ..)| rendered.text)
    }

    /// The tokens of a text without special tokens, up to where there are more than `most`.
    pub(super) fn plain(&self, text: &str, most: usize) -> Vec<Token> {
        let mut tokens = Vec::new();
        self.specials.plain(&*self.vocab, text, most, &mut tokens);
        tokens
    }

    /// The rendered prompt, and where the answer begins.
    fn rendered(&self, request: &ChatRequest) -> Result<(Rendered, Start), Error> {
        let mut options = Self::options(request);
        let (mut rendered, mut start);
        if request.continue_final {
            options.add_generation_prompt = false;
            (rendered, start) = self.continued(&request.messages, &options)?;
        } else {
            rendered = self.template.conversation(&request.messages, &options)?;
            start = self.template.start_of(&rendered);
        }
        let tags = start.tags();
        let next = self.next(request);
        // In channels, what follows the reasoning begins with a header, unless the prompt has it.
        let has_header = tags != Tags::HARMONY || next == Next::Content;
        if request.empty_reasoning
            && let Some(block) = empty_block(start)
        {
            rendered.push(&format!("{block}{}", tags.after(next)), true);
            start = if has_header { Start::MidContent(tags) } else { Start::Content(tags) };
        } else if matches!(start, Start::Reasoning(_) | Start::MidReasoning(_))
            && request.reasoning_budget == Some(0)
        {
            self.push_ending(&mut rendered, request, tags);
            let is_content = tags == Tags::HARMONY && has_header;
            start = if is_content { Start::MidContent(tags) } else { Start::Content(tags) };
        }
        Ok((rendered, start))
    }

    fn prompt_within(&self, request: &ChatRequest, most: Option<usize>) -> Result<Prompt, Error> {
        let (rendered, start) = self.rendered(request)?;
        let tags = start.tags();
        let is_closed = matches!(start, Start::Content(_)) && rendered.text.trim_end().ends_with(tags.close);
        if most.is_some() {
            self.check_length(&rendered.text)?;
        }
        let (places, most) = (boundaries(&request.messages, &rendered), most.unwrap_or(usize::MAX));
        let tokens = self.specials.tokens(&*self.vocab, &rendered, &places, most);
        Ok(Prompt { tokens: tokens.tokens, boundaries: tokens.places, start, is_closed })
    }

    /// The text of the messages alone, without the beginning of an answer.
    pub(super) fn rendered_messages(&self, request: &ChatRequest) -> Result<String, Error> {
        Ok(self.closed(request, &request.messages)?.text)
    }

    /// Messages in the place of those of a request, without the beginning of an answer.
    fn closed(&self, request: &ChatRequest, messages: &[Message]) -> Result<Rendered, Error> {
        let options = RenderOptions { add_generation_prompt: false, ..Self::options(request) };
        Ok(self.template.conversation(messages, &options)?)
    }

    /// The tokens of a conversation that the next turn of it begins with.
    pub(super) fn history(&self, request: &ChatRequest) -> Result<Vec<Token>, Error> {
        // Some templates write an answer differently once a question follows it.
        let mut messages = request.messages.clone();
        if messages.last().is_some_and(|last| last.role == Role::Assistant) {
            messages.push(Message::new(Role::User, "?"));
        }
        let rendered = self.closed(request, &messages)?;
        Ok(self.specials.tokens(&*self.vocab, &rendered, &[], usize::MAX).tokens)
    }

    /// The tokens that end the reasoning of an answer.
    pub(super) fn ending(&self, request: &ChatRequest, tags: Tags) -> Vec<Token> {
        let mut text = Rendered::default();
        self.push_ending(&mut text, request, tags);
        self.specials.tokens(&*self.vocab, &text, &[], usize::MAX).tokens
    }

    /// Adds the text that ends the reasoning of an answer.
    fn push_ending(&self, text: &mut Rendered, request: &ChatRequest, tags: Tags) {
        text.push(&format!("{}\n", request.reasoning_budget_message), false);
        text.push(&format!("{}{}", tags.close, tags.after(self.next(request))), true);
    }

    /// What may follow the reasoning of an answer.
    fn next(&self, request: &ChatRequest) -> Next {
        if matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Function(_)) {
            return Next::Rules;
        }
        let format = offered(&self.template, request);
        match request.sampling.grammar.as_ref().map(|grammar| &*grammar.rules) {
            Some(Rules::JsonSchema(_)) if format.is_some() => Next::Rules,
            None if format == Some(ToolFormat::Harmony) => Next::Either,
            _ => Next::Content,
        }
    }

    /// The tokens whose text an answer has, even if they are control tokens.
    pub(super) fn tags(&self, start: Option<Start>) -> Vec<Token> {
        let reasoning = start.map(|start| [start.tags().open, start.tags().close]);
        let reasoning = reasoning.into_iter().flatten().filter_map(|tag| token(&*self.vocab, tag));
        self.tags.iter().copied().chain(reasoning).collect()
    }

    /// Whether the text of a control token is part of answers.
    pub(super) fn is_tag(&self, token: Token) -> bool {
        self.tags.contains(&token)
    }

    fn options(request: &ChatRequest) -> RenderOptions {
        let tools = match request.tool_choice {
            ToolChoice::None => Vec::new(),
            ToolChoice::Auto | ToolChoice::Required | ToolChoice::Function(_) => request.tools.clone(),
        };
        let variables = request.variables.clone();
        RenderOptions { add_generation_prompt: true, tools, variables, now: SystemTime::now() }
    }

    /// A prompt that ends in the last message.
    fn continued(&self, messages: &[Message], options: &RenderOptions) -> Result<(Rendered, Start), Error> {
        let mut messages = messages.to_vec();
        let index = messages.len().checked_sub(1).ok_or(ContinueError::NotAssistant)?;
        let last = &mut messages[index];
        let tags = Tags::of(self.template.source());
        let text = prefill(last, tags)?;
        let rendered = self.template.conversation(&messages, options)?;
        let begin = if index == 0 { 0 } else { rendered.messages[index].unwrap_or(0) };
        let (text, is_reasoning) = match &text {
            Prefill::Content(text) => (text, false),
            Prefill::Reasoning(text) => (text, true),
        };
        let found = rendered.find_given(begin, text.trim()).ok_or(ContinueError::Altered)?;
        let tags = tags.unwrap_or(Tags::THINK);
        if is_reasoning && !rendered.text[..found].trim_end().ends_with(tags.open) {
            return Err(ContinueError::Altered.into());
        }
        let whole = text.trim_start();
        let kept = if rendered.text[found..].starts_with(whole) { whole } else { whole.trim_end() };
        let end = found + kept.len();
        let mut rendered = rendered;
        rendered.truncate(end);
        let start = if is_reasoning { Start::MidReasoning(tags) } else { Start::MidContent(tags) };
        Ok((rendered, start))
    }
}

/// The format of the calls that an answer may have, if the model chooses.
pub(super) fn offered(template: &Template, request: &ChatRequest) -> Option<ToolFormat> {
    let is_offered = request.tool_choice == ToolChoice::Auto;
    is_offered.then(|| template.tool_format(&request.tools)).flatten()
}

/// What makes the reasoning at the end of a prompt an empty block, or ends it there. Without a switch, templates leave it
/// to the model.
fn empty_block(start: Start) -> Option<String> {
    let Tags { open, close } = start.tags();
    match start {
        Start::Reasoning(_) => Some(close.to_owned()),
        Start::MidReasoning(_) => Some(format!("\n{close}")),
        Start::Unopened(_) => Some(format!("{open}{close}")),
        Start::Content(_) | Start::MidContent(_) => None,
    }
}

/// The bytes of the longest token.
fn longest(vocab: &dyn Vocab) -> usize {
    let mut text = Vec::new();
    let length = |token| {
        text.clear();
        vocab.write_any(token, &mut text);
        text.len()
    };
    all(vocab).map(length).max().unwrap_or(0)
}

/// The tokens that end an answer.
fn ends(vocab: &dyn Vocab) -> Arc<[Token]> {
    all(vocab).filter(|token| vocab.ends_answer(*token)).collect()
}

fn all(vocab: &dyn Vocab) -> impl Iterator<Item = Token> {
    (0..vocab.size()).filter_map(|number| i32::try_from(number).ok()).map(Token)
}

/// The token that a text stands for.
fn token(vocab: &dyn Vocab, text: &str) -> Option<Token> {
    <[Token; 1]>::try_from(vocab.tokenize(text, Markup::Parsed)).ok().map(|[token]| token)
}

/// The text of a message that is continued.
enum Prefill {
    Content(String),
    Reasoning(String),
}

/// Separates reasoning in the content of a message from it, and finds the text at its end.
fn prefill(message: &mut Message, tags: Option<Tags>) -> Result<Prefill, ContinueError> {
    if message.role != Role::Assistant {
        return Err(ContinueError::NotAssistant);
    }
    if !message.tool_calls.is_empty() {
        return Err(ContinueError::HasCalls);
    }
    let mut content = match &message.content {
        Content::Parts(parts) => {
            parts.last().and_then(|part| part.get("text")?.as_str()).unwrap_or_default().to_owned()
        }
        other => other.text(),
    };
    if let (Some(tags), None, Content::Text(text)) = (tags, &message.reasoning_content, &message.content)
        && let Some(rest) = text.trim_start().strip_prefix(tags.open)
    {
        let (reasoning, answer) = rest.split_once(tags.close).unwrap_or((rest, ""));
        let reasoning = reasoning.trim_start_matches('\n');
        let is_closed = rest.contains(tags.close);
        let reasoning = if is_closed { reasoning.trim_end_matches('\n') } else { reasoning };
        answer.trim_start_matches('\n').clone_into(&mut content);
        message.reasoning_content = Some(reasoning.to_owned());
        message.content = Content::Text(content.clone());
    }
    let reasoning = message.reasoning_content.clone().unwrap_or_default();
    if !content.trim().is_empty() {
        Ok(Prefill::Content(content))
    } else if !reasoning.trim().is_empty() {
        Ok(Prefill::Reasoning(reasoning))
    } else {
        Err(ContinueError::Empty)
    }
}

/// Where later prompts are likely to diverge from a prompt.
fn boundaries(messages: &[Message], prompt: &Rendered) -> Vec<usize> {
    let begin = |index: usize| prompt.messages.get(index).copied().flatten();
    let is_instruction = |message: &&Message| matches!(message.role, Role::System | Role::Developer);
    let instructions = messages.iter().take_while(is_instruction).count();
    let question = messages.iter().rposition(|message| message.role == Role::User);
    [begin(instructions), question.and_then(begin), prompt.answer].into_iter().flatten().collect()
}
