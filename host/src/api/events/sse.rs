//! Server-sent events over HTTP: frames, the connection's life, and how many there may be.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, StreamExt as _};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::error::Error;

/// WebSockets at once that have not shown a key.
const DOORSTEP: usize = 32;
/// Between two signs of life; proxies and clients give up after a minute or so.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// After which a client that was cut off comes again.
const RETRY: Duration = Duration::from_secs(1);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// nginx holds back what it takes for an ordinary answer.
const BUFFERING: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-buffering"),
    HeaderValue::from_static("no"),
);

/// Streams and WebSockets at once.
#[derive(Debug, Clone)]
pub(in crate::api) struct Streams {
    places: Arc<Semaphore>,
    most: usize,
    /// For WebSockets that have shown nothing yet: strangers must not take the places of others.
    doorstep: Arc<Semaphore>,
}

/// Given back when the stream ends.
pub(in crate::api) type Place = OwnedSemaphorePermit;

impl Streams {
    pub(in crate::api) fn new(most: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most)),
            most,
            doorstep: Arc::new(Semaphore::new(DOORSTEP)),
        }
    }

    /// Places that are taken, and all.
    pub(in crate::api) fn taken(&self) -> (usize, usize) {
        (self.most.saturating_sub(self.places.available_permits()), self.most)
    }

    /// A place for somebody who has still to show a key.
    pub(in crate::api) fn doorstep(&self) -> Result<Place, Error> {
        Arc::clone(&self.doorstep).try_acquire_owned().map_err(|_| {
            Error::Unavailable(format!(
                "{DOORSTEP} WebSockets have not shown a key yet, which is the most at a time: try again"
            ))
        })
    }

    /// A place for one more.
    pub(in crate::api) fn place(&self) -> Result<Place, Error> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Error::Unavailable(format!(
                "{} event streams and WebSockets are open, as many as server.streams allows: close one, or raise it",
                self.most
            ))
        })
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    pub(super) event: &'static str,
    pub(super) data: Value,
    pub(super) id: Option<String>,
}

impl Frame {
    pub(super) const fn new(event: &'static str, data: Value) -> Self {
        Self { event, data, id: None }
    }

    /// Only where the client is.
    pub(super) const fn mark(id: String) -> Self {
        Self {
            event: "",
            data: Value::Null,
            id: Some(id),
        }
    }

    pub(super) fn with_id(self, id: String) -> Self {
        Self { id: Some(id), ..self }
    }
}

/// What the client has had last, if it says so.
pub(super) fn last_event_id<'a>(headers: &'a HeaderMap, after: Option<&'a str>) -> Result<Option<&'a str>, Error> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(after.filter(|text| !text.is_empty()));
    };
    let text = value.to_str().map_err(|_| strange_id("…"))?.trim();
    Ok(Some(text).filter(|text| !text.is_empty()))
}

pub(super) fn strange_id(id: &str) -> Error {
    Error::Invalid(format!(
        "the Last-Event-ID {id:?} is none of this stream: leave it out to begin anew"
    ))
}

/// `end`: when whoever listens may do so no longer.
pub(super) fn response(
    frames: impl Stream<Item = Frame> + Send + 'static,
    end: impl Future<Output = ()> + Send + 'static,
) -> Response {
    let first = futures_util::stream::once(async { Event::default().retry(RETRY) });
    let events = first.chain(frames.take_until(end).map(|frame| event(&frame)));
    let stream = Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    ([BUFFERING], stream).into_response()
}

/// JSON has no line breaks of its own, so it is one line of data.
fn event(frame: &Frame) -> Event {
    let event = match frame.event {
        "" => Event::default(),
        kind => Event::default().event(kind).data(frame.data.to_string()),
    };
    match &frame.id {
        Some(id) => event.id(id),
        None => event,
    }
}
