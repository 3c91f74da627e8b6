//! Text to tokens and back, and prompts as text.

use super::Session;
use super::error::Error;
use super::request::ChatRequest;
use crate::engine::{self, Markup, Token};

impl Session {
    /// Tokens of the vocabulary.
    #[must_use]
    pub fn vocabulary(&self) -> u32 {
        self.prompts.vocab.size()
    }

    /// The token that began every text in training, if there is one.
    #[must_use]
    pub fn first_token(&self) -> Option<Token> {
        self.prompts.vocab.first()
    }

    /// The tokens that end an answer.
    #[must_use]
    pub fn ends(&self) -> &[Token] {
        &self.prompts.ends
    }

    /// The tokens of a text, with none added. With [`Markup::Parsed`], the text of a control token is that token.
    ///
    /// # Errors
    ///
    /// When there are more than [`engine::COUNTED`] contexts of tokens.
    pub fn tokenize(&self, text: &str, markup: Markup) -> Result<Vec<Token>, engine::Error> {
        self.prompts.check_length(text)?;
        let most = self.prompts.most();
        let tokens = self.prompts.tokenized(text, markup, most);
        if tokens.len() > most {
            let context = self.submitter.context();
            return Err(engine::Error::PromptTooLong { tokens: tokens.len(), context });
        }
        Ok(tokens)
    }

    /// The text of tokens of the vocabulary as bytes, with that of control tokens.
    #[must_use]
    pub fn bytes(&self, tokens: &[Token]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for token in tokens {
            self.prompts.vocab.write_any(*token, &mut bytes);
        }
        bytes
    }

    /// The same as text. Bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn detokenize(&self, tokens: &[Token]) -> String {
        String::from_utf8_lossy(&self.bytes(tokens)).into_owned()
    }

    /// The messages of a conversation as text, without the beginning of an answer.
    ///
    /// # Errors
    ///
    /// When they cannot be rendered.
    pub fn render_messages(&self, request: &ChatRequest) -> Result<String, Error> {
        self.prompts.rendered_messages(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Message, Role, Template};
    use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
    use crate::engine::{Caps, SamplingParams, channel};
    use crate::session::{GenerationOptions, ReasoningMode};
    use std::sync::Arc;

    fn session(template: &str) -> Session {
        let caps =
            Caps { sequences: 1, context: 16, batch: 16, can_trim: true, can_cache: true, can_copy: true };
        let (submitter, _) = channel(&ScriptedDecoder::saying(caps, ""), &ByteVocab);
        Session::new(submitter, Arc::new(ByteVocab), Template::parse(template, "", "").unwrap())
    }

    #[test]
    fn a_text_has_its_tokens_and_they_have_its_text() {
        let session = session("");
        let tokens = session.tokenize("a é", Markup::Parsed).unwrap();
        assert_eq!(tokens, [97, 32, 0xc3, 0xa9].map(Token));
        assert_eq!(session.bytes(&tokens), "a é".as_bytes());
        assert_eq!(session.bytes(&[]), [0; 0]);
        assert_eq!((session.vocabulary(), session.first_token()), (257, None));
        assert_eq!(session.ends(), [ByteVocab::END]);
    }

    #[test]
    fn a_text_of_more_than_two_contexts_is_refused() {
        assert_eq!(session("").tokenize(&"a".repeat(32), Markup::Parsed).map(|tokens| tokens.len()), Ok(32));
        let error = engine::Error::PromptTooLong { tokens: 33, context: 16 };
        assert_eq!(session("").tokenize(&"a".repeat(33), Markup::Plain), Err(error));
    }

    #[test]
    fn a_prompt_is_rendered_with_or_without_the_beginning_of_an_answer() {
        let template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}\
                        {% if add_generation_prompt %}<assistant>{% endif %}";
        let messages = vec![Message::new(Role::User, "hi"), Message::new(Role::Assistant, "ho")];
        let mut request = ChatRequest::new(messages, SamplingParams::greedy());
        let session = session(template);
        assert_eq!(session.rendered(&request).unwrap(), "<user>hi<assistant>ho<assistant>");
        assert_eq!(session.render_messages(&request).unwrap(), "<user>hi<assistant>ho");
        request.continue_final = true;
        assert_eq!(session.rendered(&request).unwrap(), "<user>hi<assistant>ho");
    }

    #[test]
    fn reasoning_that_is_off_is_an_empty_block_where_the_template_has_no_switch() {
        for (template, prompt) in [
            ("a<think>\n{# </think> #}", "a<think>\n</think>\n\n"),
            ("a{# <|START_THINKING|><|END_THINKING|> #}", "a<|START_THINKING|><|END_THINKING|>\n\n"),
            ("a{% if enable_thinking %}<think>{% endif %}{# </think> #}", "a"),
            ("a{% if not enable_thinking %}<think></think>{% endif %}", "a<think></think>"),
            ("a", "a"),
        ] {
            let options =
                GenerationOptions { reasoning: Some(ReasoningMode::Off), ..GenerationOptions::default() };
            let request = options.chat_request(vec![Message::new(Role::User, "")], 0);
            assert_eq!(session(template).rendered(&request).unwrap(), prompt);
        }
    }
}
