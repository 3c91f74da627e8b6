//! From a conversation to an answer, on scripts.

use super::*;
use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
use crate::engine::{Caps, FinishReason, Limits, SamplingParams, channel, run};
use std::thread;

fn session(template: &str, answer: &str) -> Session {
    let caps = Caps { sequences: 2, context: 256, batch: 16, can_trim: true, can_keep: true, can_copy: true };
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
    assert_eq!((usage.total.completion_tokens, usage.reasoning_tokens, usage.answer_tokens()), (17, 11, 6));
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
    let call =
        |name: &str| format!("<tool_call>{{\"name\": \"{name}\", \"arguments\": {{\"a\": 1}}}}</tool_call>");
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
