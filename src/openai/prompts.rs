//! The prompts of a request to continue texts: text, token numbers, both mixed, an object with a text, or a list of these.

use serde_json::{Map, Value};

use super::fields::{Fields, whole, wrong};
use super::refusal::Refusal;
use crate::engine::Token;
use crate::session::{PromptPart, PromptText};

/// The forms of a prompt.
const EXPECTED: &str = "text, token numbers, both mixed, or a list of these";

/// Takes the prompts, at least one.
pub(super) fn read(fields: &mut Fields) -> Result<Vec<PromptText>, Refusal> {
    let value = fields.take("prompt").ok_or(Refusal::Missing { field: "prompt" })?;
    match value {
        Value::Array(list) if !list.iter().any(Value::is_number) => {
            if list.is_empty() {
                return Err(wrong("prompt", &Value::Array(list), "at least one prompt"));
            }
            list.into_iter().map(|prompt| one(prompt, fields)).collect()
        }
        prompt => Ok(vec![one(prompt, fields)?]),
    }
}

/// A single prompt.
fn one(prompt: Value, fields: &mut Fields) -> Result<PromptText, Refusal> {
    match prompt {
        Value::String(text) => Ok(text.into()),
        Value::Array(parts) => mixed(parts),
        Value::Object(object) => wrapped(object, fields),
        other => Err(wrong("prompt", &other, EXPECTED)),
    }
}

/// llama-server's object around a prompt.
fn wrapped(object: Map<String, Value>, fields: &mut Fields) -> Result<PromptText, Refusal> {
    let mut object = Fields::new(object);
    let is_empty = |media: &Value| media.as_array().is_some_and(Vec::is_empty);
    if let Some(media) = object.take("multimodal_data").filter(|media| !is_empty(media)) {
        return Err(wrong("prompt.multimodal_data", &media, "no data, as the model reads only text"));
    }
    let prompt = match object.take("prompt_string") {
        Some(Value::String(text)) => text.into(),
        Some(Value::Array(parts)) => mixed(parts)?,
        Some(other) => return Err(wrong("prompt.prompt_string", &other, "text")),
        None => return Err(Refusal::Missing { field: "prompt.prompt_string" }),
    };
    fields.within("prompt", object);
    Ok(prompt)
}

/// Token numbers and texts.
fn mixed(parts: Vec<Value>) -> Result<PromptText, Refusal> {
    let mut all = Vec::new();
    for part in parts {
        match part {
            Value::String(text) => all.push(PromptPart::Text(text)),
            number => {
                let token = whole(&number).and_then(|number| i32::try_from(number).ok()).filter(|n| *n >= 0);
                let token = Token(token.ok_or_else(|| wrong("prompt", &number, "a token number or text"))?);
                match all.last_mut() {
                    Some(PromptPart::Tokens(tokens)) => tokens.push(token),
                    _ => all.push(PromptPart::Tokens(vec![token])),
                }
            }
        }
    }
    Ok(PromptText(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn prompts(value: Value) -> Result<Vec<PromptText>, Refusal> {
        let mut fields = Fields::new(Map::from_iter([("prompt".to_owned(), value)]));
        read(&mut fields)
    }

    fn text(text: &str) -> PromptText {
        text.to_owned().into()
    }

    fn tokens(tokens: &[i32]) -> PromptPart {
        PromptPart::Tokens(tokens.iter().copied().map(Token).collect())
    }

    #[test]
    fn a_prompt_has_every_form_of_llama_server() {
        let ids = || PromptText(vec![tokens(&[12, 34])]);
        let both = || {
            let text = PromptPart::Text("x".to_owned());
            PromptText(vec![tokens(&[12, 34]), text.clone(), tokens(&[56]), text])
        };
        for (value, expected) in [
            (json!("x"), vec![text("x")]),
            (json!(""), vec![text("")]),
            (json!([12, 34.0]), vec![ids()]),
            (json!([12, 34, "x", 56, "x"]), vec![both()]),
            (json!({"prompt_string": "x"}), vec![text("x")]),
            (json!({"prompt_string": [12, 34], "multimodal_data": []}), vec![ids()]),
            (json!(["x", "y"]), vec![text("x"), text("y")]),
            (json!([[12, 34]]), vec![ids()]),
            (
                json!([[12, 34, "x", 56, "x"], [12, 34], "y", {"prompt_string": "z"}]),
                vec![both(), ids(), text("y"), text("z")],
            ),
            (json!([[]]), vec![PromptText::default()]),
        ] {
            assert_eq!(prompts(value.clone()), Ok(expected), "{value}");
        }
    }

    #[test]
    fn other_prompts_are_refused_by_name() {
        for (value, field) in [
            (json!(null), "prompt"),
            (json!(7), "prompt"),
            (json!(true), "prompt"),
            (json!([]), "prompt"),
            (json!([1.5]), "prompt"),
            (json!([-1]), "prompt"),
            (json!([2_147_483_648_u32]), "prompt"),
            (json!([1, null]), "prompt"),
            (json!([1, [2]]), "prompt"),
            (json!([null]), "prompt"),
            (json!([["x", ["y"]]]), "prompt"),
            (json!({}), "prompt.prompt_string"),
            (json!({"prompt_string": 7}), "prompt.prompt_string"),
            (json!({"prompt_string": "x", "multimodal_data": ["aGk="]}), "prompt.multimodal_data"),
            (json!(["x", {"prompt_string": {}}]), "prompt.prompt_string"),
        ] {
            assert_eq!(prompts(value.clone()).unwrap_err().field(), field, "{value}");
        }
    }
}
