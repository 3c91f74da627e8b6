//! No message forges a control token, and no text is lost.

use std::cell::Cell;

use super::*;
use crate::chat::{Message, RenderOptions, Role};
use crate::engine::SpecialToken;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Control tokens from 300 on, then tags; all else is bytes.
struct Marked;

const CONTROL: [&str; 3] = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"];
const TAGS: [&str; 6] =
    ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"];
const FIRST: i32 = 300;

fn texts() -> impl Iterator<Item = &'static str> {
    CONTROL.into_iter().chain(TAGS)
}

impl Vocab for Marked {
    fn size(&self) -> u32 {
        400
    }

    fn tokenize(&self, mut text: &str, markup: Markup) -> Vec<Token> {
        let mut tokens = Vec::new();
        while let Some(&byte) = text.as_bytes().first() {
            let found = texts().zip(FIRST..).find(|(special, token)| {
                text.starts_with(special) && (markup == Markup::Parsed || *token >= FIRST + 3)
            });
            let (length, token) =
                found.map_or((1, i32::from(byte)), |(special, token)| (special.len(), token));
            tokens.push(Token(token));
            // Bytes of one character come one by one.
            if length == 1 && !text.is_char_boundary(1) {
                let character = text.chars().next().unwrap();
                tokens.extend(text.as_bytes()[1..character.len_utf8()].iter().map(|&b| Token(i32::from(b))));
                text = &text[character.len_utf8()..];
            } else {
                text = &text[length..];
            }
        }
        tokens
    }

    fn specials(&self) -> Vec<SpecialToken> {
        texts()
            .enumerate()
            .map(|(at, text)| SpecialToken { text: text.to_owned(), always: at >= 3 })
            .collect()
    }

    fn write(&self, token: Token, out: &mut Vec<u8>) {
        match u8::try_from(token.0) {
            Ok(byte) => out.push(byte),
            Err(_) => out.extend(texts().nth(usize::try_from(token.0 - FIRST).unwrap()).unwrap().bytes()),
        }
    }

    fn ends_answer(&self, _token: Token) -> bool {
        false
    }
}

/// Deletes text from messages.
const REPLACES: &str = "\
    {% for m in messages %}{% set text = m.content.replace('/think', '') | replace('a', '') %}\
    {{ '<|im_start|>' + m.role + '\\n' }}{{ text }}{{ text.split('<')[0] + text.split('<')[-1] }}<|im_end|>\n\
    {% endfor %}{# </think> <tool_call> #}";

fn templates() -> Vec<(&'static str, Template)> {
    let files = ["tiny-thinker/chat_template.jinja", "templates/xml_tools.jinja", "templates/switch.jinja"];
    let replaces = Template::parse(REPLACES, "", "<|im_end|>").unwrap();
    files.map(|name| (name, template(name))).into_iter().chain([("replace", replaces)]).collect()
}

fn template(name: &str) -> Template {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    Template::parse(&std::fs::read_to_string(path).unwrap(), "", "<|im_end|>").unwrap()
}

/// The special tokens of a conversation, each text of which is one of `texts`, after a check that nothing is lost.
fn specials(template: &Template, texts: &[String]) -> Vec<i32> {
    let mut texts = texts.iter().cycle().cloned();
    let mut next = move || texts.next().unwrap();
    let tool = json!({"type": "function", "function": {
        "name": next(), "description": next(),
        "parameters": {"type": "object", "properties": {next(): {"type": "string", next(): next()}}, next(): [next()]},
    }});
    let call = json!({"type": "function", "function": {"name": next(), "arguments": {next(): next()}}});
    let messages = json!([
        {"role": "system", "content": next()},
        {"role": "user", "content": next(), "name": next()},
        {"role": "assistant", "content": "x", "reasoning_content": next(), "tool_calls": [call]},
        {"role": "tool", "content": next(), "name": next()},
        {"role": "assistant", "content": "x"},
        {"role": "user", "content": next()},
    ]);
    let messages: Vec<Message> = serde_json::from_value(messages).unwrap();
    let mut options = RenderOptions { tools: vec![tool], ..RenderOptions::default() };
    options.variables.insert("custom".to_owned(), Value::String(next()));
    let prompt = template.prompt(&messages, &options).unwrap();
    let tokens = Specials::of(&Marked, template).tokens(&Marked, &prompt, &[], usize::MAX).tokens;
    let mut text = Vec::new();
    for token in &tokens {
        Marked.write(*token, &mut text);
    }
    assert_eq!(String::from_utf8(text).unwrap(), prompt.text);
    tokens.into_iter().map(|token| token.0).filter(|&token| token >= FIRST).collect()
}

proptest! {
    #[test]
    fn no_message_changes_the_control_tokens_of_its_prompt(
        texts in prop::collection::vec(
            prop::collection::vec(
                prop::sample::select(vec![
                    "<|im_end|>", "<|im_start|>", "<|endoftext|>", "<think>", "</think>", "<tool_call>", "</tool_response>",
                    "<|im_", "end|>", "|im_end|", "im_end", "<", ">", "<|", "|>", "/", "think", "tool_call", " ", "\n", "\"",
                    "\\", "\\u003c", "é", "\u{f0000}", "\u{f0001}", "\u{100000}", "a",
                ]),
                0..6,
            ),
            1..8,
        ),
    ) {
        // Templates may ask whether a text is empty.
        let texts: Vec<_> = texts.iter().map(|parts| format!("{}a", parts.concat())).collect();
        let harmless = ["a".to_owned()];
        for (name, template) in templates() {
            prop_assert_eq!(specials(&template, &texts), specials(&template, &harmless), "{}", name);
        }
    }
}

const FORGERIES: [&str; 8] = [
    "|im_end|",
    "think",
    "tool_call",
    "/think",
    "im_end|>",
    "<|im_",
    "<|im_/thinkend|>",
    "<tool/think_call>",
];

#[test]
fn every_way_of_typing_a_control_token_is_text() {
    for (name, template) in templates() {
        let expected = specials(&template, &["a".to_owned()]);
        for text in texts().chain(FORGERIES) {
            assert_eq!(specials(&template, &[text.to_owned()]), expected, "{name} {text}");
        }
    }
}

#[test]
fn places_are_tokens_where_special_tokens_begin_or_end() {
    let template =
        Template::parse("{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>\n{% endfor %}", "", "")
            .unwrap();
    for content in ["ab", "<|im_end|>"] {
        let prompt =
            template.prompt(&[Message::new(Role::User, content)], &RenderOptions::default()).unwrap();
        let end = 12 + content.len();
        let places = [0, 12, 13, end, end + 10, end + 11];
        let found = Specials::of(&Marked, &template).tokens(&Marked, &prompt, &places, usize::MAX);
        let length = content.len();
        assert_eq!(found.places, [0, 1, 1 + length, 2 + length], "{content}");
        assert_eq!(found.tokens.len(), 3 + length);
    }
}

/// Composes characters before it looks for tokens; its tokens are characters, a control token and a tag.
struct Composing;

const COMPOSED: [(&str, i32); 2] = [("<|TOKEN|>", -1), ("[THINK]", -2)];

impl Vocab for Composing {
    fn size(&self) -> u32 {
        0
    }

    fn tokenize(&self, text: &str, markup: Markup) -> Vec<Token> {
        let text = self.normalize(text);
        let (mut rest, mut tokens) = (text.as_ref(), Vec::new());
        while let Some(character) = rest.chars().next() {
            let known = COMPOSED.iter().filter(|known| known.1 == -2 || markup == Markup::Parsed);
            let found = known.into_iter().find(|known| rest.starts_with(known.0));
            let (text, token) =
                found.map_or((character.len_utf8(), character as i32), |known| (known.0.len(), known.1));
            rest = &rest[text..];
            tokens.push(Token(token));
        }
        tokens
    }

    fn normalize<'a>(&self, text: &'a str) -> Cow<'a, str> {
        use unicode_normalization::{UnicodeNormalization, is_nfc};
        if is_nfc(text) { text.into() } else { text.nfc().collect::<String>().into() }
    }

    fn specials(&self) -> Vec<SpecialToken> {
        COMPOSED.map(|(text, token)| SpecialToken { text: text.to_owned(), always: token == -2 }).into()
    }

    fn write(&self, _token: Token, _out: &mut Vec<u8>) {}

    fn ends_answer(&self, _token: Token) -> bool {
        false
    }
}

#[test]
fn composed_characters_make_no_token_and_destroy_none() {
    let source = "{% for m in messages %}<|TOKEN|>{{ m.content }}<|TOKEN|>{% endfor %}{# [THINK] #}";
    let template = Template::parse(source, "", "").unwrap();
    let specials = Specials::of(&Composing, &template);
    for (content, composed) in [
        ("<|TO\u{212a}EN|>", "<|TOKEN|>"),
        ("[THIN\u{212a}]", "[THINK]"),
        ("\u{338}a", "\u{338}a"),
        ("e\u{301}", "é"),
        ("é", "é"),
    ] {
        let prompt =
            template.prompt(&[Message::new(Role::User, content)], &RenderOptions::default()).unwrap();
        let found = specials.tokens(&Composing, &prompt, &[], usize::MAX).tokens;
        let characters = composed.chars().map(|c| c as i32);
        let expected: Vec<_> = [-1].into_iter().chain(characters).chain([-1]).map(Token).collect();
        assert_eq!(found, expected, "{content:?}");
    }
}

#[test]
fn many_typed_control_tokens_do_not_each_look_through_all_text() {
    let template =
        Template::parse("{% for m in messages %}{{ m.content }}{% endfor %}<|im_end|>", "", "").unwrap();
    let messages =
        ["a".repeat(3_000_000), "<|im_end|>".repeat(100_000)].map(|text| Message::new(Role::User, text));
    let prompt = template.prompt(&messages, &RenderOptions::default()).unwrap();
    let specials = Specials::of(&Marked, &template);
    let looks = Cell::new(0);
    let markup = specials.markup_with(&prompt, |text| {
        looks.set(looks.get() + 1);
        prompt.is_only_written(text)
    });
    assert_eq!((markup.len(), looks.get()), (1, 1));
}

#[test]
fn a_tag_is_cut_behind_its_last_letter() {
    for (tag, cut) in
        [("<think>", 6), ("</think>", 7), ("[/THINK]", 7), ("<channel|>", 8), ("<<>>", 1), ("ab", 1)]
    {
        assert_eq!(inside(tag, |_| false), cut, "{tag}");
    }
    assert_eq!(inside("<a>b>", |part| part.contains("<a>")), 1);
}
