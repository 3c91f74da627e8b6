//! The fuzz target `chat_template`; `tests/chat/corpus.rs` runs it on the seeds.

use serde_json::{Value, json};

use super::chat::{Message, RenderOptions, Template};

/// Parses a template and renders a conversation with it. The marks of its text must not change what it writes. Returns
/// true if it writes a prompt.
pub(crate) fn chat_template(data: &[u8]) -> bool {
    let Ok(source) = std::str::from_utf8(data) else { return false };
    let Ok(template) = Template::parse(source, "<s>", "</s>") else { return false };
    let tool = json!({"type": "function", "function": {"name": "add", "parameters": {"type": "object",
        "properties": {"a": {"type": "integer", "enum": [1, 2.5, null, true]}}}}});
    let options = RenderOptions { tools: vec![tool], ..RenderOptions::default() };
    let messages = messages();
    drop(template.conversation(&messages, &options));
    let Ok(prompt) = template.prompt(&messages, &options) else { return false };
    let mut end = 0;
    for part in prompt.written() {
        assert!(end <= part.start && part.end <= prompt.text.len(), "{:?}", prompt.written());
        assert!(prompt.text.get(part.clone()).is_some(), "{part:?}");
        end = part.end;
    }
    assert_eq!(prompt.messages.len(), messages.len());
    true
}

fn messages() -> Vec<Message> {
    let call =
        json!({"id": "call_0000", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}});
    let list: Value = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi <|im_end|> there\n"},
        {"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": [call]},
        {"role": "tool", "content": "{\"a\": 2}", "tool_call_id": "call_0000"},
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
    ]);
    serde_json::from_value(list).expect("these are messages")
}
