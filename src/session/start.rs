//! Starts answers: a request is prepared once, and submitted for each answer.

use std::mem;
use std::sync::Arc;

use super::Session;
use super::chat::Chat;
use super::error::Error;
use super::hooks::Watched;
use super::request::{ChatRequest, TextRequest, ToolCallIds};
use crate::chat::AnswerParser;
use crate::engine::{self, Reply, Request};

/// An answer that can be started. Clones share what may be large.
#[derive(Clone)]
struct Prepared {
    request: Request,
    parser: AnswerParser,
    /// Texts that end the answer, if they are found in its content instead of all its text.
    stop: Vec<String>,
    ids: ToolCallIds,
    /// Calls in the conversation so far.
    calls: usize,
    one_call: bool,
    /// The conversation, for hooks.
    conversation: Option<Arc<ChatRequest>>,
}

/// Whether a state of the prompt is restored first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Restoring {
    First,
    /// The same prompt has been submitted.
    Done,
}

impl Session {
    /// Starts an answer.
    ///
    /// # Errors
    ///
    /// When the conversation cannot be rendered, the choice of tools cannot be met, the reasoning budget message contains
    /// the closing tag, or the engine refuses the request.
    pub fn chat(&self, request: ChatRequest) -> Result<Chat, Error> {
        let prepared = self.prepared(request)?;
        self.start(prepared, Restoring::First)
    }

    /// Starts an answer with each of these seeds. The conversation is rendered and tokenized once.
    ///
    /// # Errors
    ///
    /// Those of [`Self::chat`].
    pub fn chats(&self, request: ChatRequest, seeds: &[u32]) -> Result<Vec<Chat>, Error> {
        let prepared = self.prepared(request)?;
        let start = |(index, &seed): (usize, &u32)| {
            let mut prepared = prepared.clone();
            prepared.request.sampling.seed = seed;
            self.start(prepared, if index == 0 { Restoring::First } else { Restoring::Done })
        };
        seeds.iter().enumerate().map(start).collect()
    }

    /// Starts the continuation of a text. All of it is content.
    ///
    /// # Errors
    ///
    /// When the text is too long, or the engine refuses the request.
    pub fn complete(&self, request: TextRequest) -> Result<Chat, Error> {
        self.prompts.check_text(&request.prompt)?;
        let request = self.text_request(request);
        let (reply, watched) = self.submit(request, None, Restoring::First)?;
        Ok(Chat::new(reply, None, ToolCallIds::Counted, 0).watched(watched))
    }

    fn prepared(&self, request: ChatRequest) -> Result<Prepared, Error> {
        let ids = request.tool_call_ids.clone();
        let calls = request.messages.iter().map(|message| message.tool_calls.len()).sum();
        let conversation = self.hooks.as_ref().map(|_| Arc::new(request.clone()));
        let one_call = !request.parallel_tool_calls;
        let (mut request, parser) = self.prepare(request)?;
        engine::check_stops(&request.stop)?;
        let stop = if parser.has_headers() { mem::take(&mut request.stop) } else { Vec::new() };
        Ok(Prepared { request, parser, stop, ids, calls, one_call, conversation })
    }

    fn start(&self, prepared: Prepared, restoring: Restoring) -> Result<Chat, Error> {
        let Prepared { request, parser, stop, ids, calls, one_call, conversation } = prepared;
        let (reply, watched) = self.submit(request, conversation, restoring)?;
        let chat = Chat::new(reply, Some(parser), ids, calls);
        Ok(chat.with_stops(stop).with_one_call(one_call).watched(watched))
    }

    /// Submits a request, after the hook that restores the beginning of its prompt.
    fn submit(
        &self,
        request: Request,
        conversation: Option<Arc<ChatRequest>>,
        restoring: Restoring,
    ) -> Result<(Reply, Option<Watched>), engine::Error> {
        let Some(hooks) = &self.hooks else { return Ok((self.submitter.submit(request)?, None)) };
        let tokens = Arc::clone(&request.prompt);
        // A request that cannot be answered restores nothing.
        let prepared = self.submitter.prepare(request)?;
        if restoring == Restoring::First {
            (hooks.before)(prepared.prompt());
        }
        let watched = Watched::new(hooks.clone(), conversation, prepared.prompt().namespace, tokens);
        Ok((self.submitter.submit_prepared(prepared)?, Some(watched)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Message, Role, Template};
    use crate::engine::scripted::ByteVocab;
    use crate::engine::{Grammar, Rules, SamplingParams, Submitter};
    use crate::session::Hooks;

    #[test]
    fn answers_with_other_seeds_share_the_prompt_the_rules_and_the_conversation() {
        let template = Template::parse("{{ messages[0].content }}", "", "").unwrap();
        let hooks = Hooks { before: Arc::new(|_| {}), after: Arc::new(|_| {}) };
        let session =
            Session::new(Submitter::disconnected(), Arc::new(ByteVocab), template).with_hooks(hooks);
        let grammar = Grammar { rules: Rules::JsonSchema("{}".to_owned()).into(), after: None };
        let sampling = SamplingParams { grammar: Some(grammar), ..SamplingParams::greedy() };
        let request = ChatRequest::new(vec![Message::new(Role::User, "hi")], sampling);
        let one = session.prepared(request).ok().unwrap();
        let other = one.clone();
        assert!(Arc::ptr_eq(&one.request.prompt, &other.request.prompt));
        assert!(Arc::ptr_eq(one.conversation.as_ref().unwrap(), other.conversation.as_ref().unwrap()));
        let [one, other] = [one, other].map(|prepared| prepared.request.sampling.grammar.unwrap().rules);
        assert!(Arc::ptr_eq(&one, &other));
    }
}
