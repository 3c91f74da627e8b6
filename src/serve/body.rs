//! Reads the body of a request.

use axum::extract::Request;
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Map, Value};

use super::error::HttpError;
use super::tally::Tally;
use crate::json;
use crate::openai::{ApiError, ErrorCode};

/// Bytes of a body.
const MOST: usize = 16 << 20;

/// The body of a request as an object, and the tally of the request.
///
/// # Errors
///
/// When the body is too large, breaks off, or is not a JSON object.
pub(super) async fn read(request: Request) -> Result<(Tally, Map<String, Value>), HttpError> {
    let (mut parts, body) = request.into_parts();
    let tally = parts.extensions.remove::<Tally>().unwrap_or_default();
    let bytes = Limited::new(body, MOST).collect().await.map_err(|_| {
        let message = format!("the body has more than {MOST} bytes, or breaks off");
        ApiError::new(ErrorCode::BodyTooLarge, message)
    })?;
    let invalid = |message: String| ApiError::new(ErrorCode::InvalidRequest, message);
    match serde_json::from_slice(&bytes.to_bytes()) {
        Ok(Value::Object(object)) => Ok((tally, object)),
        Ok(_) => Err(invalid("the body is not a JSON object".to_owned()).into()),
        Err(error) => Err(invalid(format!("the body is not JSON: {}", json::problem(&error))).into()),
    }
}
