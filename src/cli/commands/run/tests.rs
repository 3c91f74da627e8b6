//! Both streams, and the options that reach the model.

use super::*;
use crate::cli::shared::json;
use crate::cli::shared::summary::summary;
use clap::Parser;
use ggrun::chat::Template;
use ggrun::engine::scripted::{ByteVocab, ScriptedDecoder};
use ggrun::engine::{Caps, DecodeError, Limits, Timings, Token, Usage, channel, run as run_engine};
use ggrun::session::{Answer, ChatEvent, ChatUsage, Limit, Session};
use std::sync::Arc;
use std::time::Duration;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    run: RunArgs,
}

fn parse(line: &[&str]) -> RunArgs {
    Line::try_parse_from([&["run", "-m", "a.gguf"], line].concat()).unwrap().run
}

fn example() -> Answer {
    Answer {
        reasoning: "7 + 5 = 12".into(),
        content: "42".into(),
        tool_calls: Vec::new(),
        call_places: Vec::new(),
        tokens: Vec::new(),
        reason: FinishReason::Stop,
        usage: ChatUsage {
            total: Usage { prompt_tokens: 10, reused_tokens: 0, completion_tokens: 21 },
            reasoning_tokens: 15,
        },
        timings: Timings {
            queued: Duration::ZERO,
            prefill: Duration::from_millis(100),
            decode: Duration::from_millis(500),
        },
        logprobs: Vec::new(),
    }
}

fn shown(line: &[&str]) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = parse(line);
    let mut screen = Screen::new(&mut out, &mut err, &args, None, Style::Rich);
    screen.event(&ChatEvent::Reasoning("7 + 5 = 12".into())).unwrap();
    screen.event(&ChatEvent::Content("42".into())).unwrap();
    screen.finish("q", &example(), 7).unwrap();
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn stdout_has_the_answer_and_nothing_else() {
    for line in [&[][..], &["--thinking", "show"], &["--thinking", "hide"]] {
        assert_eq!(shown(line).0, "42\n");
    }
}

#[test]
fn thinking_is_dim_plain_or_absent() {
    assert!(shown(&[]).1.starts_with("\x1b[2m7 + 5 = 12\x1b[0m\n\n"));
    assert!(shown(&["--thinking", "show"]).1.starts_with("7 + 5 = 12\n\n"));
    assert!(!shown(&["--thinking", "hide"]).1.contains("7 + 5"));
}

#[test]
fn the_summary_counts_thinking_apart() {
    assert_eq!(
        summary(&example()),
        "prompt 10 tokens in 0.10 s, 100.0/s · first token after 0.10 s · 15 thinking + 6 answer tokens in 0.50 s, 40.0/s"
    );
}

#[test]
fn json_is_one_object_and_leaves_stderr_empty() {
    let (out, err) = shown(&["--json"]);
    assert_eq!(err, "");
    assert_eq!(out.lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&value["schema_version"], &value["prompt"]), (&1.into(), &"q".into()));
    assert_eq!((&value["reasoning_content"], &value["content"]), (&"7 + 5 = 12".into(), &"42".into()));
    assert_eq!((&value["finish_reason"], &value["seed"]), (&"stop".into(), &7.into()));
    assert_eq!(value["usage"]["answer_tokens"], 6);
    assert_eq!(value["timings"]["predicted_per_second"], 40.0);
}

const CAPS: Caps =
    Caps { sequences: 1, context: 1024, batch: 64, can_trim: true, can_cache: true, can_copy: true };

fn session(decoder: ScriptedDecoder, template: Template) -> Session {
    let (submitter, inbox) = channel(&decoder, &ByteVocab);
    std::thread::spawn(move || run_engine(decoder, ByteVocab, &inbox, Limits::of(CAPS)));
    Session::new(submitter, Arc::new(ByteVocab), template)
}

/// The answer of a model that writes `says`, after a template that shows everything.
fn scripted(says: &str, line: &[&str], tools: &[serde_json::Value]) -> Answer {
    let template = "{{ messages[0].content }}<tool_call> arguments {{ mood }} {{ tools | tojson }}</think>{% if enable_thinking %}<think>{% endif %}";
    let template = Template::parse(template, "", "").unwrap();
    let session = session(ScriptedDecoder::saying(CAPS, says), template);
    let args = parse(line);
    let mut options = args.generation.options().unwrap();
    options.tools = Some(tools.to_vec());
    options.check_reasoning(session.template()).unwrap();
    let request = options.chat_request(messages(None, "hi"), 0);
    answer(session.chat(request).unwrap(), &Interrupt::listen(), |_| Ok(())).unwrap()
}

#[test]
fn tools_kwargs_and_reasoning_reach_the_template_and_change_how_the_answer_is_read() {
    let tools = [serde_json::json!({"type": "function", "function": {"name": "f"}})];
    let says = "hm</think><tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}</tool_call>";
    let thinking = ["--reasoning", "on", "--chat-template-kwargs", r#"{"mood": "calm"}"#];
    let with = scripted(says, &thinking, &tools);
    assert_eq!((with.reasoning.as_str(), with.content.as_str(), with.tool_calls.len()), ("hm", "", 1));
    let without = scripted(says, &["--reasoning", "off"], &[]);
    assert_eq!((without.reasoning.as_str(), without.content.as_str()), ("", says));
    let read = |answer: &Answer| answer.usage.total.prompt_tokens as usize;
    let difference = "calm".len() + tools_text(&tools).len() + "<think>".len() - "null".len();
    assert_eq!(read(&with) - read(&without), difference);
}

fn tools_text(tools: &[serde_json::Value]) -> String {
    let spaced = serde_json::to_string(tools).unwrap();
    spaced.replace(':', ": ").replace(',', ", ")
}

#[test]
fn what_came_before_an_error_of_the_engine_is_shown() {
    let mut steps = 0;
    let fault = move |_: &[&[Token]]| {
        steps += 1;
        (steps > 6).then(|| DecodeError::WorkerLost { endpoint: "host:1".to_owned() })
    };
    let decoder = ScriptedDecoder::saying(CAPS, "forty-two").failing(true, Box::new(fault));
    let session = session(decoder, Template::parse("{{ messages[0].content }}", "", "").unwrap());
    let args = parse(&["--reasoning", "off"]);
    let options = args.generation.options().unwrap();
    let chat = session.chat(options.chat_request(messages(None, "hi"), 0)).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut screen = Screen::new(&mut out, &mut err, &args, None, Style::Plain);
    let error = follow(chat, &Interrupt::listen(), &mut screen).unwrap_err();
    drop(screen);
    assert!(format!("{error:#}").contains("host:1"), "{error:#}");
    let out = String::from_utf8(out).unwrap();
    let shown = out.strip_suffix('\n').unwrap();
    assert!(!shown.is_empty() && "forty-two".starts_with(shown), "{out:?}");
}

#[test]
fn calls_are_lines_of_stdout_and_a_list_in_json() {
    let says = "Look.\n<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": [1, \"é\"]}}</tool_call>";
    let tools = [serde_json::json!({"type": "function", "function": {"name": "f"}})];
    let answer = scripted(says, &["--reasoning", "off"], &tools);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = parse(&[]);
    let mut screen = Screen::new(&mut out, &mut err, &args, None, Style::Plain);
    screen.event(&ChatEvent::Content(answer.content.clone())).unwrap();
    screen.event(&ChatEvent::ToolCall(answer.tool_calls[0].clone())).unwrap();
    screen.finish("q", &answer, 7).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "Look.\n{\"name\":\"f\",\"arguments\":{\"a\":[1,\"é\"]}}\n");

    let mut out = Vec::new();
    json::write(&mut out, "q", &answer, 7).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(value["finish_reason"], "tool_calls");
    assert_eq!(
        value["tool_calls"],
        serde_json::json!([{
            "id": "call_0", "type": "function", "function": {"name": "f", "arguments": "{\"a\": [1, \"é\"]}"}
        }])
    );
}

#[test]
fn negative_numbers_are_values() {
    let args = parse(&["-n", "-1", "-s", "-1", "-p", "-5 + 3 = ?"]);
    let options = args.generation.options().unwrap();
    assert_eq!((options.max_tokens, options.reasoning_budget), (Some(Limit::Unlimited), None));
    assert_eq!(args.prompt.as_deref(), Some("-5 + 3 = ?"));
}
