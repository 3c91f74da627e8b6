//! The parts of a content: text, or refused by name.

use serde_json::{Value, json};

/// The types of a part of text: of chat completions, then of OpenAI's responses.
const TEXT: [&str; 3] = ["text", "input_text", "output_text"];
/// Fields with media, which some templates replace by tokens that stand for nothing.
const MEDIA: [&str; 9] =
    ["image", "image_url", "input_image", "audio", "audio_url", "input_audio", "video", "video_url", "file"];
/// Characters of an unknown type that a message shows.
const SHOWN: usize = 60;

/// A part is not text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("part {number} of `content` is `{found}`, expected `text`")]
pub struct NotText {
    /// Its place in the list, from one.
    pub number: usize,
    /// Its type, or what it is instead of a part.
    pub found: String,
}

/// The texts of parts.
pub(super) fn texts(parts: &[Value]) -> Result<Vec<&str>, NotText> {
    let text = |(index, part)| text(part).map_err(|found| NotText { number: index + 1, found });
    parts.iter().enumerate().map(text).collect()
}

/// The parts under the one type that templates look for.
pub(super) fn typed(parts: &[Value]) -> Vec<Value> {
    let typed = |part: &Value| match part {
        Value::Object(fields) => {
            let kind = [("type".to_owned(), json!("text"))];
            let others = fields.iter().filter(|(name, _)| *name != "type");
            Value::Object(kind.into_iter().chain(others.map(|(k, v)| (k.clone(), v.clone()))).collect())
        }
        other => other.clone(),
    };
    parts.iter().map(typed).collect()
}

/// The text of a part, or the name of what it is.
fn text(part: &Value) -> Result<&str, String> {
    let Value::Object(fields) = part else { return Err(shown(&part.to_string())) };
    if let Some(media) = MEDIA.into_iter().find(|name| fields.get(*name).is_some_and(|data| !data.is_null()))
    {
        return Err(media.to_owned());
    }
    match (fields.get("type"), fields.get("text")) {
        (None, Some(Value::String(text))) => Ok(text),
        (Some(Value::String(kind)), Some(Value::String(text))) if TEXT.contains(&kind.as_str()) => Ok(text),
        (Some(Value::String(kind)), _) if !TEXT.contains(&kind.as_str()) => Err(shown(kind)),
        _ => Err(shown(&part.to_string())),
    }
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_three_names_and_may_lack_one() {
        let parts = json!([
            {"type": "text", "text": "a"},
            {"type": "input_text", "text": "b", "image_url": null},
            {"type": "output_text", "text": "c", "annotations": []},
            {"text": "d"},
        ]);
        let parts = parts.as_array().unwrap();
        assert_eq!(texts(parts).unwrap(), ["a", "b", "c", "d"]);
        let typed = typed(parts);
        assert!(typed.iter().all(|part| part["type"] == "text"), "{typed:?}");
        assert_eq!(texts(&typed), texts(parts));
    }

    #[test]
    fn every_other_part_is_refused_by_name() {
        for (part, found) in [
            (json!({"type": "image_url", "image_url": {"url": "data:,"}}), "image_url"),
            (json!({"type": "image_url", "image_url": null}), "image_url"),
            (json!({"type": "input_audio", "input_audio": {}}), "input_audio"),
            (json!({"type": "file", "file": {}}), "file"),
            (json!({"type": "refusal", "refusal": "no"}), "refusal"),
            (json!({"type": "thinking", "thinking": "hm"}), "thinking"),
            (json!({"type": "later", "text": "x"}), "later"),
            (json!({"type": "text", "text": "x", "image": "y"}), "image"),
            (json!({"image": "x.png"}), "image"),
            (json!({"type": "text"}), "{\"type\":\"text\"}"),
            (json!({"type": "text", "text": 7}), "{\"type\":\"text\",\"text\":7}"),
            (json!({"type": 7, "text": "x"}), "{\"type\":7,\"text\":\"x\"}"),
            (json!({}), "{}"),
            (json!("x"), "\"x\""),
        ] {
            let error = texts(&[json!({"type": "text", "text": "a"}), part]).unwrap_err();
            assert_eq!(error, NotText { number: 2, found: found.to_owned() });
        }
        let long = texts(&[json!({"type": "x".repeat(100)})]).unwrap_err();
        assert_eq!(long.found, format!("{}...", "x".repeat(60)));
        assert_eq!(long.to_string(), format!("part 1 of `content` is `{}`, expected `text`", long.found));
    }
}
