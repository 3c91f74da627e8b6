//! `/openapi.json`: the document in `openapi.json`, which tests compare with the router and the readers.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};

use crate::serve::app::App;

/// The document without the need of a key.
const DOCUMENT: &str = include_str!("../openapi.json");

/// The document.
pub(in crate::serve) async fn openapi(State(_): State<Arc<App>>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], DOCUMENT).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::openai::{Endpoint, taken};
    use crate::serve::testing::{app, get, post, send, served, server};
    use crate::serve::{Sessions, Settings};
    use axum::body::Body;
    use http::Request;
    use serde_json::{Map, Value, json};

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    /// Follows a reference.
    fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(place) => document.pointer(place.trim_start_matches('#')).unwrap(),
            None => schema,
        }
    }

    #[test]
    fn the_paths_are_those_of_the_router() {
        let document = document();
        let described: BTreeSet<String> =
            document["paths"].as_object().unwrap().keys().map(|path| short(path)).collect();
        let routes = include_str!("../router.rs")
            .split(".route(")
            .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
        let found = routes.filter(|path| *path != "/").map(|path| path.replace("{*", "{"));
        assert_eq!(described, found.collect::<BTreeSet<_>>());
    }

    fn short(path: &str) -> String {
        path.strip_prefix("/v1").unwrap_or(path).to_owned()
    }

    #[test]
    fn every_path_takes_its_methods_and_no_other_with_and_without_v1() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("name.jsonl"), "{\"ggrun_session\":1}\n").unwrap();
        let sessions = Sessions::together(folder.path().to_owned());
        let router = served(app("", Settings { sessions, ..Settings::default() }));
        for (path, methods) in document()["paths"].as_object().unwrap() {
            let place = short(path).replace("{model}", "model").replace("{name}", "name");
            let mut places = vec![place.clone()];
            places.extend((!place.starts_with("/api/")).then(|| format!("/v1{place}")));
            for place in places {
                for method in ["get", "post", "put", "delete"] {
                    let request = Request::builder().method(method.to_uppercase().as_str()).uri(&place);
                    let found = send(&router, request.body(Body::from("{}")).unwrap());
                    let status = found.status.as_u16();
                    let is_taken = status != 405 && status != 501;
                    let turned_off = place.ends_with("/metrics") && method == "get";
                    assert_eq!(
                        is_taken || turned_off,
                        methods.get(method).is_some_and(|described| described["responses"]["501"].is_null()),
                        "{method} {place}: {status}"
                    );
                    assert_ne!(status, 404, "{method} {place}");
                }
            }
        }
    }

    /// Every name of a property in a schema.
    fn properties(document: &Value, schema: &Value, out: &mut BTreeSet<String>) {
        let schema = resolved(document, schema);
        for (name, property) in schema["properties"].as_object().unwrap_or(&Map::new()) {
            out.insert(name.clone());
            properties(document, property, out);
        }
        for inner in schema["anyOf"].as_array().unwrap_or(&Vec::new()) {
            properties(document, inner, out);
        }
    }

    fn schema(document: &Value, path: &str) -> Value {
        let content = &document["paths"][path]["post"]["requestBody"]["content"];
        resolved(document, &content["application/json"]["schema"]).clone()
    }

    #[test]
    fn every_described_property_is_read() {
        let router = server("");
        let document = document();
        for (path, methods) in document["paths"].as_object().unwrap() {
            if methods.get("post").is_none_or(|described| described["requestBody"].is_null()) {
                continue;
            }
            let schema = schema(&document, path);
            let names = schema["properties"].as_object().unwrap().keys();
            let mut body: Map<String, Value> = names.map(|name| (name.clone(), Value::Null)).collect();
            body.insert("unheard".to_owned(), Value::Null);
            body.extend(required(path));
            let found = post(&router, path, &Value::Object(body));
            if path.ends_with("/control") {
                assert_eq!(found.json()["error"]["param"], "unheard");
                continue;
            }
            assert_eq!(found.status.as_u16(), 200, "{path}: {}", found.text);
            let ignored = found.headers.get("x-ggrun-ignored").map(|names| names.to_str().unwrap());
            assert_eq!(ignored, Some("unheard"), "{path}");
        }
    }

    /// The fields without which a body is refused.
    fn required(path: &str) -> Map<String, Value> {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let fields = match path {
            "/v1/completions" | "/completion" => json!({"prompt": "hi"}),
            "/v1/responses" | "/v1/responses/input_tokens" => json!({"input": "hi"}),
            "/tokenize" | "/detokenize" => json!({}),
            _ => json!({"messages": messages, "max_tokens": 4}),
        };
        fields.as_object().unwrap().clone()
    }

    #[test]
    fn every_field_that_is_read_is_described() {
        type Read = fn(Map<String, Value>);

        let document = document();
        let read: [(&str, Read); 5] = [
            ("/v1/chat/completions", |body| drop(crate::openai::read(Endpoint::Chat, body).unwrap())),
            ("/v1/completions", |body| drop(crate::openai::read(Endpoint::Text, body).unwrap())),
            ("/completion", |body| drop(crate::openai::completion::read(body).unwrap())),
            ("/v1/responses", |body| drop(crate::openai::responses::read(body).unwrap())),
            ("/v1/messages", |body| drop(crate::anthropic::read(body).unwrap())),
        ];
        for (path, read) in read {
            let mut described = BTreeSet::new();
            properties(&document, &schema(&document, path), &mut described);
            let mut body = required(path);
            body.insert("stream_options".to_owned(), json!({}));
            drop(taken());
            read(body);
            let read = taken();
            assert!(read.len() > 10, "{path}: {read:?}");
            // The parts of messages and tools are described in words only.
            let parts = ["role", "content", "type", "text", "cache_control", "citations"];
            for name in read.into_iter().filter(|name| !parts.contains(name)) {
                assert!(described.contains(name), "`{name}` of {path} is not described");
            }
        }
    }

    #[test]
    fn the_document_is_served() {
        let found = get(&server(""), "/openapi.json");
        assert_eq!(found.headers["content-type"], "application/json");
        assert_eq!(found.json()["openapi"], "3.1.0");
    }
}
