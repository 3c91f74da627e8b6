//! A request body as data.

use serde_json::{Map, Value};

use super::options;
use super::turns::turns;
use crate::openai::{Asked, Dropped, Fields, Prompt, Refusal, Stream};

/// Known fields that do not change the answer.
const WITHOUT_EFFECT: [&str; 2] = ["cache_control", "service_tier"];

/// Reads a body of `/v1/messages` or `/v1/messages/count_tokens`, which has a part of the same fields. `max_tokens` may
/// be missing in both.
///
/// Fields and tools that are ignored are among [`Asked::unknown`].
///
/// # Errors
///
/// When a field is missing or has a value that is not supported. Sampling values and schemas are checked by the engine.
pub fn read(body: Map<String, Value>) -> Result<Asked, Refusal> {
    let mut fields = Fields::new(body);
    let mut dropped = Dropped::default();
    let stream = fields.truth("stream")?.unwrap_or(false).then(Stream::default);
    let model = fields.take("model").and_then(|name| Some(name.as_str()?.to_owned()));
    let mut metadata = fields.inside("metadata")?;
    metadata.text("user_id")?;
    fields.within(metadata);
    for name in WITHOUT_EFFECT {
        fields.take(name);
    }
    let (options, parallel_tool_calls) = options::read(&mut fields, &mut dropped)?;
    let (messages, continue_final) = turns(&mut fields, &mut dropped)?;
    let mut unknown = fields.unknown();
    unknown.extend(dropped.fields());
    Ok(Asked {
        prompt: Prompt::Chat(messages),
        options,
        choices: 1,
        stream,
        verbose: false,
        continue_final: Some(continue_final),
        parallel_tool_calls,
        model,
        unknown,
        unsupported: Vec::new(),
    })
}
