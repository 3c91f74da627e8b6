//! Each rule with what it admits and what it refuses.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::any;
use http::{Method, Request};
use tower::ServiceExt as _;

use super::*;

fn policy(keys: &[&str], cors: &[&str]) -> Policy {
    Policy {
        hosts: vec!["box.lan".to_owned()],
        cors: if cors.is_empty() { Cors::default() } else { Cors::parse(cors).unwrap() },
        keys: Arc::new(Keys::new(keys, None).unwrap()),
        open: Open::new(|_, path| path == "/health"),
    }
}

async fn send(policy: Policy, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let router = Router::new()
        .fallback(any(|client: axum::Extension<Client>| async move { format!("{:?}", client.0) }))
        .layer(from_fn_with_state(Arc::new(policy), layer));
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn status(policy: Policy, method: Method, headers: &[(&str, &str)]) -> u16 {
    send(policy, method, "/v1/models", headers).await.status().as_u16()
}

#[tokio::test]
async fn a_host_is_an_address_this_machine_or_a_listed_name() {
    for host in [
        "127.0.0.1",
        "127.0.0.1:8080",
        "192.168.1.5:1",
        "[::1]",
        "[::1]:8080",
        "[2001:db8::1]:1",
        "localhost",
        "LOCALHOST:8080",
        "localhost.",
        "localhost:",
        "app.localhost:3000",
        "box.lan",
        "Box.LAN:8080",
    ] {
        assert_eq!(status(policy(&[], &[]), Method::GET, &[("host", host)]).await, 200, "{host}");
        assert_eq!(status(policy(&[], &[]), Method::POST, &[("host", host)]).await, 200, "{host}");
    }
    for host in [
        "",
        " ",
        "evil.com",
        "evil.com:8080",
        "127.0.0.1.evil.com",
        "localhost.evil.com",
        "evil-localhost",
        "notlocalhost",
        "localhost@evil.com",
        "2130706433",
        "0x7f.1",
        "127.1",
        "1.2.3.4.5",
        "[::1",
        "::1",
        "[::1]x",
        "[evil]:80",
        "localhost:x",
        "localhost:99999",
        "localhost:+80",
        "localhost:80:80",
        "box.lan.evil.com",
        "sub.box.lan",
        ".",
        "..",
        "localhost, evil.com",
    ] {
        let response = send(policy(&[], &[]), Method::GET, "/v1/models", &[("host", host)]).await;
        assert_eq!(response.status().as_u16(), 403, "{host}");
    }
    assert_eq!(status(policy(&[], &[]), Method::GET, &[]).await, 403);
    let two = [("host", "localhost"), ("host", "evil.com")];
    assert_eq!(status(policy(&[], &[]), Method::GET, &two).await, 403);
    // The URI of a request to a proxy has a host too.
    let proxied = send(policy(&[], &[]), Method::GET, "http://evil.com/", &[("host", "localhost")]).await;
    assert_eq!(proxied.status().as_u16(), 403);
    let proxied = send(policy(&[], &[]), Method::GET, "http://localhost/", &[("host", "localhost")]).await;
    assert_eq!(proxied.status().as_u16(), 200);
}

#[tokio::test]
async fn with_keys_any_host_is_served() {
    let headers = [("host", "evil.com"), ("authorization", "Bearer one")];
    assert_eq!(status(policy(&["one"], &[]), Method::GET, &headers).await, 200);
}

/// Whether a request of an origin is served, and whether its page may read the answer.
async fn of_origin(cors: &[&str], method: Method, host: &str, origin: &str) -> (u16, Option<String>) {
    let response = send(policy(&[], cors), method, "/v1/models", &[("host", host), ("origin", origin)]).await;
    let allowed = response.headers().get("access-control-allow-origin");
    assert!(response.headers().get("vary").is_some_and(|vary| vary == "origin"));
    assert!(response.headers().get("access-control-allow-credentials").is_none());
    (response.status().as_u16(), allowed.map(|value| value.to_str().unwrap().to_owned()))
}

#[tokio::test]
async fn foreign_origins_write_nothing_and_read_nothing() {
    for origin in [
        "http://evil.com",
        "https://localhost.evil.com",
        "http://notlocalhost",
        "null",
        "",
        "localhost",
        "http://",
        "http://127.0.0.1@evil.com",
        "http://127.0.0.1.evil.com",
        "file://",
        "chrome-extension://abc",
        "http://localhost/x",
        "ftp://localhost",
    ] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            assert_eq!(of_origin(&[], method, "localhost:8080", origin).await, (403, None), "{origin}");
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert_eq!(of_origin(&[], method, "localhost:8080", origin).await, (200, None), "{origin}");
        }
    }
    let two = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://evil.com")];
    assert_eq!(status(policy(&[], &[]), Method::POST, &two).await, 403);
}

#[tokio::test]
async fn pages_of_this_machine_and_listed_ones_are_served() {
    for origin in [
        "http://localhost",
        "http://localhost:3000",
        "https://localhost",
        "http://app.localhost:1",
        "http://127.0.0.1:3000",
        "http://127.9.9.9",
        "http://[::1]:3000",
    ] {
        assert_eq!(
            of_origin(&[], Method::POST, "localhost:8080", origin).await,
            (200, Some(origin.to_owned()))
        );
    }
    let list = ["https://Example.com/", "http://a.b:80", "chrome-extension://abc"];
    for origin in ["https://example.com", "https://example.com:443", "http://a.b", "chrome-extension://abc"] {
        assert_eq!(of_origin(&list, Method::POST, "localhost", origin).await, (200, Some(origin.to_owned())));
    }
    for origin in
        ["http://example.com", "https://example.com:8443", "https://sub.example.com", "http://evil.com"]
    {
        assert_eq!(of_origin(&list, Method::POST, "localhost", origin).await.0, 403, "{origin}");
    }
    assert_eq!(
        of_origin(&["*"], Method::POST, "localhost", "http://evil.com").await,
        (200, Some("*".to_owned()))
    );
}

#[tokio::test]
async fn the_page_of_the_server_itself_is_not_foreign() {
    for (host, origin) in [
        ("box.lan:8080", "http://box.lan:8080"),
        ("box.lan", "https://box.lan"),
        ("box.lan:443", "https://box.lan"),
        ("192.168.1.5:8080", "http://192.168.1.5:8080"),
    ] {
        assert_eq!(of_origin(&[], Method::POST, host, origin).await, (200, None), "{host}");
    }
    for (host, origin) in
        [("box.lan:8080", "http://box.lan"), ("192.168.1.5:8080", "http://192.168.1.6:8080")]
    {
        assert_eq!(of_origin(&[], Method::POST, host, origin).await.0, 403, "{host}");
    }
}

async fn preflight(cors: &[&str], origin: &str) -> Response {
    let headers = [
        ("host", "localhost"),
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization, x-stainless-os"),
    ];
    send(policy(&["one"], cors), Method::OPTIONS, "/v1/chat/completions", &headers).await
}

#[tokio::test]
async fn a_preflight_needs_no_key_and_a_foreign_one_gets_no_permission() {
    for (cors, origin, value) in [
        (&[][..], "http://localhost:3000", "http://localhost:3000"),
        (&["https://example.com"], "https://example.com", "https://example.com"),
        (&["*"], "https://any.com", "*"),
    ] {
        let response = preflight(cors, origin).await;
        assert_eq!(response.status().as_u16(), 200);
        let headers = response.headers();
        assert_eq!(headers["access-control-allow-origin"], value);
        assert_eq!(headers["access-control-allow-headers"], "authorization, x-stainless-os");
        assert!(headers["access-control-allow-methods"].to_str().unwrap().contains("POST"));
    }
    for (cors, origin) in
        [(&[][..], "https://evil.com"), (&["https://example.com"], "http://localhost"), (&[], "null")]
    {
        let response = preflight(cors, origin).await;
        assert_eq!(response.status().as_u16(), 200);
        let names: Vec<_> = response.headers().keys().map(http::HeaderName::as_str).collect();
        assert!(!names.iter().any(|name| name.starts_with("access-control-")), "{names:?}");
    }
}

#[test]
fn what_is_not_an_origin_is_refused_by_its_value() {
    for value in
        ["example.com", "https://", "https://a/b", "https://a?b", "http://a b", "https://u@a", "null", ""]
    {
        let error = Cors::parse(&[value]).unwrap_err();
        assert_eq!(error, CorsError { value: value.to_owned() });
    }
}

#[tokio::test]
async fn each_request_needs_a_key_if_there_are_keys() {
    let with = |headers: &'static [(&'static str, &'static str)]| async move {
        let headers: Vec<_> = headers.iter().copied().chain([("host", "localhost")]).collect();
        let response = send(policy(&["one", "two"], &[]), Method::POST, "/v1/messages", &headers).await;
        response.status().as_u16()
    };
    for good in [
        &[("authorization", "Bearer one")][..],
        &[("authorization", "bearer two")],
        &[("authorization", "Bearer  one ")],
        &[("x-api-key", "two")],
        &[("authorization", "Bearer x"), ("x-api-key", "one")],
    ] {
        assert_eq!(with(good).await, 200, "{good:?}");
    }
    for bad in [
        &[][..],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Bearer on")],
        &[("authorization", "Bearer onee")],
        &[("authorization", "Bearer ONE")],
        &[("authorization", "Basic one")],
        &[("authorization", "one")],
        &[("x-api-key", "")],
        &[("cookie", "key=one")],
        &[("authorization", "Bearerone1")],
        &[("authorization", "Bearer one, two")],
    ] {
        assert_eq!(with(bad).await, 401, "{bad:?}");
    }
    let open = send(policy(&["one"], &[]), Method::GET, "/health", &[("host", "localhost")]).await;
    assert_eq!(open.status().as_u16(), 200);
    for path in ["/health/", "//health", "/health/../v1/models", "/HEALTH", "/v1/models?x=/health"] {
        let closed = send(policy(&["one"], &[]), Method::GET, path, &[("host", "localhost")]).await;
        assert_eq!(closed.status().as_u16(), 401, "{path}");
    }
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_can_read_that_its_key_is_missing() {
    let headers = [("host", "localhost"), ("origin", "http://localhost:3000")];
    let response = send(policy(&["one"], &[]), Method::POST, "/v1/models", &headers).await;
    assert_eq!(response.status().as_u16(), 401);
    assert_eq!(response.headers()["access-control-allow-origin"], "http://localhost:3000");
}

#[test]
fn keys_are_read_again_and_a_bad_file_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let valid = |keys: &Keys, key: &str| {
        keys.of(&http::HeaderMap::from_iter([(
            http::header::AUTHORIZATION,
            format!("Bearer {key}").parse().unwrap(),
        )]))
    };
    assert!(matches!(Keys::new(&["a"], Some(&path)), Err(KeyError::Read { .. })));
    std::fs::write(&path, "\n  \n# x\n").unwrap();
    assert!(matches!(Keys::new(&["a"], Some(&path)), Err(KeyError::NoKey { .. })));
    std::fs::write(&path, "b\r\n\n c \n").unwrap();
    let keys = Keys::new(&["a"], Some(&path)).unwrap();
    assert!(["a", "b", "c"].iter().all(|key| valid(&keys, key).is_some()));
    assert_ne!(valid(&keys, "a"), valid(&keys, "b"));
    std::fs::write(&path, "d").unwrap();
    keys.reload().unwrap();
    assert_eq!(["a", "b", "d"].map(|key| valid(&keys, key).is_some()), [true, false, true]);
    std::fs::write(&path, "").unwrap();
    assert!(keys.reload().is_err());
    assert!(valid(&keys, "d").is_some());
    assert!(matches!(Keys::new(&[" "], None), Err(KeyError::Empty)));
}
