//! The fuzz targets of request bodies; `tests/bodies.rs` runs them on the seeds. Each returns true if the input is a
//! valid request.

use serde_json::{Map, Value};

use super::anthropic;
use super::chat::{Message, Role};
use super::openai::{Prompt, Refusal, completion, responses};

/// Kinds of things in lists that may be reported as ignored, besides the fields that the body has.
const REPORTED: usize = 40;

/// Reads the body of `/v1/responses`. It must have a message, and a response must be serializable.
pub(crate) fn responses_body(data: &[u8]) -> bool {
    let Some(body) = object(data) else { return false };
    let fields = values(&Value::Object(body.clone()));
    match responses::read(body) {
        Ok(responses::AskedResponse { asked, repeated, carries_reasoning }) => {
            let Prompt::Chat(messages) = &asked.prompt else { panic!("a response answers a conversation") };
            assert!(!messages.is_empty());
            assert!(asked.unknown.len() <= fields + REPORTED, "{:?}", asked.unknown);
            let head = responses::ResponseHead {
                id: "x".to_owned(),
                created: 0,
                model: "m".to_owned(),
                repeated,
                progress: true,
                carries_reasoning,
            };
            let mut events = responses::Events::new(head);
            assert_eq!(events.begin().len(), 2);
            true
        }
        Err(refusal) => refused(&refusal),
    }
}

/// Reads the body of `/completion`. Each prompt must have few answers.
pub(crate) fn completion_body(data: &[u8]) -> bool {
    let Some(body) = object(data) else { return false };
    match completion::read(body) {
        Ok(completion) => {
            let Prompt::Text(texts) = &completion.asked.prompt else { panic!("texts are continued") };
            let count = completion.asked.choices as usize;
            assert!((1..=128).contains(&(texts.len() * count)));
            let params = completion.asked.options.params(0);
            let settings = completion::generation_settings(&params, None, &[], &[]);
            assert!(settings["temperature"].is_number());
            true
        }
        Err(refusal) => refused(&refusal),
    }
}

/// Reads the body of `/v1/messages`. It must have a message, results with the ids of their calls, and no line of metadata in
/// its instructions.
pub(crate) fn anthropic_messages(data: &[u8]) -> bool {
    let Some(body) = object(data) else { return false };
    match anthropic::read(body) {
        Ok(asked) => {
            let Prompt::Chat(messages) = asked.prompt else { panic!("it is a conversation") };
            assert!(!messages.is_empty());
            messages.iter().for_each(check);
            assert!(
                asked.continue_final != Some(true)
                    || messages.last().is_some_and(|last| last.role == Role::Assistant)
            );
            true
        }
        Err(refusal) => refused(&refusal),
    }
}

fn check(message: &Message) {
    let texts = message.content.texts().expect("all parts are text");
    assert_eq!(message.tool_call_id.is_some(), message.role == Role::Tool);
    assert!(message.tool_calls.is_empty() || message.role == Role::Assistant);
    if message.role == Role::System {
        assert!(!texts.iter().flat_map(|text| text.lines()).any(is_metadata), "{texts:?}");
    }
}

/// Whether a line begins with `x-anthropic-…:`.
fn is_metadata(line: &str) -> bool {
    let name = line.strip_prefix("x-anthropic-").and_then(|rest| rest.split_once(':'));
    name.is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
}

fn object(data: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(data) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// A refusal names its field and is short.
fn refused(refusal: &Refusal) -> bool {
    assert!(!refusal.field().is_empty());
    assert!(refusal.to_string().len() < 2000, "{refusal}");
    false
}

/// The number of values in a value.
fn values(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(values).sum::<usize>(),
        Value::Object(object) => 1 + object.values().map(values).sum::<usize>(),
        _ => 1,
    }
}
