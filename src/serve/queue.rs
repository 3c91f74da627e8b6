//! The place of a request in the queue.

use tokio::sync::watch;

use crate::engine::{RequestId, Status};

/// A request that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its number in the order in which requests are served, from 1.
    pub(super) position: usize,
    /// Requests that wait.
    pub(super) waiting: usize,
}

/// Follows the place of a request.
#[derive(Debug)]
pub(super) struct Queue {
    status: watch::Receiver<Status>,
    request: RequestId,
    last: Option<Place>,
}

impl Queue {
    pub(super) fn new(status: watch::Receiver<Status>, request: RequestId) -> Self {
        Self { status, request, last: None }
    }

    /// Waits until the request has another place than at the last call. Does not end while it has none.
    pub(super) async fn moved(&mut self) -> Place {
        let (request, last) = (self.request, self.last);
        let place = |status: &Status| {
            let position = status.waiting.iter().position(|&id| id == request)? + 1;
            Some(Place { position, waiting: status.waiting.len() })
        };
        let mut found = None;
        let moved = |status: &Status| {
            found = place(status).filter(|place| Some(*place) != last);
            found.is_some()
        };
        // Without an engine, the request ends by itself.
        drop(self.status.wait_for(moved).await);
        match found {
            Some(place) => *self.last.insert(place),
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_place_is_returned_when_it_changes() {
        let (status, watched) = watch::channel(Status::default());
        let mut queue = Queue::new(watched, RequestId(3));
        let mut next = |waiting: &[u64]| {
            let waiting = waiting.iter().copied().map(RequestId).collect();
            status.send_replace(Status { waiting, ..Status::default() });
            queue.moved().now_or_never().map(|place| (place.position, place.waiting))
        };
        assert_eq!(next(&[1, 2]), None);
        assert_eq!(next(&[1, 2, 3]), Some((3, 3)));
        assert_eq!(next(&[1, 2, 3]), None);
        assert_eq!(next(&[2, 3, 4]), Some((2, 3)));
        assert_eq!(next(&[3, 4, 5]), Some((1, 3)));
        assert_eq!(next(&[4, 5]), None);
        drop(status);
        assert_eq!(queue.moved().now_or_never(), None);
    }
}
