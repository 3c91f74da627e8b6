//! From a conversation to an answer, on scripts.

use super::*;
use crate::chat::{Message, Role};
use crate::engine::deadline::Deadline;
use crate::engine::scripted::{ByteVocab, ScriptedDecoder};
use crate::engine::{Caps, FinishReason, Limits, Markup, Rules, SamplingParams, channel, run};
use std::thread;

mod channels;

fn session(template: &str, answer: &str) -> Session {
    let caps =
        Caps { sequences: 2, context: 256, batch: 16, can_trim: true, can_cache: true, can_copy: true };
    let decoder = ScriptedDecoder::saying(caps, answer);
    let (submitter, inbox) = channel(&decoder, &ByteVocab);
    thread::spawn(move || run(decoder, ByteVocab, &inbox, Limits::of(caps)));
    Session::new(submitter, Arc::new(ByteVocab), Template::parse(template, "", "").unwrap())
}

fn ask(session: &Session, change: impl FnOnce(&mut ChatRequest)) -> (String, String, ChatEvent) {
    let mut request = ChatRequest::new(vec![Message::new(Role::User, "")], SamplingParams::greedy());
    change(&mut request);
    let _deadline = Deadline::start();
    let (mut reasoning, mut content) = (String::new(), String::new());
    let mut chat = session.chat(request).unwrap();
    loop {
        match chat.next().expect("a terminal event comes before the end") {
            ChatEvent::Reasoning(text) => reasoning += &text,
            ChatEvent::Content(text) => content += &text,
            ChatEvent::ToolCall(call) => content += &serde_json::to_string(&call).unwrap(),
            ChatEvent::Progress { .. } => {}
            terminal => {
                assert_eq!(chat.next(), None);
                return (reasoning, content, terminal);
            }
        }
    }
}

const REASONING: &str = "{{ messages[0].content }}<think>\n";

#[test]
fn reasoning_is_parted_from_the_content_and_counted_apart() {
    let session = session(REASONING, "hm\n</think>\n\nyes");
    let (reasoning, content, end) = ask(&session, |_| {});
    assert_eq!((reasoning.as_str(), content.as_str()), ("hm", "yes"));
    let ChatEvent::Finished { reason, usage, .. } = end else { panic!("{end:?}") };
    assert_eq!(reason, FinishReason::Stop);
    assert_eq!((usage.total.completion_tokens, usage.reasoning_tokens, usage.answer_tokens()), (17, 11, 6));
}

#[test]
fn reasoning_is_counted_with_and_without_an_opening_tag() {
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
        let expected = if tokens == 0 { "" } else { "hm" };
        assert_eq!((reasoning.as_str(), content.as_str()), (expected, "yes"), "{template} {answer}");
        let ChatEvent::Finished { usage, .. } = end else { panic!("{end:?}") };
        assert_eq!((usage.reasoning_tokens, usage.answer_tokens()), (tokens, 4), "{template} {answer}");
    }
}

#[test]
fn without_reasoning_a_plain_answer_is_content_whole() {
    for template in
        ["x{% if false %}</think>{% endif %}", "x{% if enable_thinking %}</think>{% endif %}", "x"]
    {
        let session = session(template, "one\ntwo");
        let (reasoning, content, end) = ask(&session, |request| {
            request.reasoning_budget = Some(0);
            request.reasoning_budget_message = "Enough.".to_owned();
        });
        assert_eq!((reasoning.as_str(), content.as_str()), ("", "one\ntwo"), "{template}");
        let ChatEvent::Finished { usage, .. } = end else { panic!("{end:?}") };
        assert_eq!((usage.reasoning_tokens, usage.answer_tokens()), (0, 8), "{template}");
    }
}

#[test]
fn calls_come_whole_with_ids_that_are_new_in_the_conversation() {
    let template =
        "<tool_call> arguments{% for call in messages[0].tool_calls %}{{ call.function.name }}{% endfor %}";
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
fn without_parallel_calls_an_answer_ends_after_its_first() {
    let call = "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>";
    let session = session("x{# <tool_call> arguments #}", &format!("Look:\n{call}\n{call}\nand more"));
    let tool = serde_json::json!({"type": "function", "function": {"name": "f"}});
    let ask = |parallel: bool| {
        ask(&session, |request| {
            request.tools = vec![tool.clone()];
            request.parallel_tool_calls = parallel;
        })
    };
    let (_, all, _) = ask(true);
    assert!(all.ends_with("and more") && all.matches("call_").count() == 2, "{all}");
    let (_, one, end) = ask(false);
    assert!(one.starts_with("Look:{") && one.matches("call_").count() == 1 && one.ends_with('}'), "{one}");
    assert!(matches!(end, ChatEvent::Finished { reason: FinishReason::Stop, .. }), "{end:?}");
}

#[test]
fn a_text_begins_with_the_first_token_once() {
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
    session.prompts.vocab = Arc::new(Begun);
    assert_eq!((session.count_text("x"), session.count_text("^x")), (2, 2));
    let request = |prompt: &str| {
        let (prompt, sampling) = (prompt.to_owned().into(), SamplingParams::greedy());
        TextRequest { prompt, sampling, max_tokens: None, stop: Vec::new() }
    };
    let _deadline = Deadline::start();
    let read = |mut chat: Chat| loop {
        if let Some(ChatEvent::Finished { usage, .. }) = chat.next() {
            return usage.total.prompt_tokens;
        }
    };
    assert_eq!(read(session.complete(request("x")).unwrap()), 2);
    let turn = ChatRequest::new(vec![Message::new(Role::User, "x")], SamplingParams::greedy());
    assert_eq!(session.count(&turn).unwrap(), 1, "a template writes the first token itself");
    let tokens = |parts: &[PromptPart]| {
        let request = TextRequest { prompt: PromptText(parts.to_vec()), ..request("") };
        session.text_request(request).prompt.to_vec()
    };
    let (text, ids) = (PromptPart::Text("x".to_owned()), PromptPart::Tokens(vec![Token(1), Token(2)]));
    let x = Token(i32::from(b'x'));
    assert_eq!(tokens(std::slice::from_ref(&ids)), [Token(1), Token(2)], "tokens are the whole prompt");
    assert_eq!(tokens(&[ids.clone(), text.clone()]), [Token(1), Token(2), x]);
    assert_eq!(tokens(&[text, ids]), [Token(i32::from(b'^')), x, Token(1), Token(2)]);
}

#[test]
fn tokens_that_are_unknown_or_too_many_are_refused_by_number() {
    let session = session("{{ messages[0].content }}", "y");
    let complete = |tokens: Vec<Token>| {
        let prompt = PromptText(vec![PromptPart::Tokens(tokens)]);
        let request =
            TextRequest { prompt, sampling: SamplingParams::greedy(), max_tokens: Some(1), stop: vec![] };
        match session.complete(request) {
            Ok(_) => None,
            Err(Error::Engine(error)) => Some(error),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(complete(vec![Token(256)]), None);
    let unknown = |token, position| Some(engine::Error::TokenUnknown { token, position, size: 257 });
    assert_eq!(complete(vec![Token(7), Token(257)]), unknown(257, 1));
    assert_eq!(complete(vec![Token(-1)]), unknown(-1, 0));
    assert_eq!(complete(vec![]), Some(engine::Error::PromptEmpty));
    let long = Some(engine::Error::PromptTooLong { tokens: 700, context: 256 });
    assert_eq!(complete(vec![Token(-1); 700]), long);
}

#[test]
fn tokens_are_shown_with_the_texts_of_control_tokens() {
    let session = session("x", "y");
    let text: Vec<Token> = ByteVocab.tokenize("h\u{e9}", Markup::Plain);
    assert_eq!(session.detokenize(&text), "h\u{e9}");
    assert_eq!(session.detokenize(&text[..2]), "h\u{fffd}");
}

#[test]
fn a_stop_string_ends_the_answer_and_is_not_part_of_it() {
    let (_, content, end) = ask(&session("x", "one. two. three."), |r| r.stop = vec![". th".into()]);
    assert_eq!(content, "one. two");
    assert!(matches!(end, ChatEvent::Finished { reason: FinishReason::StopString(0), .. }), "{end:?}");
}

#[test]
fn a_limit_gives_out_the_text_that_was_held_back() {
    let (reasoning, content, end) = ask(&session(REASONING, "a</think>"), |r| r.max_tokens = Some(5));
    assert_eq!((reasoning.as_str(), content.as_str()), ("a</th", ""));
    assert!(matches!(end, ChatEvent::Finished { reason: FinishReason::Length, .. }), "{end:?}");
}

#[test]
fn a_prompt_that_is_too_long_fails_by_name() {
    let session = session("{{ 'x' * 300 }}", "y");
    let request = ChatRequest::new(vec![Message::new(Role::User, "")], SamplingParams::greedy());
    let Err(Error::Engine(error)) = session.chat(request) else { panic!("the prompt is accepted") };
    assert_eq!(error, engine::Error::PromptTooLong { tokens: 300, context: 256 });
}

#[test]
fn a_prompt_far_beyond_the_context_is_not_tokenised() {
    let mut session = session("{{ messages[0].content }}", "y");
    let vocab = Arc::new(Recorded::default());
    session.prompts.vocab = Arc::clone(&vocab) as Arc<dyn Vocab + Send + Sync>;
    let text = "x".repeat(600);
    let conversation = ChatRequest::new(vec![Message::new(Role::User, &text)], SamplingParams::greedy());
    let sampling = SamplingParams::greedy();
    let continued = TextRequest { prompt: text.into(), sampling, max_tokens: None, stop: Vec::new() };
    for refused in [session.chat(conversation.clone()), session.complete(continued)] {
        let Err(Error::Engine(error)) = refused else { panic!("the prompt is accepted") };
        assert_eq!(error, engine::Error::PromptTooLong { tokens: 600, context: 256 });
        assert!(error.to_string().starts_with("the prompt has at least 600 tokens"), "{error}");
    }
    assert!(!vocab.0.lock().unwrap().iter().any(|text| text.contains("xx")));
    assert_eq!(session.count(&conversation).unwrap(), 600);
}

#[test]
fn a_refusal_of_the_template_is_an_error() {
    let session = session("{{ raise_exception('no') }}", "y");
    let request = ChatRequest::new(vec![], SamplingParams::greedy());
    assert!(matches!(session.chat(request), Err(Error::Template(_))));
}

/// Records the tokenized texts.
#[derive(Default)]
struct Recorded(std::sync::Mutex<Vec<String>>);

impl Vocab for Recorded {
    fn size(&self) -> u32 {
        ByteVocab.size()
    }

    fn tokenize(&self, text: &str, markup: Markup) -> Vec<Token> {
        self.0.lock().unwrap().push(text.to_owned());
        ByteVocab.tokenize(text, markup)
    }

    fn write(&self, token: Token, out: &mut Vec<u8>) {
        ByteVocab.write(token, out);
    }

    fn ends_answer(&self, token: Token) -> bool {
        ByteVocab.ends_answer(token)
    }
}

#[test]
fn a_prompt_is_rendered_once_and_tokenised_once_with_its_boundaries() {
    let template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[end]{% endif %}";
    let mut session = session(template, "y");
    let vocab = Arc::new(Recorded::default());
    session.prompts.vocab = Arc::clone(&vocab) as Arc<dyn Vocab + Send + Sync>;
    let messages =
        [Role::System, Role::User, Role::Assistant, Role::User].map(|role| Message::new(role, "hello"));
    let request = ChatRequest::new(messages.to_vec(), SamplingParams::greedy());
    let tokenised = || vocab.0.lock().unwrap().drain(..).filter(|text| text.contains("hello")).count();
    let renders = || session.template().renders();
    session.chat(request.clone()).unwrap().for_each(drop);
    assert_eq!((renders(), tokenised()), (1, 1));
    session.count(&request).unwrap();
    assert_eq!((renders(), tokenised()), (2, 1));
    session.save(&request).ok();
    assert_eq!((renders(), tokenised()), (3, 1));
    let chats = session.chats(request, &[1, 2, 3]).unwrap();
    assert_eq!((chats.len(), renders(), tokenised()), (3, 4, 1));
    let answers: Vec<_> = chats
        .into_iter()
        .map(|chat| chat.collect(|_| Ok::<(), engine::Error>(())).unwrap().content)
        .collect();
    assert_eq!(answers, ["y"; 3]);
}

#[test]
fn calls_have_the_ids_that_the_caller_supplies() {
    let call = "<tool_call>{\"name\": \"f\"}</tool_call>";
    let session = session("<tool_call> arguments", &format!("{call}{call}"));
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(7));
    let mut request = ChatRequest::new(vec![Message::new(Role::User, "")], SamplingParams::greedy());
    request.tools = vec![serde_json::json!({"name": "f"})];
    request.tool_call_ids = ToolCallIds::Supplied(Arc::new(move || {
        format!("id-{}", count.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }));
    let ids = session.chat(request).unwrap().filter_map(|event| match event {
        ChatEvent::ToolCall(call) => call.id,
        _ => None,
    });
    assert_eq!(ids.collect::<Vec<_>>(), ["id-7", "id-8"]);
}

#[test]
fn a_choice_of_tools_that_cannot_be_met_is_refused_by_name() {
    let tools = vec![serde_json::json!({"type": "function", "function": {"name": "f"}})];
    let grammar = Grammar { rules: Rules::Gbnf("root ::= \"a\"".to_owned()).into(), after: None };
    let function = |name: &str| ToolChoice::Function(name.to_owned());
    for (template, tools, choice, grammar, expected) in [
        ("<tool_call> arguments", &[][..], ToolChoice::Required, None, ToolChoiceError::NoTools),
        ("plain", &tools, ToolChoice::Required, None, ToolChoiceError::UnknownSyntax),
        (
            "<tool_call> arguments",
            &tools,
            function("g"),
            None,
            ToolChoiceError::UnknownFunction { name: "g".into() },
        ),
        ("<tool_call> arguments", &tools, function("f"), Some(grammar), ToolChoiceError::Grammar),
    ] {
        let mut request = ChatRequest::new(vec![Message::new(Role::User, "hi")], SamplingParams::greedy());
        (request.tools, request.tool_choice, request.sampling.grammar) = (tools.to_vec(), choice, grammar);
        let error = session(template, "y").chat(request).unwrap_err();
        assert!(error.to_string().contains("`tool_choice`"), "{error}");
        assert!(matches!(&error, Error::ToolChoice(found) if *found == expected), "{error:?}");
    }
}

#[test]
fn one_required_call_is_the_only_one_if_calls_are_not_parallel() {
    let session = session("<tool_call> arguments", "");
    let root = |parallel_tool_calls, tool_choice| {
        let mut request = ChatRequest::new(Vec::new(), SamplingParams::greedy());
        request.tools = vec![serde_json::json!({"type": "function", "function": {"name": "f"}})];
        (request.parallel_tool_calls, request.tool_choice) = (parallel_tool_calls, tool_choice);
        let rules = session.forced_call(&request).unwrap();
        let Some(Rules::Composed { lark, .. }) = rules else { panic!("{rules:?}") };
        lark.lines().next().unwrap().to_owned()
    };
    assert_eq!(root(true, ToolChoice::Required), "start: call (\"\\n\" call)*");
    assert_eq!(root(false, ToolChoice::Required), "start: call");
    assert_eq!(root(false, ToolChoice::Function("f".to_owned())), "start: call");
}

fn schema() -> Grammar {
    Grammar { rules: Rules::JsonSchema("{}".to_owned()).into(), after: None }
}

#[test]
fn beside_a_schema_the_model_may_call_the_functions_it_is_offered() {
    let hermes = "<tool_call> arguments{# </think> #}";
    let start = |template: &str, change: &dyn Fn(&mut ChatRequest)| {
        let mut request = ChatRequest::new(vec![Message::new(Role::User, "")], SamplingParams::greedy());
        request.tools = vec![serde_json::json!({"type": "function", "function": {"name": "f"}})];
        request.sampling.grammar = Some(schema());
        change(&mut request);
        let Grammar { rules, after } =
            session(template, "").chat_request(request).unwrap().sampling.grammar.unwrap();
        let block = after.map(|Block { open, close, headers }| (open, close, headers.len()));
        assert_eq!(
            block,
            template.contains("</think>").then(|| (Some("<think>".into()), "</think>".into(), 0))
        );
        match &*rules {
            Rules::Composed { lark, .. } => lark.lines().next().unwrap().to_owned(),
            rules => format!("{rules:?}"),
        }
    };
    assert_eq!(start(hermes, &|_| {}), "start: call (\"\\n\" call)* | @content");
    assert_eq!(start(hermes, &|r| r.parallel_tool_calls = false), "start: call | @content");
    let alone = "JsonSchema(\"{}\")";
    assert_eq!(start(hermes, &|r| r.tool_choice = ToolChoice::None), alone);
    assert_eq!(start(hermes, &|r| r.tools.clear()), alone);
    assert_eq!(start("plain", &|_| {}), alone);
    // A grammar may have calls of its own.
    let grammar = Grammar { rules: Rules::Gbnf("root ::= [a]".to_owned()).into(), after: None };
    let change = |r: &mut ChatRequest| r.sampling.grammar = Some(grammar.clone());
    assert_eq!(start(hermes, &change), "Gbnf(\"root ::= [a]\")");
}

#[test]
fn a_function_that_cannot_be_called_beside_a_schema_is_refused_by_name() {
    let mut request = ChatRequest::new(vec![Message::new(Role::User, "")], SamplingParams::greedy());
    request.tools = vec![serde_json::json!({"name": "two words"})];
    request.sampling.grammar = Some(schema());
    let session = session("[TOOL_CALLS] [ARGS]", "y");
    let error = session.chat(request).unwrap_err();
    assert!(matches!(error, Error::ToolChoice(ToolChoiceError::Unwritable(_))), "{error:?}");
    assert!(error.to_string().contains("`tools`") && error.to_string().contains("`two words`"), "{error}");
}

#[test]
fn reasoning_that_is_off_and_continued_is_closed() {
    let mut message = Message::new(Role::Assistant, "");
    message.reasoning_content = Some("hm".to_owned());
    let mut request =
        ChatRequest::new(vec![Message::new(Role::User, "hi"), message], SamplingParams::greedy());
    (request.continue_final, request.empty_reasoning) = (true, true);
    let session = session(TURNS, "yes</think>");
    let (prepared, mut parser) = session.prepare(request).unwrap();
    let prompt = session.detokenize(&prepared.prompt);
    assert!(prompt.ends_with("<think>\nhm\n</think>\n\n"), "{prompt}");
    let content = [parser.push("yes</think>"), parser.finish()].concat();
    assert_eq!(content, [crate::chat::Delta::Content("yes</think>".to_owned())]);
}

#[test]
fn without_tools_to_choose_the_template_is_given_none_and_calls_are_content() {
    let call = "<tool_call>{\"name\": \"f\"}</tool_call>";
    let session = session("{{ tools | length if tools }}<tool_call> arguments", call);
    let tool = serde_json::json!({"name": "f"});
    let (_, content, end) = ask(&session, |request| {
        request.tools = vec![tool];
        request.tool_choice = ToolChoice::None;
    });
    assert_eq!(content, call);
    let ChatEvent::Finished { usage, .. } = end else { panic!("{end:?}") };
    assert_eq!(usage.total.prompt_tokens, 21);
}

#[test]
fn a_grammar_holds_from_the_start_or_after_the_reasoning() {
    let block = |open: Option<&str>| {
        let (open, close) = (open.map(str::to_owned), "</think>".to_owned());
        Some(Block { open, close, headers: Vec::new() })
    };
    let mentions = "{% if false %}</think>{% endif %}";
    for (template, start, is_closed, expected) in [
        ("", Start::Reasoning(Tags::THINK), false, block(None)),
        ("", Start::MidReasoning(Tags::THINK), false, block(None)),
        (mentions, Start::Unopened(Tags::THINK), false, block(Some("<think>"))),
        (mentions, Start::Content(Tags::THINK), false, block(Some("<think>"))),
        (mentions, Start::Content(Tags::THINK), true, None),
        (mentions, Start::MidContent(Tags::THINK), false, None),
        ("", Start::Content(Tags::THINK), false, None),
    ] {
        let found = session(template, "").block(start, is_closed, start.tags().headers());
        assert_eq!(found, expected, "{start:?} {is_closed}");
    }
}

#[test]
fn a_budget_message_with_the_closing_tag_is_refused_by_name() {
    let mut request = ChatRequest::new(vec![Message::new(Role::User, "hi")], SamplingParams::greedy());
    request.reasoning_budget_message = "x</think>hello".to_owned();
    let error = session(REASONING, "hm").chat(request).unwrap_err();
    assert!(matches!(error, Error::BudgetMessage { close: "</think>" }), "{error:?}");
    assert!(error.to_string().contains("`reasoning_budget_message`"), "{error}");
}

const TURNS: &str = "{% for m in messages %}[{{ m.role }}]{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}{{ m.content }}[end]{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";

/// Reasoning and content of a continued message, and the end of its prompt.
fn continued(answer: &str, message: Message) -> Result<(String, String, String), Error> {
    let mut session = session(TURNS, answer);
    let vocab = Arc::new(Recorded::default());
    session.prompts.vocab = Arc::clone(&vocab) as Arc<dyn Vocab + Send + Sync>;
    let mut request =
        ChatRequest::new(vec![Message::new(Role::User, "hi"), message], SamplingParams::greedy());
    request.continue_final = true;
    let (mut reasoning, mut content) = (String::new(), String::new());
    for event in session.chat(request)? {
        match event {
            ChatEvent::Reasoning(text) => reasoning += &text,
            ChatEvent::Content(text) => content += &text,
            _ => {}
        }
    }
    let all = vocab.0.lock().unwrap();
    let prompt = all.iter().find(|text| text.contains("[user]")).unwrap();
    Ok((reasoning, content, prompt.strip_prefix("[user]hi[end][assistant]").unwrap().to_owned()))
}

#[test]
fn the_last_message_is_continued_where_it_ends() {
    let content = |text: &str| Message::new(Role::Assistant, text);
    let reasoning = |reasoning: &str, text: &str| {
        let mut message = content(text);
        message.reasoning_content = Some(reasoning.to_owned());
        message
    };
    for (answer, message, parts, prompt) in [
        (" is 42.", content("The answer"), ("", " is 42."), "The answer"),
        ("\n\nb", content(" a "), ("", "\n\nb"), " a "),
        ("<think>x</think>", content("end"), ("", "<think>x</think>"), "end"),
        ("b", reasoning("hm", "a"), ("", "b"), "<think>\nhm\n</think>\n\na"),
        ("b", content("<think>\nhm\n</think>\n\na"), ("", "b"), "<think>\nhm\n</think>\n\na"),
        ("\n2</think>\n\nyes", reasoning("hm", ""), ("\n2", "yes"), "<think>\nhm"),
        ("m</think>yes", content("<think>\nh"), ("m", "yes"), "<think>\nh"),
    ] {
        let found = continued(answer, message.clone()).unwrap();
        assert_eq!(((found.0.as_str(), found.1.as_str()), found.2.as_str()), (parts, prompt), "{message:?}");
    }
}

#[test]
fn a_message_that_cannot_be_continued_is_refused() {
    let mut calls = Message::new(Role::Assistant, "x");
    calls.tool_calls =
        serde_json::from_value(serde_json::json!([{"function": {"name": "f", "arguments": {}}}])).unwrap();
    for (message, expected) in [
        (Message::new(Role::User, "x"), ContinueError::NotAssistant),
        (Message::new(Role::Assistant, " \n"), ContinueError::Empty),
        (calls, ContinueError::HasCalls),
    ] {
        let error = continued("", message).unwrap_err();
        assert!(matches!(error, Error::Continue(found) if found == expected), "{error:?}");
    }
    let session = session("{{ messages[-1].content | upper }}", "");
    let mut request = ChatRequest::new(vec![Message::new(Role::Assistant, "x")], SamplingParams::greedy());
    request.continue_final = true;
    let error = session.chat(request).unwrap_err();
    assert!(matches!(error, Error::Continue(ContinueError::Altered)), "{error:?}");
}

/// A vocabulary whose tags are control tokens.
struct ControlTags;

const CONTROL_TAGS: [&str; 3] = ["</think>", "<|other|>", "</seed:think>"];

impl Vocab for ControlTags {
    fn size(&self) -> u32 {
        260
    }

    fn tokenize(&self, text: &str, markup: Markup) -> Vec<Token> {
        let tag = CONTROL_TAGS.iter().position(|tag| *tag == text);
        tag.map_or_else(
            || ByteVocab.tokenize(text, markup),
            |at| vec![Token(257 + i32::try_from(at).unwrap())],
        )
    }

    fn write(&self, token: Token, out: &mut Vec<u8>) {
        ByteVocab.write(token, out);
    }

    fn write_any(&self, token: Token, out: &mut Vec<u8>) {
        match usize::try_from(token.0 - 257) {
            Ok(at) => out.extend(CONTROL_TAGS[at].bytes()),
            Err(_) => self.write(token, out),
        }
    }

    fn ends_answer(&self, token: Token) -> bool {
        ByteVocab.ends_answer(token)
    }
}

#[test]
fn of_control_tokens_only_the_tags_of_the_template_are_text() {
    let caps =
        Caps { sequences: 1, context: 256, batch: 16, can_trim: true, can_cache: true, can_copy: true };
    let answer = [104, 257, 258, 259, 121, 256].map(Token);
    for (template, expected) in [
        ("{% if 0 %}</think>{% endif %}", ("h", "y")),
        ("{% if 0 %}</seed:think>{% endif %}", ("h", "y")),
        ("", ("", "h</think>y")),
    ] {
        let next = move |_: &[Token], written: &[Token]| vec![answer[written.len()]];
        let decoder = ScriptedDecoder::new(caps, Box::new(next));
        let (submitter, inbox) = channel(&decoder, &ControlTags);
        thread::spawn(move || run(decoder, ControlTags, &inbox, Limits::of(caps)));
        let template = Template::parse(&format!("{template}x"), "", "").unwrap();
        let session = Session::new(submitter, Arc::new(ControlTags), template);
        let (reasoning, content, _) = ask(&session, |_| {});
        assert_eq!((reasoning.as_str(), content.as_str()), expected);
        assert_eq!(session.piece(Token(258)), b"");
    }
}
