//! What comes over HTTP, counted for metrics; nothing is decided by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

/// First digits of a status.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// A handle; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Traffic(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    connections: AtomicUsize,
    answers: [AtomicU64; CLASSES.len()],
}

/// A connection, as long as it is there.
pub(super) struct Open(Traffic);

impl Traffic {
    pub(super) fn open(&self) -> Open {
        self.0.connections.fetch_add(1, Ordering::Relaxed);
        Open(self.clone())
    }

    /// Connections that are open.
    pub(super) fn connections(&self) -> usize {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// Answers since the start, by the class of their status.
    pub(super) fn answers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.0.answers.iter().map(|count| count.load(Ordering::Relaxed));
        CLASSES.into_iter().zip(counts)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The middleware around everything.
pub(super) async fn count(State(traffic): State<Traffic>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let class = usize::from(response.status().as_u16() / 100).saturating_sub(1);
    if let Some(count) = traffic.0.answers.get(class) {
        count.fetch_add(1, Ordering::Relaxed);
    }
    response
}
