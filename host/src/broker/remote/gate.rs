//! Where the redis crate hands over what the server pushes. It must not wait there, so the gate
//! holds a bounded number of messages and bytes; what does not fit is dropped and remembered as a
//! gap. Dropping loses nothing: the value stands under the key, and a gap is closed by reading
//! everything open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use grepx_engine::Bytes;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// Messages that wait for the reader, at most.
const MESSAGES_MAX: usize = 4_096;
/// Bytes that wait for the reader, at most; one message may be larger when nothing waits.
const BYTES_MAX: usize = 64 << 20;

pub(crate) struct Push {
    pub(crate) key: String,
    pub(crate) value: Bytes,
}

pub(crate) struct Gate {
    sender: mpsc::Sender<Push>,
    bytes: AtomicUsize,
    gap: AtomicBool,
    /// A gap has opened.
    pub(crate) gap_opened: Notify,
}

impl Gate {
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<Push>) {
        let (sender, receiver) = mpsc::channel(MESSAGES_MAX);
        (Arc::new(Self::with(sender)), receiver)
    }

    /// For a connection without subscriptions.
    pub(crate) fn closed() -> Self {
        Self::with(mpsc::channel(1).0)
    }

    fn with(sender: mpsc::Sender<Push>) -> Self {
        Self {
            sender,
            bytes: AtomicUsize::new(0),
            gap: AtomicBool::new(false),
            gap_opened: Notify::new(),
        }
    }

    /// The function that takes the pushes of one physical connection; `gone` is cancelled when
    /// that connection ends.
    pub(crate) fn sink(
        self: &Arc<Self>,
        gone: CancellationToken,
    ) -> impl Fn(PushInfo) -> Result<(), ()> + Send + Sync + 'static {
        let gate = self.clone();
        move |info| {
            match info.kind {
                PushKind::Disconnection => gone.cancel(),
                PushKind::Message => gate.take(info.data),
                _ => {}
            }
            Ok(())
        }
    }

    /// `data` is channel and payload.
    fn take(&self, data: Vec<Value>) {
        let Ok([Value::BulkString(channel), Value::BulkString(payload)]) = <[Value; 2]>::try_from(data) else {
            return;
        };
        let Ok(key) = String::from_utf8(channel) else {
            return;
        };
        let size = payload.len();
        let waiting = self.bytes.fetch_add(size, Ordering::AcqRel);
        let value = payload.into();
        let full = waiting > 0 && waiting + size > BYTES_MAX;
        if full || self.sender.try_send(Push { key, value }).is_err() {
            self.bytes.fetch_sub(size, Ordering::AcqRel);
            self.gap.store(true, Ordering::Release);
            self.gap_opened.notify_one();
        }
    }

    /// To be called for every push that was received.
    pub(crate) fn release(&self, push: &Push) {
        self.bytes.fetch_sub(push.value.0.len(), Ordering::AcqRel);
    }

    /// Whether something was dropped since the last call.
    pub(crate) fn take_gap(&self) -> bool {
        self.gap.swap(false, Ordering::AcqRel)
    }
}
