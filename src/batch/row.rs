//! A line of the input as a request, or as a failure.

use serde_json::{Map, Value};

use super::defaults::Defaults;
use super::failure::{Cause, Failure};
use super::hash::{RequestHash, Settings};
use super::ignored::Ignored;
use super::lines::{LIMIT, Line};
use crate::json;
use crate::openai::{self, Asked, Endpoint, ErrorCode, Prompt, UnknownField};
use crate::session::GenerationOptions;

/// A row of the input.
#[derive(Debug, Clone)]
pub struct Row {
    /// The number of its line, from one.
    pub line: u64,
    /// Its id: its own, or `line-` and the number.
    pub id: String,
    /// The hash of its request.
    pub(super) hash: RequestHash,
    /// The endpoint of its request.
    pub endpoint: Endpoint,
    /// Its request applied over the defaults, or the failure to read it.
    pub asked: Result<Box<Asked>, Failure>,
    /// Unknown fields beside the request.
    pub unknown: Vec<UnknownField>,
    /// Whether it cannot take the system prompt of the batch.
    pub(super) uninstructed: bool,
}

impl Row {
    /// What is ignored in it and beside it.
    pub(super) fn ignored(&self) -> Vec<Ignored> {
        let (unknown, unsupported) = match &self.asked {
            Ok(asked) => (asked.unknown.as_slice(), asked.unsupported.as_slice()),
            Err(_) => Default::default(),
        };
        let unknown = self.unknown.iter().chain(unknown).cloned().map(Ignored::Unknown);
        let unsupported = unsupported.iter().cloned().map(Ignored::Unsupported);
        let system = self.uninstructed.then_some(Ignored::SystemPrompt);
        unknown.chain(unsupported).chain(system).collect()
    }
}

/// Fields of a line in `OpenAI`'s form.
const FORM: [&str; 4] = ["custom_id", "method", "url", "body"];

/// Reads a line. Every line is a row.
#[must_use]
pub fn read_row(line: u64, text: &Line, defaults: &Defaults, settings: &Settings) -> Row {
    let (bytes, read) = match text {
        Line::TooLong(length) => {
            let message = format!("the line has {length} bytes, expected at most {LIMIT}");
            (&length.to_le_bytes()[..], Err(Failure::new(Cause::LineTooLong, message)))
        }
        Line::Whole(bytes) => (bytes.as_slice(), object(bytes)),
        Line::Refused { id, failure } => (id.as_bytes(), Err((**failure).clone())),
    };
    let failed = |id: String, failure: Failure| Row {
        line,
        id,
        hash: RequestHash::of_line(bytes),
        endpoint: Endpoint::Chat,
        asked: Err(failure),
        unknown: Vec::new(),
        uninstructed: false,
    };
    let (id, read) = match read {
        Ok(object) => (id(&object), object),
        Err(failure) => {
            let own = match text {
                Line::Refused { id, .. } if !id.is_empty() => id.clone(),
                _ => unnamed(line),
            };
            return failed(own, failure);
        }
    };
    let own = id.clone().ok().flatten().unwrap_or_else(|| unnamed(line));
    let Request { endpoint, mut body, unknown, .. } = match (request(read), id) {
        (Ok(Request { form: true, .. }), Ok(None)) => {
            return failed(own, Failure::new(Cause::MissingId, "the line has no `custom_id`"));
        }
        (Ok(request), Ok(_)) => request,
        (_, Err(failure)) | (Err(failure), _) => return failed(own, failure),
    };
    let uninstructed = !defaults.instruct(endpoint, &mut body);
    let hash = RequestHash::of(settings, endpoint, body.clone());
    let asked = ask(endpoint, body, &defaults.options).map(Box::new);
    Row { line, id: own, hash, endpoint, asked, unknown, uninstructed }
}

/// Reads a request and applies it over the defaults. A batch does not stream.
fn ask(endpoint: Endpoint, body: Map<String, Value>, defaults: &GenerationOptions) -> Result<Asked, Failure> {
    let asked = openai::read(endpoint, body)?;
    if asked.stream.is_some() {
        let cause = Cause::Request(ErrorCode::InvalidRequest);
        return Err(Failure::new(cause, "`stream: true` is not supported in a batch").in_field("stream"));
    }
    if let Prompt::Text(texts) = &asked.prompt
        && texts.len() != 1
    {
        let cause = Cause::Request(ErrorCode::InvalidRequest);
        let message = format!("`prompt` is a list of {}, expected one prompt in each row", texts.len());
        return Err(Failure::new(cause, message).in_field("prompt"));
    }
    let mut asked = asked.over(defaults);
    if asked.verbose {
        // An answer does not show its prompt.
        asked.unknown.push(UnknownField::unsupported("verbose"));
    }
    if endpoint == Endpoint::Chat {
        asked.options.check_tool_choice()?;
    }
    Ok(asked)
}

/// The id of a row without one.
pub(super) fn unnamed(line: u64) -> String {
    format!("line-{line}")
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, Failure> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let message = format!("the line is not UTF-8 after {} bytes", error.valid_up_to());
        Failure::new(Cause::NotUtf8, message)
    })?;
    let value =
        serde_json::from_str(text).map_err(|error| Failure::new(Cause::BadJson, json::problem(&error)))?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Failure::new(Cause::BadJson, "the line is not a JSON object")),
    }
}

/// The id: `custom_id`, or `id` in a bare line.
fn id(object: &Map<String, Value>) -> Result<Option<String>, Failure> {
    let name =
        if object.contains_key("custom_id") || object.contains_key("body") { "custom_id" } else { "id" };
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if !id.is_empty() => Ok(Some(id.clone())),
        Some(Value::Number(id)) if name == "id" => Ok(Some(id.to_string())),
        Some(Value::String(_)) => Err(Failure::new(Cause::MissingId, format!("`{name}` is empty"))),
        Some(_) => Err(Failure::new(Cause::MissingId, format!("`{name}` is not a string"))),
    }
}

/// The request in a line.
struct Request {
    endpoint: Endpoint,
    body: Map<String, Value>,
    /// Whether the line has `OpenAI`'s form, which requires an id.
    form: bool,
    /// Unknown fields beside the body.
    unknown: Vec<UnknownField>,
}

fn request(mut object: Map<String, Value>) -> Result<Request, Failure> {
    let bad = |message: &str| Failure::new(Cause::Request(ErrorCode::InvalidRequest), message);
    let text = |name: &str| object.get(name).map(|value| value.as_str().unwrap_or_default().to_owned());
    if let Some(method) = text("method").filter(|method| method != "POST") {
        return Err(Failure::new(Cause::BadEndpoint, format!("`method` is `{method}`, expected POST")));
    }
    let url = match text("url").as_deref() {
        None => None,
        Some("/v1/chat/completions") => Some(Endpoint::Chat),
        Some("/v1/completions") => Some(Endpoint::Text),
        Some(other) => {
            let expected = "/v1/chat/completions or /v1/completions";
            return Err(Failure::new(Cause::BadEndpoint, format!("`url` is `{other}`, expected {expected}")));
        }
    };
    if let Some(body) = object.remove("body") {
        let Value::Object(body) = body else { return Err(bad("`body` is not an object")) };
        let endpoint = match url {
            Some(url) => url,
            None => endpoint(&body, "`body`")?,
        };
        let others = object.into_iter().map(|(name, _)| name).filter(|name| !FORM.contains(&name.as_str()));
        let unknown = UnknownField::all(others, &FORM);
        return Ok(Request { endpoint, body, form: true, unknown });
    }
    if url.is_some() {
        return Err(bad("the line has no `body`"));
    }
    let endpoint = endpoint(&object, "the line")?;
    object.retain(|name, _| !["custom_id", "id", "method"].contains(&name.as_str()));
    Ok(Request { endpoint, body: object, form: false, unknown: Vec::new() })
}

/// The endpoint of a request without a URL. `place` is where its fields are.
fn endpoint(request: &Map<String, Value>, place: &str) -> Result<Endpoint, Failure> {
    let bad = |message| Err(Failure::new(Cause::Request(ErrorCode::InvalidRequest), message));
    match (request.contains_key("messages"), request.contains_key("prompt")) {
        (true, false) => Ok(Endpoint::Chat),
        (false, true) => Ok(Endpoint::Text),
        (true, true) => bad(format!("{place} has both `messages` and `prompt`")),
        (false, false) => bad(format!("{place} has neither `messages` nor `prompt`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::session::PromptText;

    const BAD_REQUEST: Cause = Cause::Request(ErrorCode::InvalidRequest);

    fn read(text: &[u8]) -> Row {
        read_with(text, None)
    }

    fn read_with(text: &[u8], system: Option<&str>) -> Row {
        let defaults = Defaults { system: system.map(str::to_owned), ..Defaults::default() };
        read_row(5, &Line::Whole(text.to_vec()), &defaults, &Settings::of(&defaults.options))
    }

    #[test]
    fn bare_and_named_forms_are_understood() {
        let id = |text: &str| read(text.as_bytes()).id;
        assert_eq!(id(r#"{"prompt": "x"}"#), "line-5");
        assert_eq!(id(r#"{"prompt": "x", "id": 7}"#), "7");
        assert_eq!(id(r#"{"prompt": "x", "id": "a", "custom_id": "b"}"#), "b");
        let body = r#"{"custom_id": "c", "url": "/v1/completions", "body": {"prompt": "x"}, "more": 1}"#;
        let row = read(body.as_bytes());
        assert!(row.asked.is_ok());
        assert_eq!(
            (row.id.as_str(), row.endpoint, row.unknown),
            (
                "c",
                Endpoint::Text,
                vec![UnknownField { name: "more".to_owned(), closest: None, is_known: false }]
            )
        );
        // The same request, named or bare, has the same hash.
        assert_eq!(row.hash, read(br#"{"prompt": "x"}"#).hash);
    }

    #[test]
    fn each_mistake_has_a_cause_of_its_own() {
        for (text, cause) in [
            (&b"\xff"[..], Cause::NotUtf8),
            (b"{", Cause::BadJson),
            (b"7", Cause::BadJson),
            (br#"{"custom_id": 7, "prompt": "x"}"#, Cause::MissingId),
            (br#"{"custom_id": "", "prompt": "x"}"#, Cause::MissingId),
            (br#"{"url": "/v1/completions", "body": {"prompt": "x"}}"#, Cause::MissingId),
            (br#"{"custom_id": "a", "body": {}}"#, BAD_REQUEST),
            (br#"{"custom_id": "a", "body": {"prompt": "x", "messages": []}}"#, BAD_REQUEST),
            (br#"{"custom_id": "a", "url": 7, "body": {}}"#, Cause::BadEndpoint),
            (br#"{"method": "GET", "prompt": "x"}"#, Cause::BadEndpoint),
            (br#"{"custom_id": "a", "url": "/v1/completions", "body": 7}"#, BAD_REQUEST),
            (br#"{"prompt": "x", "messages": []}"#, BAD_REQUEST),
            (b"{}", BAD_REQUEST),
            (br#"{"prompt": "x", "stream": true}"#, BAD_REQUEST),
            (br#"{"messages": [{"role": "user", "content": "x"}], "tool_choice": "required"}"#, BAD_REQUEST),
        ] {
            let failure = read(text).asked.expect_err("it is a mistake");
            assert_eq!(failure.cause, cause, "{}: {}", String::from_utf8_lossy(text), failure.message());
        }
    }

    #[test]
    fn a_refused_row_with_an_empty_id_has_the_id_of_its_line() {
        let refused = |id: &str| {
            let failure = Box::new(Failure::new(Cause::EmptyPrompt, "empty"));
            let line = Line::Refused { id: id.to_owned(), failure };
            read_row(5, &line, &Defaults::default(), &Settings::of(&GenerationOptions::default())).id
        };
        assert_eq!((refused("a").as_str(), refused("").as_str()), ("a", "line-5"));
    }

    #[test]
    fn the_fields_of_a_body_without_a_url_decide_its_endpoint() {
        for (body, url, endpoint) in [
            (r#"{"prompt": "x"}"#, "/v1/completions", Endpoint::Text),
            (r#"{"messages": [{"role": "user", "content": "x"}]}"#, "/v1/chat/completions", Endpoint::Chat),
        ] {
            let row = read(format!(r#"{{"custom_id": "a", "body": {body}}}"#).as_bytes());
            assert!(row.asked.is_ok(), "{row:?}");
            assert_eq!(row.endpoint, endpoint);
            let named = format!(r#"{{"custom_id": "a", "method": "POST", "url": "{url}", "body": {body}}}"#);
            assert_eq!(row.hash, read(named.as_bytes()).hash);
        }
    }

    #[test]
    fn a_row_has_one_prompt() {
        let prompt = |prompt: &str| {
            read(format!(r#"{{"prompt": {prompt}}}"#).as_bytes())
                .asked
                .map(|_| ())
                .map_err(|failure| failure.message().to_owned())
        };
        for one in [r#""x""#, r#"["x"]"#, "[1, 2]", "[[1, 2]]", r#"[1, "x"]"#] {
            assert_eq!(prompt(one), Ok(()), "{one}");
        }
        let refused = "`prompt` is a list of 2, expected one prompt in each row";
        assert_eq!(prompt(r#"["x", "y"]"#), Err(refused.to_owned()));
        assert_eq!(prompt("[[1], [2]]"), Err(refused.to_owned()));
    }

    #[test]
    fn the_system_prompt_applies_to_conversations_without_one() {
        let messages = |row: Row| match row.asked.unwrap().prompt {
            Prompt::Chat(messages) => messages.iter().map(|m| m.content.text()).collect::<Vec<_>>(),
            Prompt::Text(texts) => texts.iter().filter_map(PromptText::as_text).map(str::to_owned).collect(),
        };
        let plain = br#"{"messages": [{"role": "user", "content": "x"}]}"#;
        let written =
            br#"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "x"}]}"#;
        let own = br#"{"messages": [{"role": "system", "content": "o"}, {"role": "user", "content": "x"}]}"#;
        let developer =
            br#"{"messages": [{"role": "developer", "content": "o"}, {"role": "user", "content": "x"}]}"#;
        let text = br#"{"prompt": "x"}"#;
        let with = |line: &[u8]| read_with(line, Some("s"));
        assert_eq!(messages(with(plain)), ["s", "x"]);
        assert_eq!(messages(with(own)), ["o", "x"]);
        assert_eq!(messages(with(developer)), ["o", "x"]);
        // Only a row that it changes has another hash: the one that it would have with the message.
        assert_eq!(with(plain).hash, read(written).hash);
        assert_eq!(with(own).hash, read(own).hash);
        // A raw prompt cannot take it, which is not ignored in silence.
        assert_eq!(with(text).hash, read(text).hash);
        assert_eq!(with(text).ignored(), [Ignored::SystemPrompt]);
        assert_eq!(with(plain).ignored(), []);
    }

    #[test]
    fn a_batch_does_not_stream() {
        let failure = read(br#"{"prompt": "x", "stream": true}"#).asked.unwrap_err();
        assert_eq!(failure.message(), "`stream: true` is not supported in a batch");
        assert_eq!(failure.body()["error"]["param"], "stream");
        assert!(read(br#"{"prompt": "x", "stream": false}"#).asked.is_ok());
    }

    #[test]
    fn ignored_fields_are_named_wherever_they_are() {
        let text = r#"{"custom_id": "c", "url": "/v1/chat/completions", "more": 1, "body": {"wish": 2,
            "modalities": ["audio"], "messages": [{"role": "user", "content": "x"}]}}"#;
        let ignored = read(text.as_bytes()).ignored();
        assert_eq!(ignored.iter().map(Ignored::name).collect::<Vec<_>>(), ["more", "wish", "modalities"]);
        let verbose = read(br#"{"prompt": "x", "verbose": true}"#).ignored();
        assert_eq!(verbose.iter().map(Ignored::name).collect::<Vec<_>>(), ["verbose"]);
        assert_eq!(read(br#"{"prompt": "x", "verbose": false}"#).ignored(), []);
        let causes = ignored.into_iter().map(|field| Failure::ignored(field).cause);
        assert_eq!(causes.collect::<Vec<_>>(), [Cause::UnknownField, Cause::UnknownField, BAD_REQUEST]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_row(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..75) {
            let good = br#"{"custom_id":"a","url":"/v1/completions","body":{"prompt":"x","temperature":1}}"#;
            for text in [bytes.clone(), [&good[..cut], &bytes].concat(), [&bytes, &good[cut..]].concat()] {
                prop_assert!(!read(&text).id.is_empty());
            }
        }
    }
}
