//! The prompts of a request to continue texts: text, token numbers, both mixed, an object with a text, or a list of these.

use serde_json::Value;

use super::fields::{Dropped, Fields, whole, wrong};
use super::refusal::Refusal;
use crate::engine::Token;
use crate::session::{PromptPart, PromptText};

/// The forms of a prompt.
const EXPECTED: &str = "text, token numbers, both mixed, or a list of these";

/// Answers to all prompts of a request, each of which has at least one.
pub(super) const MOST_ANSWERS: u32 = 128;

/// Takes the prompts, at least one.
pub(super) fn read(fields: &mut Fields, dropped: &mut Dropped) -> Result<Vec<PromptText>, Refusal> {
    let value = fields.take("prompt").ok_or(Refusal::Missing { field: "prompt" })?;
    match value {
        Value::Array(list) if !list.iter().any(Value::is_number) => {
            if list.is_empty() {
                return Err(wrong("prompt", &Value::Array(list), "at least one prompt"));
            }
            if list.len() > MOST_ANSWERS as usize {
                let found = format!("{} prompts", list.len());
                return Err(Refusal::Count { field: "prompt", found, expected: "at most 128" });
            }
            list.into_iter().map(|prompt| one(prompt, fields, dropped)).collect()
        }
        prompt => Ok(vec![one(prompt, fields, dropped)?]),
    }
}

/// A single prompt.
fn one(prompt: Value, fields: &Fields, dropped: &mut Dropped) -> Result<PromptText, Refusal> {
    match prompt {
        Value::String(text) => Ok(text.into()),
        Value::Array(parts) => mixed(parts),
        Value::Object(object) => wrapped(fields.of_object("prompt", object), dropped),
        other => Err(wrong("prompt", &other, EXPECTED)),
    }
}

/// llama-server's object around a prompt.
fn wrapped(mut object: Fields, dropped: &mut Dropped) -> Result<PromptText, Refusal> {
    let is_empty = |media: &Value| media.as_array().is_some_and(Vec::is_empty);
    if let Some(media) = object.take("multimodal_data").filter(|media| !is_empty(media)) {
        return Err(object.wrong("multimodal_data", &media, "no data, as the model reads only text"));
    }
    let prompt = match object.take("prompt_string") {
        Some(Value::String(text)) => text.into(),
        Some(Value::Array(parts)) => mixed(parts)?,
        Some(other) => return Err(object.wrong("prompt_string", &other, "text")),
        None => return Err(Refusal::Missing { field: "prompt.prompt_string" }),
    };
    dropped.within("prompt", object);
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
    use serde_json::{Map, json};

    fn prompts(value: Value) -> Result<Vec<PromptText>, Refusal> {
        read_with(value, &mut Dropped::default())
    }

    fn read_with(value: Value, dropped: &mut Dropped) -> Result<Vec<PromptText>, Refusal> {
        let mut fields = Fields::new(Map::from_iter([("prompt".to_owned(), value)]));
        read(&mut fields, dropped)
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

    #[test]
    fn unknown_fields_of_many_prompts_are_reported_once() {
        let mut dropped = Dropped::default();
        let prompt = json!({"prompt_string": "x", "wish": 1});
        read_with(json!(vec![prompt; 128]), &mut dropped).unwrap();
        let names: Vec<String> = dropped.fields().map(|field| field.name).collect();
        assert_eq!(names, ["prompt.wish"]);
    }

    #[test]
    fn more_prompts_than_answers_are_refused_by_their_number() {
        let error = prompts(json!(vec!["x"; 129])).unwrap_err();
        assert_eq!(error.to_string(), "`prompt` has 129 prompts, expected at most 128");
    }
}
