//! Receives request bodies within limits: size, time between reads, time in all, and the memory of all bodies together.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::followed::Follow;
use super::limits::Limits;
use super::refused::Refused;

/// Bytes of a unit of [`Bodies`].
const UNIT: usize = 1 << 10;

/// The memory of all bodies of requests that are being read or prepared, and of large responses.
#[derive(Debug, Clone)]
pub(super) struct Bodies(Arc<Semaphore>);

/// A part of that memory, until it is dropped.
#[derive(Debug)]
pub(super) struct Memory(OwnedSemaphorePermit);

impl Follow for Memory {}

impl Bodies {
    /// As much as the limits allow.
    #[must_use]
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Semaphore::new((limits.all_bodies_bytes / UNIT).min(Semaphore::MAX_PERMITS))))
    }

    /// Takes the memory of this many bytes.
    ///
    /// # Errors
    ///
    /// When others have taken it.
    pub(super) fn take(&self, bytes: usize) -> Result<Memory, Refused> {
        self.units(bytes.div_ceil(UNIT))
    }

    fn units(&self, units: usize) -> Result<Memory, Refused> {
        let units = u32::try_from(units).map_err(|_| Refused::Bodies)?;
        Arc::clone(&self.0).try_acquire_many_owned(units).map(Memory).map_err(|_| Refused::Bodies)
    }
}

/// A body, whose memory is counted until it is dropped. Each request of an endpoint with a body has it as an extension.
#[derive(Debug)]
pub(super) struct Received {
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    memory: Option<Memory>,
}

/// Reads a body.
///
/// # Errors
///
/// When it is too long, too slow, compressed, incomplete, or there is no memory for it.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    limits: &Limits,
    bodies: &Bodies,
) -> Result<Received, Refused> {
    check(headers, limits)?;
    let slow = || Refused::SlowBody { pause: limits.body_pause, time: limits.body_time };
    let end = Instant::now() + limits.body_time;
    let mut received = Received { bytes: Vec::new(), memory: None };
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let Ok(frame) = timeout(left.min(limits.body_pause), body.frame()).await else {
            return Err(slow());
        };
        let Some(frame) = frame else { return Ok(received) };
        let Ok(data) = frame.map_err(|_| Refused::Incomplete)?.into_data() else { continue };
        received.add(&data, limits, bodies)?;
        if left == Duration::ZERO {
            return Err(slow());
        }
    }
}

/// Checks what the headers say about a body, before it is read.
fn check(headers: &HeaderMap, limits: &Limits) -> Result<(), Refused> {
    for encoding in headers.get_all(header::CONTENT_ENCODING) {
        if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") {
            let encoding = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
            return Err(Refused::Encoding { encoding });
        }
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > limits.body_bytes as u64) {
        return Err(Refused::TooLarge { limit: limits.body_bytes });
    }
    Ok(())
}

impl Received {
    fn add(&mut self, data: &Bytes, limits: &Limits, bodies: &Bodies) -> Result<(), Refused> {
        let length = self.bytes.len() + data.len();
        if length > limits.body_bytes {
            return Err(Refused::TooLarge { limit: limits.body_bytes });
        }
        let held = self.memory.as_ref().map_or(0, |memory| memory.0.num_permits());
        let more = length.div_ceil(UNIT).saturating_sub(held);
        if more > 0 {
            let more = bodies.units(more)?;
            match &mut self.memory {
                Some(memory) => memory.0.merge(more.0),
                None => self.memory = Some(more),
            }
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream::{self, StreamExt as _};

    use super::*;

    fn limits() -> Limits {
        Limits {
            body_bytes: 4096,
            all_bodies_bytes: 6144,
            body_pause: Duration::from_millis(60),
            body_time: Duration::from_millis(300),
            ..Limits::default()
        }
    }

    async fn read(headers: &[(&str, &str)], body: Body, bodies: &Bodies) -> Result<Received, Refused> {
        let map = headers.iter().map(|(name, value)| {
            (name.parse::<http::HeaderName>().unwrap(), http::HeaderValue::from_str(value).unwrap())
        });
        super::read(&map.collect(), body, &limits(), bodies).await
    }

    /// A body of pieces of 16 bytes, one per interval.
    fn drip(pieces: usize, interval: Duration) -> Body {
        Body::from_stream(stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(interval).await;
            Ok::<_, Infallible>(vec![b'x'; 16])
        }))
    }

    #[tokio::test]
    async fn a_body_is_read_to_its_limit_and_no_further() {
        let bodies = Bodies::new(&limits());
        assert_eq!(read(&[], vec![1; 4096].into(), &bodies).await.unwrap().bytes, vec![1; 4096]);
        let large = Refused::TooLarge { limit: 4096 };
        assert_eq!(read(&[], vec![1; 4097].into(), &bodies).await.unwrap_err(), large);
        // Without its length.
        let body = Body::from_stream(stream::iter((0..257).map(|_| Ok::<_, Infallible>(vec![1; 16]))));
        assert_eq!(read(&[], body, &bodies).await.unwrap_err(), large);
        // By its length alone.
        let never = Body::from_stream(stream::pending::<Result<Vec<u8>, Infallible>>());
        assert_eq!(read(&[("content-length", "4097")], never, &bodies).await.unwrap_err(), large);
    }

    #[tokio::test]
    async fn a_body_that_stops_or_drips_is_refused() {
        let bodies = Bodies::new(&limits());
        let slow = Refused::SlowBody { pause: limits().body_pause, time: limits().body_time };
        let stopped = drip(2, Duration::from_hours(1));
        assert_eq!(read(&[], stopped, &bodies).await.unwrap_err(), slow);
        let dripping = drip(200, Duration::from_millis(5));
        assert_eq!(read(&[], dripping, &bodies).await.unwrap_err(), slow);
    }

    #[tokio::test]
    async fn all_bodies_share_their_memory_until_they_are_dropped() {
        let bodies = Bodies::new(&limits());
        let first = read(&[], vec![1; 4096].into(), &bodies).await.unwrap();
        assert_eq!(read(&[], vec![1; 4096].into(), &bodies).await.unwrap_err(), Refused::Bodies);
        drop(first);
        assert!(read(&[], vec![1; 4096].into(), &bodies).await.is_ok());
    }

    #[tokio::test]
    async fn a_compressed_body_is_refused_by_name() {
        let bodies = Bodies::new(&limits());
        let refused = read(&[("content-encoding", "zstd")], Body::empty(), &bodies).await.unwrap_err();
        assert_eq!(refused, Refused::Encoding { encoding: "zstd".to_owned() });
        assert!(read(&[("content-encoding", "identity")], Body::empty(), &bodies).await.is_ok());
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_incomplete() {
        let broken = Body::from_stream(stream::iter([Ok(b"x".to_vec()), Err("lost")]));
        assert_eq!(read(&[], broken, &Bodies::new(&limits())).await.unwrap_err(), Refused::Incomplete);
    }
}
