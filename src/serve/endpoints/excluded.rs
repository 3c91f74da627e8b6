//! Endpoints of llama-server that this server does not have: 501, so that a client can tell them from a wrong path.

use axum::extract::OriginalUri;
use http::Method;

use crate::openai::{ApiError, ErrorCode};
use crate::serve::error::HttpError;

/// Paths, with and without `/v1`, that are answered with 501 for any method.
pub(in crate::serve) const PATHS: [&str; 9] = [
    "/audio/transcriptions",
    "/embedding",
    "/embeddings",
    "/infill",
    "/lora-adapters",
    "/rerank",
    "/reranking",
    "/slots/{id}",
    "/systemone",
];

/// Refuses a request for one of these.
pub(in crate::serve) async fn not_supported(OriginalUri(uri): OriginalUri, method: Method) -> HttpError {
    let message = format!("`{method} {}` is not supported", uri.path());
    ApiError::new(ErrorCode::NotSupported, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::testing::{get, post, server};
    use serde_json::json;

    #[test]
    fn endpoints_that_are_not_supported_are_refused_with_501() {
        let router = server("");
        let found = |path: &str| post(&router, path, &json!({"input": "x"}));
        for path in PATHS
            .map(|path| path.replace("{id}", "0"))
            .iter()
            .map(String::as_str)
            .chain(["/props", "/v1/embeddings"])
        {
            let found = found(path);
            assert_eq!(
                (found.status.as_u16(), &found.json()["error"]["type"]),
                (501, &json!("not_supported_error")),
                "{path}"
            );
        }
        assert_eq!(get(&router, "/lora-adapters").status.as_u16(), 501);
        assert_eq!(found("/other").status.as_u16(), 404);
    }
}
