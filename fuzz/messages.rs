//! The fuzz target `anthropic_messages`; `tests/messages/corpus.rs` runs it on the seeds.

use serde_json::Value;

use super::anthropic::read;
use super::chat::{Message, Role};
use super::openai::Prompt;

/// Reads a body. A refusal must name a field; a request must have a message, results with the ids of their calls, and no
/// line of metadata in its instructions. Returns true if the body is a request.
pub(crate) fn anthropic_messages(data: &[u8]) -> bool {
    let Ok(Value::Object(body)) = serde_json::from_slice(data) else { return false };
    match read(body) {
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
        Err(refusal) => {
            assert!(!refusal.field().is_empty() && !refusal.to_string().is_empty());
            false
        }
    }
}

fn check(message: &Message) {
    message.content.texts().expect("all parts are text");
    assert_eq!(message.tool_call_id.is_some(), message.role == Role::Tool);
    assert!(message.tool_calls.is_empty() || message.role == Role::Assistant);
    if message.role == Role::System {
        assert!(!message.content.text().lines().any(|line| line.starts_with("x-anthropic-billing-header:")));
    }
}
