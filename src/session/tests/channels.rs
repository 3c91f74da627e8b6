//! Answers in channels, on scripts.

use super::*;
use crate::chat::Delta;

const HARMONY: &str = "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% for c in m.tool_calls or [] %}\
    <|start|>assistant to=functions.{{ c.function.name }}<|channel|>commentary json<|message|>{{ c.function.arguments | tojson }}<|call|>\
    {% endfor %}{% endfor %}{{ tools | tojson if tools }}{# <|channel|>analysis<|message|> #}\
    {% if add_generation_prompt %}<|start|>assistant{% endif %}";

#[test]
fn channels_are_parts_of_an_answer() {
    let says = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>yes";
    let (reasoning, content, _) = ask(&session(HARMONY, says), |_| {});
    assert_eq!((reasoning.as_str(), content.as_str()), ("hm", "yes"));
    let call = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}";
    let mut request = ChatRequest::new(vec![Message::new(Role::User, "")], SamplingParams::greedy());
    request.tools = vec![serde_json::json!({"function": {"name": "f"}})];
    let chat = session(HARMONY, call).chat(request).unwrap();
    let events = Iterator::collect::<Vec<_>>(chat);
    let is_call = |event: &ChatEvent| matches!(event, ChatEvent::ToolCall(call) if call.function.name == "f");
    assert!(events.iter().any(is_call), "{events:?}");
    assert!(!events.iter().any(|event| matches!(event, ChatEvent::Content(_))), "{events:?}");
}

#[test]
fn in_channels_a_grammar_holds_after_the_header_of_the_answer_in_each_of_its_forms() {
    let session = session(HARMONY, "");
    let headers = Tags::HARMONY.headers();
    for header in
        ["<|channel|>final<|message|>", "<|start|>assistant<|channel|>final <|constrain|>json<|message|>"]
    {
        assert!(headers.iter().any(|form| form == header), "{header}");
    }
    for header in &headers {
        let mut parser = AnswerParser::new(Start::Content(Tags::HARMONY), None, &[]);
        let deltas = [parser.push(&format!("{header}x")), parser.finish()].concat();
        assert_eq!(deltas, [Delta::Content("x".to_owned())], "{header}");
    }
    let block = |open: Option<&str>, headers: &[String]| {
        let (open, close) = (open.map(str::to_owned), "<|end|>".to_owned());
        Some(Block { open, close, headers: headers.to_vec() })
    };
    let open = Some(Tags::HARMONY.open);
    for (start, content, call) in [
        (Start::Content(Tags::HARMONY), block(open, &headers), block(open, &[])),
        (Start::MidReasoning(Tags::HARMONY), block(None, &headers), block(None, &[])),
        (Start::MidContent(Tags::HARMONY), None, None),
    ] {
        // A message that is closed is followed by a header, too.
        for is_closed in [false, true] {
            assert_eq!(session.block(start, is_closed, headers.clone()), content, "{start:?}");
        }
        assert_eq!(session.block(start, false, Vec::new()), call, "{start:?}");
    }
}

/// A request with a function, and the assistant's reasoning to continue if there is any.
fn asked(choice: ToolChoice, reasoning: Option<&str>) -> ChatRequest {
    let mut request = ChatRequest::new(vec![Message::new(Role::User, "")], SamplingParams::greedy());
    request.tools = vec![serde_json::json!({"function": {"name": "f"}})];
    request.tool_choice = choice;
    request.reasoning_budget_message = "Enough.".to_owned();
    if let Some(reasoning) = reasoning {
        let mut message = Message::new(Role::Assistant, "");
        message.reasoning_content = Some(reasoning.to_owned());
        request.messages.push(message);
        request.continue_final = true;
    }
    request
}

#[test]
fn in_channels_reasoning_that_is_ended_leads_to_what_may_follow() {
    let session = session(HARMONY, "");
    let grammar = || Some(Grammar { rules: Rules::Gbnf("root ::= \"a\"".to_owned()).into(), after: None });
    for (choice, grammar, header) in [
        (ToolChoice::None, Some(schema()), "<|start|>assistant<|channel|>final<|message|>"),
        // The rules have the headers of the content and of calls.
        (ToolChoice::Auto, Some(schema()), ""),
        (ToolChoice::None, None, "<|start|>assistant<|channel|>final<|message|>"),
        (ToolChoice::Auto, grammar(), "<|start|>assistant<|channel|>final<|message|>"),
        (ToolChoice::Auto, None, "<|start|>assistant<|channel|>commentary"),
        (ToolChoice::Required, None, ""),
        (ToolChoice::Function("f".to_owned()), None, ""),
    ] {
        let mut request = asked(choice, None);
        request.sampling.grammar = grammar;
        request.reasoning_budget = Some(3);
        let choice = request.tool_choice.clone();
        let reasoning = session.chat_request(request).unwrap().reasoning.unwrap();
        let ending = session.detokenize(&reasoning.ending);
        assert_eq!(ending, format!("Enough.\n<|end|>{header}"), "{choice:?}");
    }
}

#[test]
fn in_channels_content_of_a_schema_and_calls_have_their_headers_in_the_rules() {
    let first = |request: ChatRequest| {
        let template = if request.continue_final { CONTINUED } else { HARMONY };
        let sampling = session(template, "").chat_request(request).unwrap().sampling;
        let Grammar { rules, after } = sampling.grammar.unwrap();
        let Rules::Composed { lark, .. } = &*rules else { panic!("{rules:?}") };
        (lark.lines().next().unwrap().to_owned(), after)
    };
    let asked = |reasoning| {
        let mut request = asked(ToolChoice::Auto, reasoning);
        request.sampling.grammar = Some(schema());
        request
    };
    let (open, close) = (Some(Tags::HARMONY.open.to_owned()), Tags::HARMONY.close.to_owned());
    let (with_headers, after) = first(asked(None));
    let begin = "start: (begin \"assistant\")? call | (channel \"final\" message | channel \"final \" constrain \"json\" message | ";
    assert!(with_headers.starts_with(begin) && with_headers.ends_with(") @content"), "{with_headers}");
    assert_eq!(after, Some(Block { open, close: close.clone(), headers: Vec::new() }));
    let after = Some(Block { open: None, close, headers: Vec::new() });
    assert_eq!(first(asked(Some("hm"))), (with_headers.clone(), after));
    let mut ended = asked(Some("hm"));
    ended.reasoning_budget = Some(0);
    assert_eq!(first(ended), (with_headers, None));
    let mut continued = asked(Some("hm"));
    let last = continued.messages.last_mut().unwrap();
    (last.reasoning_content, last.content) = (None, crate::chat::Content::Text("{".to_owned()));
    assert_eq!(first(continued), ("start: (begin \"assistant\")? call | @content".to_owned(), None));
}

const CONTINUED: &str = "{% for m in messages %}<|start|>{{ m.role }}{% if m.reasoning_content %}<|channel|>analysis<|message|>\
    {{ m.reasoning_content }}{% endif %}{{ m.content }}{% endfor %}{{ tools | tojson if tools }}\
    {# <|channel|>commentary to= <|channel|>analysis<|message|> #}";

#[test]
fn in_channels_an_answer_continues_where_continued_reasoning_is_ended() {
    let call = "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}";
    for (choice, answer, content) in [
        (ToolChoice::None, "to=5", "to=5"),
        (ToolChoice::None, "<|message|>x", "<|message|>x"),
        (ToolChoice::Auto, "<|message|>x", "x"),
        (ToolChoice::Auto, " to=functions.f <|constrain|>json<|message|>{}", "call"),
        (ToolChoice::Required, call, "call"),
    ] {
        let mut request = asked(choice, Some("hm"));
        request.reasoning_budget = Some(0);
        let choice = request.tool_choice.clone();
        let session = session(CONTINUED, answer);
        let (prepared, mut parser) = session.prepare(request).unwrap();
        assert_eq!(prepared.sampling.grammar.and_then(|grammar| grammar.after), None, "{choice:?}");
        let shown = session.detokenize(&prepared.prompt);
        assert!(shown.contains("hmEnough.\n<|end|>"), "{shown}");
        let deltas = [parser.push(answer), parser.finish()].concat();
        let parts = deltas.into_iter().map(|delta| match delta {
            Delta::ToolCall(_) => "call".to_owned(),
            Delta::Between(text) => text.to_owned(),
            Delta::Content(text) | Delta::Reasoning(text) => text,
        });
        assert_eq!(parts.collect::<String>(), content, "{choice:?} {answer}");
    }
}

#[test]
fn in_channels_stop_strings_are_found_in_the_content_alone() {
    let analysis = "<|channel|>analysis<|message|>a stop<|end|><|start|>assistant";
    let says = format!("{analysis}<|channel|>final<|message|>one. two. three.");
    for (stop, content, tokens, reason) in [
        ("assistant", "one. two. three.", says.len() + 1, FinishReason::Stop),
        ("final", "one. two. three.", says.len() + 1, FinishReason::Stop),
        ("<|", "one. two. three.", says.len() + 1, FinishReason::Stop),
        ("a stop", "one. two. three.", says.len() + 1, FinishReason::Stop),
        (". th", "one. two", says.len() - "ree.".len(), FinishReason::StopString(0)),
        ("three.", "one. two. ", says.len(), FinishReason::StopString(0)),
        ("one", "", says.len() - ". two. three.".len(), FinishReason::StopString(0)),
    ] {
        for _ in 0..5 {
            let (reasoning, found, end) = ask(&session(HARMONY, &says), |r| r.stop = vec![stop.to_owned()]);
            assert_eq!((reasoning.as_str(), found.as_str()), ("a stop", content), "{stop}");
            let ChatEvent::Finished { reason: found, usage, .. } = end else { panic!("{end:?}") };
            // What the engine still writes before it is cancelled is not counted.
            assert_eq!((found, usage.total.completion_tokens as usize), (reason, tokens), "{stop}");
        }
    }
    // The model did not write what joins two messages.
    let preamble = "<|channel|>commentary<|message|>One.\n<|end|><|start|>assistant";
    let says = format!("{preamble}<|channel|>final<|message|>\nTwo.\n\nThree.");
    let (_, content, end) = ask(&session(HARMONY, &says), |r| r.stop = vec!["\n\n".to_owned()]);
    assert_eq!(content, "One.\n\n\n\nTwo.");
    assert!(matches!(end, ChatEvent::Finished { reason: FinishReason::StopString(0), .. }), "{end:?}");
    let mut request = ChatRequest::new(vec![Message::new(Role::User, "")], SamplingParams::greedy());
    request.stop = vec![String::new(); 10_000];
    let error = session(HARMONY, "x").chat(request).unwrap_err();
    assert!(matches!(error, Error::Engine(engine::Error::TooManyStops { count: 10_000, .. })), "{error:?}");
}
