//! What flow runs look like as OpenTelemetry traces, and the way to a collector.
//!
//! A flow run is a trace, each attempt of its task runs a span of it. Every id is derived from one
//! that the run has anyway ([`ids`]): nothing is stored for it, a worker can be told before the span
//! exists, and after a restart the trace goes on.
//!
//! A span is handed over when it has ended and that is on the disk. It goes into a bounded queue, and
//! a thread of its own sends what is there. A collector that is away, slow or full costs spans, which
//! are counted, and never time.
//!
//! Absent on purpose: spans of the host's own work, metrics and logs over OTLP, gRPC, a queue on the
//! disk. What a crash takes with it is missing from its trace, whose other spans are right.

mod collector;
mod ids;
mod otlp;
mod queue;
mod span;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::Telemetry;
use collector::Collector;
use queue::Queue;

pub use ids::{CALLER_LABEL, Place, SpanId, TraceId};
pub(crate) use span::bounded;
pub use span::{Attribute, Span};

/// How long a stop waits until what is there has been sent.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// The way to the collector. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Traces(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: Queue,
    exported: AtomicU64,
    dropped: AtomicU64,
    sample_percent: u8,
    /// The thread has ended.
    ended: CancellationToken,
}

/// Spans since the start of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Taken by the collector.
    pub exported: u64,
    /// Lost: the queue was full, or the collector refused them.
    pub dropped: u64,
    pub waiting: usize,
}

impl Traces {
    /// Starts the thread that sends.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(settings: &Telemetry) -> std::io::Result<Self> {
        let traces = Self(Arc::new(Inner {
            queue: Queue::default(),
            exported: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            sample_percent: settings.sample_percent,
            ended: CancellationToken::new(),
        }));
        let (inner, collector) = (traces.0.clone(), Collector::new(settings));
        let send = move || {
            let _ended = inner.ended.clone().drop_guard();
            collector.serve(&inner);
        };
        std::thread::Builder::new().name("traces".to_owned()).spawn(send)?;
        Ok(traces)
    }

    /// Whether the spans of this trace are kept.
    #[must_use]
    pub fn samples(&self, trace: TraceId) -> bool {
        trace.is_sampled(self.0.sample_percent)
    }

    /// What a worker is told, so that its spans come below this one.
    #[must_use]
    pub fn traceparent(&self, place: Place) -> String {
        place.traceparent(self.samples(place.trace))
    }

    /// Hands over what has ended; never waits.
    pub fn tell(&self, spans: Vec<Span>) {
        if !spans.is_empty() {
            let refused = self.0.queue.put(spans);
            self.0.drop_spans(refused);
        }
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            exported: self.0.exported.load(Ordering::Relaxed),
            dropped: self.0.dropped.load(Ordering::Relaxed),
            waiting: self.0.queue.len(),
        }
    }

    /// Sends what is there, for as long as a stop may take.
    pub async fn stop(&self) {
        self.0.queue.close();
        if tokio::time::timeout(FLUSH_MAX, self.0.ended.cancelled()).await.is_err() {
            tracing::warn!(
                seconds = FLUSH_MAX.as_secs(),
                "the collector did not take the last spans in time"
            );
        }
    }
}

impl Inner {
    fn drop_spans(&self, spans: usize) {
        self.dropped.fetch_add(spans as u64, Ordering::Relaxed);
    }

    fn export_spans(&self, spans: usize) {
        self.exported.fetch_add(spans as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
