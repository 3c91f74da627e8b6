//! Conversations over HTTP.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Method, Request, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::serve::limits::Limits;
use crate::serve::security::{Client, KeyId};
use crate::serve::testing::{LONG, Reply, app, asks, get, send};
use crate::serve::{Sessions, Settings, router};

const ONE: &str = "{\"ggrun_session\":1,\"model\":\"m\"}\n{\"role\":\"user\",\"content\":\"a\"}\n";
const TWO: &str = "{\"ggrun_session\":2,\"model\":\"m\",\"title\":\"t\",\"page\":1}\n\
    {\"parent\":null,\"role\":\"user\",\"content\":\"a\"}\n{\"parent\":null,\"role\":\"user\",\"content\":\"b\"}\n";

fn server(sessions: Sessions) -> Router {
    router(app("ok", Settings { sessions, ..Settings::default() }))
}

fn ask(router: &Router, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(router, request.body(Body::from(body.to_owned())).unwrap())
}

#[test]
fn a_conversation_is_created_read_changed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let router = server(Sessions::together(folder.path().join("sessions")));
    let path = "/api/conversations/sums";
    let put = |headers: &[(&str, &str)], body: &str| ask(&router, Method::PUT, path, headers, body);
    let get = |path: &str| ask(&router, Method::GET, path, &[], "");
    assert_eq!(get("/api/conversations").json()["data"], serde_json::json!([]));
    assert_eq!(get(path).status, StatusCode::NOT_FOUND);
    let created = put(&[("If-None-Match", "*")], ONE);
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    let read = get(path);
    assert_eq!(read.headers["content-type"], "application/jsonl");
    assert_eq!(read.headers["etag"], created.headers["etag"]);
    assert!(read.text.starts_with("{\"ggrun_session\":2,"), "{}", read.text);
    // The file is the one that `ggrun chat --session` reads.
    assert_eq!(fs::read_to_string(folder.path().join("sessions/sums.jsonl")).unwrap(), read.text);
    let tag = read.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(put(&[("If-None-Match", "*")], TWO).status, StatusCode::PRECONDITION_FAILED);
    for old in ["\"0\"", &format!("W/{tag}")] {
        assert_eq!(put(&[("If-Match", old)], TWO).status, StatusCode::PRECONDITION_FAILED);
    }
    let changed = put(&[("If-Match", &format!("\"0\", {tag}"))], TWO);
    assert_eq!(changed.status, StatusCode::NO_CONTENT, "{}", changed.text);
    let list = get("/api/conversations").json();
    let listed = &list["data"][0];
    assert_eq!(
        (&listed["name"], &listed["title"], &listed["model"]),
        (&"sums".into(), &"t".into(), &"m".into())
    );
    assert_eq!(listed["bytes"], get(path).text.len());
    assert!(get(path).text.contains("\"page\":1"), "fields of the page stay");
    for (text, number) in [("B", 1), ("%22b", 0)] {
        let found = get(&format!("/api/conversations?search={text}")).json();
        assert_eq!((found["data"].as_array().unwrap().len(), &found["is_complete"]), (number, &true.into()));
    }
    // The file is damaged, not the request.
    let file = folder.path().join("sessions/damaged.jsonl");
    for bytes in [&b"{}"[..], b"\xff"] {
        fs::write(&file, bytes).unwrap();
        let reply = get("/api/conversations/damaged");
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", reply.text);
    }
    let delete = |headers: &[(&str, &str)]| ask(&router, Method::DELETE, path, headers, "").status;
    assert_eq!(delete(&[("If-Match", &tag)]), StatusCode::PRECONDITION_FAILED);
    assert_eq!(delete(&[]), StatusCode::NO_CONTENT);
    assert_eq!(delete(&[]), StatusCode::NOT_FOUND);
    assert_eq!(put(&[("If-Match", "*")], ONE).status, StatusCode::NOT_FOUND);
}

#[test]
fn what_is_no_conversation_or_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let router = server(Sessions::together(folder.path().join("sessions")));
    let put =
        |path: &str, headers: &[(&str, &str)], body: &str| ask(&router, Method::PUT, path, headers, body);
    let new = [("If-None-Match", "*")];
    for (headers, names) in [
        (&[][..], "If-Match"),
        (&[("If-Match", "x")], "If-Match"),
        (&[("If-None-Match", "\"x\"")], "If-None-Match"),
        (&[("If-Match", "*"), ("If-None-Match", "*")], "If-None-Match"),
    ] {
        let reply = put("/api/conversations/a", headers, ONE);
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (StatusCode::BAD_REQUEST, &names.into()));
    }
    for (body, says) in [
        ("", "the file is empty"),
        ("{}", "line 1 has no `ggrun_session`"),
        ("{\"ggrun_session\":1,\"model\":\"\"}\n{\"role\":\"x\"}", "line 2 is not a message"),
    ] {
        let reply = put("/api/conversations/a", &new, body);
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert!(reply.text.contains(says), "{}", reply.text);
    }
    for name in
        ["..%2Fa", "a%2Fb", "%2e%2e", "..%5Ca", "a%00", ".hidden", "a%20b", "%ff", "nul", &"x".repeat(201)]
    {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let path = format!("/api/conversations/{name}");
            let headers = if method == Method::PUT { &new[..] } else { &[] };
            let reply = ask(&router, method, &path, headers, ONE);
            assert!([400, 404].contains(&reply.status.as_u16()), "{path}: {}", reply.text);
            assert!(reply.json()["error"]["message"].is_string());
        }
    }
    assert_eq!(
        ask(&router, Method::POST, "/api/conversations/a", &[], ONE).status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert!(!folder.path().join("sessions").exists(), "nothing was written");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_conversation_takes_memory_of_bodies_until_it_is_written_and_is_no_larger_than_one() {
    let folder = tempfile::tempdir().unwrap();
    let settings = |body_bytes| Settings {
        sessions: Sessions::together(folder.path().to_owned()),
        limits: Arc::new(Limits { body_bytes, all_bodies_bytes: 1 << 10, ..Limits::default() }),
        ..Settings::default()
    };
    fs::write(folder.path().join("a.jsonl"), TWO).unwrap();
    let one = router(app("ok", settings(TWO.len())));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ask = || {
        let request = Request::get("/api/conversations/a").body(Body::empty()).unwrap();
        runtime.block_on(one.clone().oneshot(request)).unwrap()
    };
    let unread = ask();
    assert_eq!((unread.status(), ask().status()), (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE));
    drop(unread);
    assert_eq!(ask().status(), StatusCode::OK);
    let large = get(&router(app("ok", settings(TWO.len() - 1))), "/api/conversations/a");
    assert_eq!(large.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(large.text.contains("`--max-body` allows more"), "{}", large.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_and_answers_do_not_wait_for_each_other_nor_for_a_search() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = Sessions::together(folder.path().to_owned());
    let app = app("ok", Settings { sessions, ..Settings::default() });
    let router = router(Arc::clone(&app));
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let status = |request: Request<Body>| {
        let router = router.clone();
        async move { timeout(LONG, router.oneshot(request)).await.unwrap().unwrap().status() }
    };
    let all = |turns: &Arc<Semaphore>| {
        let number = u32::try_from(turns.available_permits()).unwrap();
        Arc::clone(turns).try_acquire_many_owned(number).unwrap()
    };
    let preparing = all(&app.preparing);
    for path in ["/api/conversations", "/api/conversations?search=a"] {
        assert_eq!(status(get(path)).await, StatusCode::OK, "{path}");
    }
    drop(preparing);
    let storing = all(&app.storing);
    assert_eq!(status(asks(false)).await, StatusCode::OK);
    drop(storing);
    assert_eq!(app.searching.available_permits(), 1, "one search at a time");
    let searching = all(&app.searching);
    let search = tokio::spawn(status(get("/api/conversations?search=a")));
    assert_eq!(status(get("/api/conversations")).await, StatusCode::OK);
    assert_eq!(status(asks(false)).await, StatusCode::OK);
    assert!(!search.is_finished());
    drop(searching);
    assert_eq!(search.await.unwrap(), StatusCode::OK);
}

#[test]
fn without_a_folder_there_are_no_conversations() {
    let router = server(Sessions::default());
    for (method, path) in [(Method::GET, "/api/conversations"), (Method::PUT, "/api/conversations/a")] {
        let reply = ask(&router, method, path, &[("If-None-Match", "*")], ONE);
        assert_eq!(reply.status, StatusCode::NOT_IMPLEMENTED);
        assert!(reply.text.contains("conversations are not stored"), "{}", reply.text);
    }
}

#[test]
fn each_key_has_conversations_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let router = server(Sessions::by_key(folder.path().to_owned()));
    let ask = |key: Option<u64>, method: Method, path: &str| {
        let mut request = Request::builder().method(method).uri(path).header("If-None-Match", "*");
        if let Some(key) = key {
            request = request.extension(Client::Key(KeyId::with(key)));
        }
        send(&router, request.body(Body::from(ONE)).unwrap())
    };
    assert_eq!(ask(Some(1), Method::PUT, "/api/conversations/a").status, StatusCode::CREATED);
    assert_eq!(ask(Some(2), Method::GET, "/api/conversations/a").status, StatusCode::NOT_FOUND);
    assert_eq!(ask(Some(2), Method::PUT, "/api/conversations/a").status, StatusCode::CREATED);
    assert_eq!(ask(Some(1), Method::PUT, "/api/conversations/a").status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(ask(None, Method::GET, "/api/conversations").status, StatusCode::NOT_IMPLEMENTED);
    let of = |key: &str| Path::new(folder.path()).join(key).join("a.jsonl");
    assert!(of("0000000000000001").exists() && of("0000000000000002").exists());
}

#[test]
fn keys_share_cached_prefixes_unless_they_are_isolated() {
    for (isolate_keys, cached) in [(true, [false, true, false, false]), (false, [false, true, true, true])] {
        let router = router(app("ok", Settings { isolate_keys, ..Settings::default() }));
        let body =
            serde_json::json!({ "messages": [{ "role": "user", "content": "a question of some length" }] });
        let seen = [Some(1), Some(1), Some(2), None].map(|key| {
            let mut request = Request::post("/v1/chat/completions");
            if let Some(key) = key {
                request = request.extension(Client::Key(KeyId::with(key)));
            }
            let reply = send(&router, request.body(Body::from(body.to_string())).unwrap());
            reply.json()["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap() > 0
        });
        assert_eq!(seen, cached);
    }
}
