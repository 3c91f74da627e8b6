//! What a request passes before its endpoint: a place among the open requests, and its body within the limits.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;

use super::admission::Permit;
use super::app::App;
use super::followed::{Follow, Followed};
use super::listen::Peer;
use super::must_end::must_end;
use super::receive;
use super::refused::Refused;
use super::security::Client;
use super::tally::Tally;
use crate::engine::Namespace;

/// A middleware for endpoints with a body: reads it.
pub(super) async fn with_body(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match receive(&app, request).await {
        Ok(request) => next.run(request).await,
        Err(response) => response,
    }
}

/// A middleware for endpoints that generate: also gives the request a place until the end of its response, or until it
/// fails.
pub(super) async fn admitted(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match admit(&app, request).await {
        Ok((request, mut place)) => {
            let peer = request.extensions().get::<Peer>().cloned();
            let mut stage = app.drain.stage();
            let response = tokio::select! {
                biased;
                response = next.run(request) => response,
                () = must_end(&mut stage, &place.tally) => return Refused::Draining.into_response(),
            };
            if !response.status().is_success() {
                // Nothing is answered any more, however long the client takes to read the error.
                place.permit = None;
            }
            response.map(|body| Body::new(Followed { body, follower: Held { peer, place } }))
        }
        Err(response) => response,
    }
}

async fn admit(app: &Arc<App>, request: Request) -> Result<(Request, Place), Response> {
    let client = request.extensions().get::<Client>().copied().unwrap_or(Client::Local);
    let slots = app.engine().map_err(IntoResponse::into_response)?.card.slots as usize;
    app.admission.check(client, slots).map_err(IntoResponse::into_response)?;
    let mut request = receive(app, request).await?;
    let permit = app.admission.admit(client, slots).map_err(IntoResponse::into_response)?;
    let tally = request.extensions_mut().get_or_insert_default::<Tally>().clone();
    request.extensions_mut().insert(client.id());
    if app.settings.isolate_keys
        && let Client::Key(key) = client
    {
        // Never the namespace that requests without a key share.
        request.extensions_mut().insert(Namespace(key.number().max(1)));
    }
    Ok((request, Place { permit: Some(permit), tally, whole: false }))
}

async fn receive(app: &Arc<App>, request: Request) -> Result<Request, Response> {
    let (mut parts, body) = request.into_parts();
    let received = receive::read(&parts.headers, body, &app.settings.limits, &app.bodies).await;
    parts.extensions.insert(Arc::new(received.map_err(IntoResponse::into_response)?));
    Ok(Request::from_parts(parts, Body::empty()))
}

/// The place of a request.
#[derive(Debug)]
struct Place {
    permit: Option<Permit>,
    tally: Tally,
    /// Whether the response was written to its end.
    whole: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take().filter(|_| self.whole) {
            let taken = self.tally.taken();
            let queued = taken.ended.iter().map(|ended| ended.timings.queued).min().unwrap_or(Duration::ZERO);
            permit.complete(taken.arrived.elapsed().saturating_sub(queued));
        }
    }
}

/// Holds the place of a request until the end of its response.
#[derive(Debug)]
struct Held {
    peer: Option<Peer>,
    place: Place,
}

impl Follow for Held {
    fn frame<E>(&mut self, _: Option<&Result<Frame<Bytes>, E>>, is_last: bool) {
        self.place.whole = is_last;
        if is_last && self.place.tally.has_failed() {
            // A client that overlooks the error in a stream must not take the answer for complete.
            self.peer.iter().for_each(Peer::close_after_response);
        }
    }
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
